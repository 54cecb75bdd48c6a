package install

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/config/admission"
	"seedbed.dev/seedbed/config/crd"
	"seedbed.dev/seedbed/config/rbac"
)

// fieldOwner is who owns the fields set here.
const fieldOwner = ctrlclient.FieldOwner("seedbed-seed")

const (
	// patience is how long one object may take: a young API server makes its own namespaces and roles
	// in the first seconds, and learns of new kinds a moment after they are made.
	patience   = 30 * time.Second
	retryAfter = 100 * time.Millisecond
)

// Installer applies objects to one cluster.
type Installer struct {
	client ctrlclient.Client
}

// New connects to a cluster. The identity must be one that may do anything: it creates roles.
func New(config *rest.Config) (*Installer, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	c, err := ctrlclient.New(config, ctrlclient.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return &Installer{client: c}, nil
}

// Cluster is what a node must know to join.
type Cluster struct {
	// Server is the URL of the API server. Example: "https://10.64.3.1:6443".
	Server string
	// AuthorityPEM is the certificate of the authority that signed the API server's.
	AuthorityPEM []byte
}

// Everything installs the namespace, the kinds, the roles, the admission policies and what tells
// nodes about the cluster, and returns when the API server serves the kinds. It reports a line for
// each of them.
func (i *Installer) Everything(ctx context.Context, cluster Cluster, report func(string)) error {
	if err := i.apply(ctx, namespace()); err != nil {
		return err
	}
	report("namespace " + v1alpha1.Namespace + " is there")
	n, err := i.kinds(ctx)
	if err != nil {
		return err
	}
	report(fmt.Sprintf("%d kinds of %s are served", n, v1alpha1.GroupVersion))
	roles, err := rbac.All()
	if err != nil {
		return err
	}
	if err := i.apply(ctx, roles...); err != nil {
		return err
	}
	report(fmt.Sprintf("%d roles and bindings are there", len(roles)))
	policies, err := admission.All()
	if err != nil {
		return err
	}
	if err := i.apply(ctx, policies...); err != nil {
		return err
	}
	report(fmt.Sprintf("%d admission policies and bindings are there", len(policies)))
	return i.discovery(ctx, cluster, report)
}

// discovery installs what tells nodes about the cluster.
func (i *Installer) discovery(ctx context.Context, cluster Cluster, report func(string)) error {
	info, err := clusterInfo(cluster)
	if err != nil {
		return err
	}
	if err := i.apply(ctx, authoritySecret(cluster.AuthorityPEM), info); err != nil {
		return err
	}
	report("Secret " + v1alpha1.Namespace + "/" + v1alpha1.ClusterCASecret + " has the cluster's authority, ConfigMap " +
		ClusterInfoNamespace + "/" + ClusterInfoName + " its address")
	return nil
}

// kinds installs the CRDs, waits until each is established, and then until lists of each are answered.
func (i *Installer) kinds(ctx context.Context) (int, error) {
	definitions, err := crd.All()
	if err != nil {
		return 0, err
	}
	for _, d := range definitions {
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(d)
		if err != nil {
			return 0, fmt.Errorf("convert CRD %s: %w", d.Name, err)
		}
		delete(object, "status")
		if err := i.apply(ctx, &unstructured.Unstructured{Object: object}); err != nil {
			return 0, err
		}
	}
	for _, d := range definitions {
		if err := i.established(ctx, d); err != nil {
			return 0, err
		}
	}
	return len(definitions), nil
}

func (i *Installer) established(ctx context.Context, d *apiextensionsv1.CustomResourceDefinition) error {
	return patiently(ctx, "CRD "+d.Name, func(ctx context.Context) error {
		current := &apiextensionsv1.CustomResourceDefinition{}
		if err := i.client.Get(ctx, ctrlclient.ObjectKey{Name: d.Name}, current); err != nil {
			return err
		}
		for _, c := range current.Status.Conditions {
			if c.Type == apiextensionsv1.NamesAccepted && c.Status == apiextensionsv1.ConditionFalse {
				return fmt.Errorf("names refused: %s", c.Message)
			}
			if c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue {
				return i.served(ctx, current)
			}
		}
		return errNotYet
	})
}

// served asks for a list: the API server may take a moment from established to answering.
func (i *Installer) served(ctx context.Context, d *apiextensionsv1.CustomResourceDefinition) error {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion(d.Spec.Group + "/" + d.Spec.Versions[0].Name)
	list.SetKind(d.Spec.Names.ListKind)
	return i.client.List(ctx, list, ctrlclient.Limit(1))
}

func (i *Installer) apply(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, o := range objects {
		err := patiently(ctx, o.GetKind()+" "+o.GetName(), func(ctx context.Context) error {
			return i.client.Apply(ctx, ctrlclient.ApplyConfigurationFromUnstructured(o.DeepCopy()), fieldOwner, ctrlclient.ForceOwnership)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var errNotYet = errors.New("not there yet")

// patiently tries until it works, the error is not one that passes, or patience ends.
func patiently(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if !passes(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %w", what, ctx.Err(), err)
		case <-time.After(retryAfter):
		}
	}
}

// passes is true for what a young or restarting API server answers for a moment: a namespace of its
// own that is not there yet, a kind it does not know yet, no connection.
func passes(err error) bool {
	var netErr net.Error
	return errors.Is(err, errNotYet) || meta.IsNoMatchError(err) || errors.As(err, &netErr) ||
		apierrors.IsNotFound(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err)
}

// FlannelEtcd installs the Secret with flannel's certificate for the seed's etcd.
func (i *Installer) FlannelEtcd(ctx context.Context, caPEM, certPEM, keyPEM []byte, report func(string)) error {
	err := i.apply(ctx, secret(v1alpha1.FlannelEtcdSecret, map[string][]byte{
		v1alpha1.FlannelEtcdCAKey: caPEM, v1alpha1.FlannelEtcdCertKey: certPEM, v1alpha1.FlannelEtcdKeyKey: keyPEM,
	}))
	if err == nil {
		report("Secret " + v1alpha1.Namespace + "/" + v1alpha1.FlannelEtcdSecret + " has flannel's certificate for etcd")
	}
	return err
}

func namespace() *unstructured.Unstructured {
	return object("v1", "Namespace", map[string]any{"name": v1alpha1.Namespace}, nil)
}

func authoritySecret(authorityPEM []byte) *unstructured.Unstructured {
	return secret(v1alpha1.ClusterCASecret, map[string][]byte{v1alpha1.ClusterCAKey: authorityPEM})
}

func secret(name string, content map[string][]byte) *unstructured.Unstructured {
	data := map[string]any{}
	for key, value := range content {
		data[key] = base64.StdEncoding.EncodeToString(value)
	}
	return object("v1", "Secret", map[string]any{"name": name, "namespace": v1alpha1.Namespace},
		map[string]any{"type": "Opaque", "data": data})
}

func object(apiVersion, kind string, metadata, rest map[string]any) *unstructured.Unstructured {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
	maps.Copy(o, rest)
	return &unstructured.Unstructured{Object: o}
}
