package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/controllers/approve"
)

// apiService is the Service and the EndpointSlice, in the namespace default, that the API servers keep
// about themselves.
var apiService = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}

// servers are where the cluster says that its API servers are. Requests that need it are rare, so it
// is read anew for each and none of it is kept in a cache.
func (r *CertificateReconciler) servers(ctx context.Context) (approve.Servers, error) {
	var service corev1.Service
	var slice discoveryv1.EndpointSlice
	info := corev1.ConfigMap{}
	err := errors.Join(
		readIfThere(ctx, r.live, apiService, &service),
		readIfThere(ctx, r.live, apiService, &slice),
		readIfThere(ctx, r.live, client.ObjectKey{Namespace: metav1.NamespacePublic, Name: bootstrapapi.ConfigMapClusterInfo}, &info),
	)
	if err != nil {
		return approve.Servers{}, fmt.Errorf("look where the API servers are: %w", err)
	}
	s := approve.Servers{Service: service.Spec.ClusterIPs, Hosts: joinHosts(&info)}
	for i := range slice.Endpoints {
		s.Hosts = append(s.Hosts, slice.Endpoints[i].Addresses...)
	}
	return s, nil
}

// joinHosts are the hosts of the servers that nodes join at; none when that cannot be read, as then no
// node joins either.
func joinHosts(info *corev1.ConfigMap) []string {
	kubeconfig, err := clientcmd.Load([]byte(info.Data[bootstrapapi.KubeConfigKey]))
	if err != nil {
		return nil
	}
	var hosts []string
	for _, c := range kubeconfig.Clusters {
		if u, err := url.Parse(c.Server); err == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	slices.Sort(hosts)
	return hosts
}

func readIfThere(ctx context.Context, c client.Reader, key client.ObjectKey, into client.Object) error {
	return client.IgnoreNotFound(c.Get(ctx, key, into))
}
