package cli

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/revision"
)

// cluster is an API server that has Seedbed's objects.
type cluster struct {
	client client.Client
	host   string
}

const kubeconfigUsage = "kubeconfig of the seed (default: $KUBECONFIG, then the usual places)"

func connect(kubeconfig string) (cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return cluster{}, errors.New("no kubeconfig: give --kubeconfig or set KUBECONFIG; a seed writes one to admin.kubeconfig in its data dir")
	}
	if err != nil {
		return cluster{}, fmt.Errorf("--kubeconfig: %w", err)
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return cluster{}, err
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return cluster{}, fmt.Errorf("API server %s: %w", config.Host, err)
	}
	return cluster{c, config.Host}, nil
}

// fleet reads all that is configured and all nodes.
func (c cluster) fleet(ctx context.Context) (fleet, error) {
	var networks v1alpha1.NetworkConfigList
	var nodeConfigs v1alpha1.NodeConfigList
	var nodes v1alpha1.NodeStateList
	err := errors.Join(c.client.List(ctx, &networks), c.client.List(ctx, &nodeConfigs), c.client.List(ctx, &nodes))
	if meta.IsNoMatchError(err) {
		return fleet{}, fmt.Errorf("API server %s has no Seedbed objects: start it with seedbed seed, or install the chart", c.host)
	}
	if err != nil {
		return fleet{}, fmt.Errorf("API server %s: %w", c.host, err)
	}
	f := fleet{networks.Items, nodeConfigs.Items, nodes.Items}
	f.stripManagedFields()
	return f, nil
}

// storedRevision is one as it was read. Names of revisions come from nodes, so that one that is not
// there, or is none, says nothing of the others.
type storedRevision struct {
	revision.Revision
	// trouble is why there is no content, or "".
	trouble string
}

// revision reads one that nodes are at.
func (c cluster) revision(ctx context.Context, name string) (storedRevision, error) {
	var stored appsv1.ControllerRevision
	err := c.client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, &stored)
	switch {
	case apierrors.IsNotFound(err):
		return storedRevision{trouble: "is not stored any more"}, nil
	case err != nil:
		return storedRevision{}, fmt.Errorf("get ControllerRevision %s: %w", name, err)
	}
	rev, err := revision.Decode(stored.Data.Raw)
	if err != nil {
		return storedRevision{trouble: "cannot be read: " + oneLine(err)}, nil
	}
	return storedRevision{Revision: rev}, nil
}

// secret is nil for one that is not there; readable is false for one that the user may not read.
func (c cluster) secret(ctx context.Context, name string) (secret *corev1.Secret, readable bool, err error) {
	secret = &corev1.Secret{}
	err = c.client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, true, nil
	case apierrors.IsForbidden(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("get Secret %s: %w", name, err)
	}
	return secret, true, nil
}

// nodes are the Node objects by name; none where the user may not read them.
func (c cluster) nodes(ctx context.Context) (map[string]*corev1.Node, error) {
	var list corev1.NodeList
	err := c.client.List(ctx, &list)
	if apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list Nodes: %w", err)
	}
	nodes := make(map[string]*corev1.Node, len(list.Items))
	for i := range list.Items {
		nodes[list.Items[i].Name] = &list.Items[i]
	}
	return nodes, nil
}
