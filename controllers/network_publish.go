package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/flannelstore"
	"seedbed.dev/seedbed/controllers/leases"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/rollout"
	"seedbed.dev/seedbed/controllers/state"
)

// inEtcd publishes a network and looks at its leases. An etcd that does not answer is waited for by
// the follower, not here.
func (r *NetworkConfigReconciler) inEtcd(ctx context.Context, p *networkPass, network resolve.Network, etcd *resolve.Etcd) error {
	config, err := render.FlannelConfig(network)
	if err != nil {
		return fmt.Errorf("NetworkConfig %s: %w", p.network.Name, err)
	}
	p.keep()
	wanted := rollout.Publication{
		Endpoints: etcd.Endpoints,
		Key:       flannelstore.ConfigKey(etcd.Prefix), Want: string(config), Last: p.network.Status.Published,
		AllowDisruptiveChange: p.network.Spec.AllowDisruptiveChange,
	}
	if counted := p.network.Status.Leases; counted != nil {
		wanted.Before = int(counted.Count)
	}
	prefix := r.prefix(p.network, etcd)
	if err := r.follow(ctx, p.network, prefix); err != nil {
		var stall *StallError
		if !errors.As(err, &stall) {
			return err
		}
		wanted.Trouble = &stall.Stall
		p.publication(&wanted)
		return nil
	}
	seen := r.etcd.View(p.network.Name)
	held, fleet := subnetsOf(seen.Leases), p.fleet()
	wanted.Known, wanted.Held, wanted.Exists, wanted.ClusterID = seen.Known, seen.Config, seen.ConfigRevision != 0, seen.ClusterID
	wanted.Leases, wanted.Ours = len(held), fleet.Owned(held)
	if wanted.Trouble, err = r.trouble(ctx, p, &wanted, prefix, seen.Err); err != nil {
		return err
	}
	write := p.publication(&wanted)
	// Until the network is published in another etcd the status counts the leases in the one before.
	if seen.Known && seen.Err == nil && (!wanted.Elsewhere() || p.view.Published.Status == metav1.ConditionTrue) {
		p.view.Leases = fleet.Judge(leases.Network{Range: network.PodCIDR, Length: network.PodSubnetLength}, held)
		if err := r.released(ctx, p, seen.Leases); err != nil {
			return err
		}
	}
	if write != nil {
		r.write(ctx, p, &wanted, *write, seen.ConfigRevision)
	}
	return nil
}

// publication decides, and takes note of the decision for the status.
func (p *networkPass) publication(wanted *rollout.Publication) (write *v1alpha1.PublishedNetwork) {
	wanted.Generation = p.network.Generation
	write, published := wanted.Decide()
	p.view.Published = &published
	if published.Status == metav1.ConditionTrue {
		p.view.Network = wanted.Wanted()
	}
	return write
}

func subnetsOf(entries []flannelstore.Entry) []leases.Lease {
	held := make([]leases.Lease, 0, len(entries))
	for i := range entries {
		held = append(held, entries[i].Lease)
	}
	return held
}

// prefix is the one to follow: that of the network published last for as long as nodes have leases
// there and nobody has accepted that they lose them, else the wanted one.
func (r *NetworkConfigReconciler) prefix(n *v1alpha1.NetworkConfig, etcd *resolve.Etcd) string {
	last := n.Status.Published
	if last == nil || last.Key == flannelstore.ConfigKey(etcd.Prefix) || n.Spec.AllowDisruptiveChange {
		return etcd.Prefix
	}
	before, _ := strings.CutSuffix(last.Key, flannelstore.ConfigKey(""))
	following := r.etcd.Following(n.Name)
	if strings.HasPrefix(following, etcd.Prefix+" ") {
		return etcd.Prefix
	}
	seen := r.etcd.View(n.Name)
	if strings.HasPrefix(following, before+" ") && seen.Known && seen.Err == nil && len(seen.Leases) == 0 {
		return etcd.Prefix
	}
	return before
}

// follow makes the follower look at a prefix of the network's etcd. The Secrets are read only when it
// has to connect anew.
func (r *NetworkConfigReconciler) follow(ctx context.Context, n *v1alpha1.NetworkConfig, prefix string) error {
	names := revision.Revision{Network: n.Spec}.EtcdSecretNames()
	pins, err := pinSecrets(ctx, r.client, names)
	if err != nil {
		return err
	}
	id := prefix + " " + fmt.Sprint(n.Spec.SubnetManager.Etcd.Endpoints, pins)
	if r.etcd.Following(n.Name) == id {
		return nil
	}
	contents := map[v1alpha1.SecretKeyReference]state.Sensitive{}
	for _, name := range names {
		var secret corev1.Secret
		if err := r.direct.Get(ctx, client.ObjectKey{Namespace: v1alpha1.Namespace, Name: name}, &secret); err != nil {
			return fmt.Errorf("get Secret %s: %w", name, err)
		}
		for key, value := range secret.Data {
			contents[v1alpha1.SecretKeyReference{Name: name, Key: key}] = state.NewSensitive(value)
		}
	}
	_, etcd, err := resolve.NetworkOf(n.Spec, resolve.NewSecrets(contents))
	if err != nil {
		return stallf(v1alpha1.ReasonInvalid, "%s", oneLine(err))
	}
	target := flannelstore.Target{Endpoints: etcd.Endpoints, Prefix: prefix}
	if etcd.TLS != nil {
		target.TLS = &flannelstore.TLS{CA: etcd.TLS.CA, Cert: etcd.TLS.Cert, Key: etcd.TLS.Key}
	}
	r.etcd.Follow(n.Name, id, target)
	return nil
}

// trouble is what keeps a network from being published: its etcd, or another NetworkConfig.
func (r *NetworkConfigReconciler) trouble(ctx context.Context, p *networkPass, w *rollout.Publication, prefix string, etcdErr error) (*rollout.Stall, error) {
	endpoints := strings.Join(w.Endpoints, ", ")
	switch {
	case errors.Is(etcdErr, flannelstore.ErrDenied):
		return &rollout.Stall{Reason: v1alpha1.ReasonEtcdPermissionDenied, Message: fmt.Sprintf(
			"etcd at %s does not let this client into %s: correct subnetManager.etcd, or give its role the prefix (a seed: --flannel-prefix %s)", endpoints, prefix, prefix)}, nil
	case etcdErr != nil:
		return &rollout.Stall{Reason: v1alpha1.ReasonEtcdUnreachable, Message: fmt.Sprintf("etcd at %s: %s; it is tried again at least once a minute", endpoints, etcdErr)}, nil
	}
	rival, err := r.rival(ctx, p.network, w)
	if err != nil || rival == "" {
		return nil, err
	}
	return &rollout.Stall{Reason: v1alpha1.ReasonPrefixConflict, Message: fmt.Sprintf(
		"NetworkConfig %s, which is older, has another network at %s in the same etcd: choose another subnetManager.etcd.prefix", rival, w.Key)}, nil
}

// rival is the oldest NetworkConfig that publishes something else at the same key of the same etcd,
// if it is older than this one. Those that publish the same may share it.
func (r *NetworkConfigReconciler) rival(ctx context.Context, n *v1alpha1.NetworkConfig, w *rollout.Publication) (string, error) {
	var all v1alpha1.NetworkConfigList
	if err := r.client.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return "", fmt.Errorf("list NetworkConfigs: %w", err)
	}
	older := func(a, b *v1alpha1.NetworkConfig) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	}
	oldest := n
	for i := range all.Items {
		other := &all.Items[i]
		if other.Name == n.Name || !other.DeletionTimestamp.IsZero() || older(other, oldest) >= 0 || !usesEtcd(&other.Spec) {
			continue
		}
		network, etcd, err := resolve.NetworkOf(other.Spec, resolve.Placeholders())
		if err != nil || etcd == nil || flannelstore.ConfigKey(etcd.Prefix) != w.Key ||
			!slices.ContainsFunc(etcd.Endpoints, func(e string) bool { return slices.Contains(w.Endpoints, e) }) {
			continue
		}
		if config, err := render.FlannelConfig(network); err == nil && string(config) != w.Want {
			oldest = other
		}
	}
	if oldest == n {
		return "", nil
	}
	return oldest.Name, nil
}

// write publishes. A key that changed meanwhile is seen by the follower, and looked at again then.
func (r *NetworkConfigReconciler) write(ctx context.Context, p *networkPass, w *rollout.Publication, want v1alpha1.PublishedNetwork, over int64) {
	name := p.network.Name
	repair := w.Last != nil && w.Last.Key == want.Key && w.Last.Config == want.Config && !w.Elsewhere()
	if wait := r.repairs.pause(name, repair, r.now()); wait > 0 {
		w.Trouble = &rollout.Stall{Reason: v1alpha1.ReasonEtcdContended, Message: fmt.Sprintf(
			"somebody else keeps changing %s: is it another manager, or a script? It is put right at most once in %s until that ends", want.Key, repairPause)}
		p.publication(w)
		p.again = sooner(p.again, wait)
		return
	}
	err := r.etcd.Publish(ctx, name, want.Config, over)
	if err == nil {
		publish(r.events, networkPublished(p.network, want.Key, repair))
		w.Held, w.Exists, w.Last = want.Config, true, &want
	} else {
		w.Trouble = unwritten(want.Key, err)
		p.again = sooner(p.again, repairPause)
	}
	p.publication(w)
}

// unwritten is why a key could not be written, or nil where the follower sees why.
func unwritten(key string, err error) *rollout.Stall {
	switch {
	case errors.Is(err, flannelstore.ErrChanged), errors.Is(err, flannelstore.ErrNotConnected):
		return nil
	case errors.Is(err, flannelstore.ErrDenied):
		return &rollout.Stall{Reason: v1alpha1.ReasonEtcdPermissionDenied, Message: fmt.Sprintf("etcd does not let this client write %s: give its role the right to", key)}
	}
	return &rollout.Stall{Reason: v1alpha1.ReasonEtcdUnreachable, Message: err.Error()}
}
