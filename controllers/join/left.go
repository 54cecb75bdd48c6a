package join

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// reasonLeft is the reason of a Node's condition Ready after its host has left.
const reasonLeft = "NodeLeft"

// sayLeft says in the Node, as its kubelet, that the kubelet has stopped for good. One that only falls
// silent counts as running for node-monitor-grace-period (50 s by default), in which Services send to its
// pods; and the manager keeps its Node, since a machine that is silent may come back.
func (n *Node) sayLeft(ctx context.Context) error {
	if _, found, err := n.Host.Files.Read(resolve.PathKubeletKubeconfig); err != nil || !found {
		return err // a kubelet that never ran
	}
	config, name, err := kubeletIdentity(n.Host.Files)
	if err != nil {
		return err
	}
	api, err := newClient(config)
	if err != nil {
		return err
	}
	now := metav1.NewTime(n.Now())
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{v1alpha1.LeftAnnotation: now.UTC().Format(time.RFC3339)}},
		"status": map[string]any{"conditions": []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: reasonLeft, Message: "seedbed leave has stopped the kubelet",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}}},
	})
	if err != nil {
		return err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	return cause(api.Status().Patch(ctx, node, client.RawPatch(types.StrategicMergePatchType, patch)))
}

// kubeletIdentity is how the host's kubelet reaches its API server, and the name of its Node.
func kubeletIdentity(files host.Files) (*rest.Config, string, error) {
	raw, err := follow(files, resolve.PathKubeletKubeconfig)
	if err != nil {
		return nil, "", err
	}
	config, err := clientcmd.Load(raw)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", resolve.PathKubeletKubeconfig, err)
	}
	if err := inline(files, config); err != nil {
		return nil, "", err
	}
	client, err := clientcmd.NewDefaultClientConfig(*config, nil).ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", resolve.PathKubeletKubeconfig, err)
	}
	pair, err := tls.X509KeyPair(client.CertData, client.KeyData)
	if err != nil {
		return nil, "", fmt.Errorf("the kubelet's certificate: %w", err)
	}
	name, isNode := strings.CutPrefix(pair.Leaf.Subject.CommonName, "system:node:")
	if !isNode {
		return nil, "", fmt.Errorf("the kubelet's certificate is for %q, which is no node", pair.Leaf.Subject.CommonName)
	}
	return client, name, nil
}

// inline replaces the names of files in a kubeconfig by what is in them.
func inline(files host.Files, config *clientcmdapi.Config) error {
	var errs []error
	replace := func(name *string, data *[]byte) {
		if *name == "" {
			return
		}
		content, err := follow(files, *name)
		*name, *data, errs = "", content, append(errs, err)
	}
	for _, cluster := range config.Clusters {
		replace(&cluster.CertificateAuthority, &cluster.CertificateAuthorityData)
	}
	for _, user := range config.AuthInfos {
		replace(&user.ClientCertificate, &user.ClientCertificateData)
		replace(&user.ClientKey, &user.ClientKeyData)
	}
	return errors.Join(errs...)
}

// maxLinks is how many symbolic links are followed; the kubelet makes one.
const maxLinks = 8

// follow reads a file behind symbolic links, on the host.
func follow(files host.Files, name string) ([]byte, error) {
	at := name
	for range maxLinks {
		file, found, err := files.Read(at)
		switch {
		case err != nil:
			return nil, err
		case !found:
			return nil, fmt.Errorf("there is no %s", at)
		case file.Type != state.Symlink:
			return file.Content, nil
		}
		if target := file.Target; path.IsAbs(target) {
			at = path.Clean(target)
		} else {
			at = path.Join(path.Dir(at), target)
		}
	}
	return nil, errors.New(name + ": too many symbolic links")
}
