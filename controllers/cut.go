package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/flannelstore"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/rollout"
)

// maxPins is the API's bound of NodeState.spec.secrets.
const maxPins = 64

// cut is the revision that the objects ask for now.
type cut struct {
	// target names it, with the versions of the Secrets it refers to.
	target v1alpha1.NodeStateSpec
	// data is what is stored.
	data []byte
	// network is the name of the NetworkConfig in it.
	network string
}

// cutRevision reads what a NodeConfig refers to, the network into fleet, and cuts a revision. A StallError says why there is
// none: a user has to change something first.
func cutRevision(ctx context.Context, c client.Reader, fleet *fleet) (*cut, error) {
	config := fleet.config
	if err := fleet.selection.Invalid[config.Name]; err != nil {
		return nil, stallf(v1alpha1.ReasonInvalid, "%s: correct it; until then the NodeConfig keeps the nodes it has", err)
	}
	var network v1alpha1.NetworkConfig
	err := c.Get(ctx, client.ObjectKey{Name: config.Spec.NetworkRef.Name}, &network)
	switch {
	case apierrors.IsNotFound(err):
		return nil, stallf(v1alpha1.ReasonNetworkNotFound,
			"networkRef.name %s: there is no NetworkConfig of that name: create it, or refer to another one", config.Spec.NetworkRef.Name)
	case err != nil:
		return nil, fmt.Errorf("get NetworkConfig %s: %w", config.Spec.NetworkRef.Name, err)
	}
	fleet.observeNetwork(&network.Spec)
	inForce, err := networksInForce(ctx, c, fleet)
	if err != nil {
		return nil, err
	}
	if refused := rollout.NetworkChange(network.Name, network.Spec, inForce); refused != "" {
		return nil, stallf(v1alpha1.ReasonNetworkChanged, "%s", refused)
	}
	if err := held(rollout.NetworkMove(&network, inForce)); err != nil {
		return nil, err
	}
	if err := published(&network); err != nil {
		return nil, err
	}
	rev := revision.New(config.Spec, network.Spec)
	pins, err := pinSecrets(ctx, c, rev.SecretNames())
	if err != nil {
		return nil, err
	}
	data, name, err := rev.Encode(config.Name)
	switch {
	case errors.Is(err, revision.ErrTooLarge):
		return nil, stallf(v1alpha1.ReasonRevisionTooLarge, "%s", err)
	case err != nil:
		return nil, err
	}
	target := v1alpha1.NodeStateSpec{Config: config.Name, Revision: name, Secrets: pins}
	return &cut{target: target, data: data, network: network.Name}, nil
}

// published holds a network back that flannel's etcd is not told, or refuses.
func published(network *v1alpha1.NetworkConfig) error {
	resolved, etcd, err := resolve.NetworkOf(network.Spec, resolve.Placeholders())
	if err != nil || etcd == nil {
		return nil //nolint:nilerr // agents say what is wrong with it
	}
	config, err := render.FlannelConfig(resolved)
	if err != nil {
		return fmt.Errorf("NetworkConfig %s: %w", network.Name, err)
	}
	return held(rollout.Unpublished(network, v1alpha1.PublishedNetwork{
		Key: flannelstore.ConfigKey(etcd.Prefix), Config: string(config), Endpoints: etcd.Endpoints,
	}))
}

// held is what keeps a network from nodes, as an error.
func held(refused *rollout.Stall, wait string) error {
	switch {
	case refused != nil:
		return &StallError{*refused}
	case wait != "":
		return &WaitError{wait}
	}
	return nil
}

// pinSecrets looks up the present versions of Secrets. Only their metadata is read: the manager
// never holds their content.
func pinSecrets(ctx context.Context, c client.Reader, names []string) ([]v1alpha1.PinnedSecret, error) {
	var pins []v1alpha1.PinnedSecret
	var missing []string
	for _, name := range names {
		secret := secretMetadata()
		err := c.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, secret)
		switch {
		case apierrors.IsNotFound(err):
			missing = append(missing, name)
		case err != nil:
			return nil, fmt.Errorf("get Secret %s: %w", name, err)
		default:
			pins = append(pins, v1alpha1.PinnedSecret{Name: name, UID: secret.UID, ResourceVersion: secret.ResourceVersion})
		}
	}
	if len(missing) > 0 {
		return nil, stallf(v1alpha1.ReasonSecretNotFound, "no Secret %s in namespace %s: create it, or refer to another one; until then nodes keep what they have",
			strings.Join(missing, ", "), v1alpha1.Namespace)
	}
	if len(pins) > maxPins {
		return nil, stallf(v1alpha1.ReasonInvalid, "%d Secrets are referred to and at most %d can be: put several keys into one Secret", len(pins), maxPins)
	}
	return pins, nil
}

// secretMetadata is an empty Secret of which only the metadata is asked for.
func secretMetadata() *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return secret
}

// networksInForce decodes the networks that the governed nodes are assigned. A revision that is not
// stored any more, or that a newer release cut, has nothing to compare with and is left out.
func networksInForce(ctx context.Context, c client.Reader, fleet *fleet) ([]rollout.NetworkInForce, error) {
	var inForce []rollout.NetworkInForce
	for name, f := range rollout.AssignedNetworks(fleet.governed) {
		stored := &appsv1.ControllerRevision{}
		err := c.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, stored, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("get ControllerRevision %s: %w", name, err)
		}
		rev, decodeErr := revision.Decode(stored.Data.Raw)
		if err != nil || decodeErr != nil {
			continue
		}
		f.Spec = rev.Network
		inForce = append(inForce, f)
	}
	return inForce, nil
}

// store makes the revision exist and be the newest. One of the same content is used again, as after
// a change that was taken back.
func (r *NodeConfigReconciler) store(ctx context.Context, fleet *fleet, cut *cut) error {
	name := cut.target.Revision
	newest, number := fleet.newest(), int64(0)
	if newest != "" {
		number = fleet.revisions[newest].Revision
	}
	stored, exists := fleet.revisions[name]
	if !exists {
		return r.create(ctx, fleet, cut, number+1)
	}
	if !sameJSON(stored.Data.Raw, cut.data) {
		return forged(name)
	}
	if newest == name {
		return nil
	}
	renewed := stored.DeepCopy()
	renewed.Revision = number + 1
	if err := r.client.Patch(ctx, renewed, client.MergeFromWithOptions(stored, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("patch ControllerRevision %s: %w", name, err)
	}
	fleet.revisions[name] = renewed
	return nil
}

func (r *NodeConfigReconciler) create(ctx context.Context, fleet *fleet, cut *cut, number int64) error {
	stored := &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: cut.target.Revision, Namespace: v1alpha1.Namespace,
			Labels: map[string]string{NodeConfigLabel: fleet.config.Name, NetworkConfigLabel: cut.network},
		},
		Data:     runtime.RawExtension{Raw: slices.Clone(cut.data)},
		Revision: number,
	}
	err := r.client.Create(ctx, stored)
	switch {
	case apierrors.IsAlreadyExists(err): // without our label, or it would have been found
		return forged(stored.Name)
	case err != nil:
		return fmt.Errorf("create ControllerRevision %s: %w", stored.Name, err)
	}
	fleet.revisions[stored.Name] = stored
	publish(r.events, revisionCreated(fleet.config, stored.Name, len(cut.data)))
	return nil
}

// forged stalls on a revision of our name that is not ours.
func forged(name string) *StallError {
	return stallf(v1alpha1.ReasonInvalid, "ControllerRevision %s in %s is not the one that was cut, though it has its name: delete it, and it is cut anew",
		name, v1alpha1.Namespace)
}

// sameJSON compares contents: the API server may have written them with other white space.
func sameJSON(a, b []byte) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return false
	}
	return bytes.Equal(x.Bytes(), y.Bytes())
}
