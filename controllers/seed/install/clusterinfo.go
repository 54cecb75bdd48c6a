package install

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// The ConfigMap that tells a node about the cluster before it has a credential: the one that kubeadm
// made customary. It holds a kubeconfig without a user.
const (
	ClusterInfoNamespace = "kube-public"
	ClusterInfoName      = "cluster-info"
	// ClusterInfoKey of its data is the kubeconfig.
	ClusterInfoKey = "kubeconfig"
	// ClusterInfoPath is where the API server answers it to anybody.
	ClusterInfoPath = "/api/v1/namespaces/" + ClusterInfoNamespace + "/configmaps/" + ClusterInfoName
)

func clusterInfo(c Cluster) (*unstructured.Unstructured, error) {
	// The cluster has no name and there is no context: nobody uses this kubeconfig as it is.
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"": {Server: c.Server, CertificateAuthorityData: c.AuthorityPEM}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the kubeconfig of ConfigMap %s/%s: %w", ClusterInfoNamespace, ClusterInfoName, err)
	}
	return object("v1", "ConfigMap",
		map[string]any{"name": ClusterInfoName, "namespace": ClusterInfoNamespace},
		map[string]any{"data": map[string]any{ClusterInfoKey: string(kubeconfig)}}), nil
}
