package join

import (
	"context"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// newClient knows the three kinds that are used here, so that it need not ask the server for them.
func newClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(certificatesv1.AddToScheme(scheme), corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"), meta.RESTScopeRoot)
	mapper.Add(v1alpha1.GroupVersion.WithKind("NodeState"), meta.RESTScopeRoot)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	config = rest.CopyConfig(config)
	config.Timeout, config.ContentType, config.QPS = requestTimeout, runtime.ContentTypeJSON, -1
	api, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return api, nil
}

const clusterName = "cluster"

// kubeconfig of the agent. It names the certificate's file, which client-go reads again when the
// agent has renewed it.
func kubeconfig(server, node string, authority []byte) (state.File, error) {
	user := v1alpha1.NodeUser(node)
	content, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{clusterName: {Server: server, CertificateAuthorityData: authority}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{user: {ClientCertificate: resolve.PathAgentClient, ClientKey: resolve.PathAgentClient}},
		Contexts:       map[string]*clientcmdapi.Context{clusterName: {Cluster: clusterName, AuthInfo: user}},
		CurrentContext: clusterName,
	})
	if err != nil {
		return state.File{}, fmt.Errorf("encode kubeconfig: %w", err)
	}
	return state.File{Content: content, Mode: 0o600, Owner: "root", Group: "root"}, nil
}

// clusterOf returns what the agent's kubeconfig says of the cluster; nil when it says nothing.
func clusterOf(files host.Files) *clientcmdapi.Cluster {
	file, found, err := files.Read(resolve.PathAgentKubeconfig)
	if err != nil || !found {
		return nil
	}
	config, err := clientcmd.Load(file.Content)
	if err != nil {
		return nil
	}
	return config.Clusters[clusterName]
}

// authorityOf returns the PEM certificates in the agent's kubeconfig; nil when there are none.
func authorityOf(files host.Files) []byte {
	if cluster := clusterOf(files); cluster != nil {
		return cluster.CertificateAuthorityData
	}
	return nil
}

// asAgent connects with the credentials that are on the host, as they are now.
func (n *Node) asAgent(server string) (client.Client, error) {
	pair, found, err := n.Host.Files.Read(resolve.PathAgentClient)
	if err == nil && !found {
		err = fmt.Errorf("no certificate at %s", resolve.PathAgentClient)
	}
	if err != nil {
		return nil, err
	}
	return newClient(&rest.Config{Host: server, TLSClientConfig: rest.TLSClientConfig{
		CAData: authorityOf(n.Host.Files), CertData: pair.Content, KeyData: pair.Content,
	}})
}

// nodeState returns nil when there is none. That there is no such kind, or what a proxy says of a path,
// is not that.
func nodeState(ctx context.Context, api client.Client, name string) (*v1alpha1.NodeState, error) {
	var node v1alpha1.NodeState
	err := api.Get(ctx, client.ObjectKey{Name: name}, &node)
	if apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return nil, nil
	}
	if err != nil {
		return nil, cause(err)
	}
	return &node, nil
}

// grantPolls is how often a node that is refused looks again.
const grantPolls = 20

// granted is nodeState for a node that just came or an API server that just started: a node's rights
// are made after its certificate, and loaded after the server listens. A refusal counts if it lasts.
func (n *Node) granted(ctx context.Context, api client.Client, name string) (*v1alpha1.NodeState, error) {
	for poll := 1; ; poll++ {
		node, err := nodeState(ctx, api, name)
		if !apierrors.IsForbidden(err) || poll == grantPolls || n.pause(ctx) != nil {
			return node, err
		}
	}
}

// validCertificate says whether the agent has one that is valid now.
func (n *Node) validCertificate(node string) bool {
	pair, err := credentials.Store{Files: n.Host.Files, Path: resolve.PathAgentClient}.Current()
	return err == nil && credentials.Agent(node).Fits(pair.Leaf) && n.Now().Before(pair.Leaf.NotAfter)
}
