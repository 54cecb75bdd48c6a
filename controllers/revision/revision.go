package revision

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// Renderer is the version of the rendering rules that a revision was cut for. It is part of the
// hash: when a release renders the same objects differently, it counts this up, and the change
// reaches the nodes as a rollout instead of all at once with the new binary.
const Renderer = 1

// MaxBytes is the largest revision that is stored, well under etcd's limit of 1.5 MiB a request
// with room for the node's own copy.
const MaxBytes = 200 << 10

// ErrTooLarge is returned by Encode for a revision over MaxBytes.
var ErrTooLarge = errors.New("revision is too large")

// Revision is what a node is assigned: a NodeConfig and its NetworkConfig, before defaults.
type Revision struct {
	// Renderer the revision was cut for.
	Renderer int `json:"renderer"`
	// Node without the fields that do not concern a single node (priority, nodeSelector, rollout).
	Node v1alpha1.NodeConfigSpec `json:"node"`
	// Network without allowDisruptiveChange.
	Network v1alpha1.NetworkConfigSpec `json:"network"`
}

// New cuts a revision. Fields that choose nodes or pace the rollout are left out, so that changing
// them is not a change for the nodes.
func New(node v1alpha1.NodeConfigSpec, network v1alpha1.NetworkConfigSpec) Revision {
	node = *node.DeepCopy()
	node.Priority, node.NodeSelector, node.Rollout = 0, metav1.LabelSelector{}, nil
	network = *network.DeepCopy()
	network.AllowDisruptiveChange = false
	return Revision{Renderer: Renderer, Node: node, Network: network}
}

// Encode returns the canonical bytes and the name PREFIX-HASH. Equal revisions give equal bytes:
// struct fields are in order and encoding/json sorts map keys; free-form fields are re-encoded.
func (r Revision) Encode(prefix string) (data []byte, name string, err error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, "", fmt.Errorf("encode revision of %s: %w", prefix, err)
	}
	if data, err = canonical(raw); err != nil {
		return nil, "", fmt.Errorf("encode revision of %s: %w", prefix, err)
	}
	if len(data) > MaxBytes {
		return nil, "", fmt.Errorf("%w: %s has %d bytes, at most %d are stored; move large files into Secrets (contentsSecretRef)",
			ErrTooLarge, prefix, len(data), MaxBytes)
	}
	return data, fmt.Sprintf("%s-%s", prefix, state.Hash(data)[:10]), nil
}

// canonical sorts the keys of free-form JSON too, and keeps numbers as they were written.
func canonical(raw []byte) ([]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// Decode reads what Encode wrote. A field this release does not know is an error: an old agent
// must not apply half of a newer revision.
func Decode(data []byte) (Revision, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var r Revision
	if err := dec.Decode(&r); err != nil {
		return Revision{}, fmt.Errorf("decode revision: %w (it may come from a newer release: update this agent)", err)
	}
	return r, nil
}

// SecretNames lists the Secrets a revision refers to, sorted and without doubles.
func (r Revision) SecretNames() []string {
	var names []string
	for _, ref := range r.secretKeys() {
		names = append(names, ref.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TokenSecret is the Secret with the kubelet's bootstrap token; empty when there is none, and when
// something else is in the same Secret, which is then needed for longer.
func (r Revision) TokenSecret() string {
	if r.Node.Kubelet == nil || r.Node.Kubelet.BootstrapTokenSecretRef == nil {
		return ""
	}
	name, uses := r.Node.Kubelet.BootstrapTokenSecretRef.Name, 0
	for _, ref := range r.secretKeys() {
		if ref.Name == name {
			uses++
		}
	}
	if uses > 1 {
		return ""
	}
	return name
}

// EtcdSecretNames lists the Secrets of flannel's etcd, sorted and without doubles.
func (r Revision) EtcdSecretNames() []string {
	only := Revision{Network: v1alpha1.NetworkConfigSpec{SubnetManager: r.Network.SubnetManager}}
	return slices.DeleteFunc(only.SecretNames(), func(name string) bool { return name == "" })
}

// SecretKeys lists every key a revision refers to; that of a whole-Secret reference is the one that a
// dockerconfigjson Secret has.
func (r Revision) SecretKeys() []v1alpha1.SecretKeyReference {
	refs := r.secretKeys()
	for i := range refs {
		refs[i].Key = cmp.Or(refs[i].Key, corev1.DockerConfigJsonKey)
	}
	return refs
}

// secretKeys lists every reference; a whole-Secret reference has an empty key.
func (r Revision) secretKeys() []v1alpha1.SecretKeyReference {
	var refs []v1alpha1.SecretKeyReference
	add := func(ref *v1alpha1.SecretKeyReference) {
		if ref != nil {
			refs = append(refs, *ref)
		}
	}
	add(&r.Node.Kubernetes.CASecretRef)
	if sm := r.Network.SubnetManager; sm != nil && sm.Etcd != nil && sm.Etcd.TLS != nil {
		add(&sm.Etcd.TLS.CASecretRef)
		add(&sm.Etcd.TLS.CertSecretRef)
		add(&sm.Etcd.TLS.KeySecretRef)
	}
	if p := r.Node.Packages; p != nil {
		for i := range p.Repositories {
			add(p.Repositories[i].GPGKeySecretRef)
		}
	}
	if d := r.Node.Docker; d != nil {
		if d.Proxy != nil {
			add(d.Proxy.HTTPProxySecretRef)
			add(d.Proxy.HTTPSProxySecretRef)
		}
		for i := range d.Registries {
			add(d.Registries[i].CASecretRef)
			if c := d.Registries[i].CredentialsSecretRef; c != nil {
				add(&v1alpha1.SecretKeyReference{Name: c.Name})
			}
		}
	}
	if k := r.Node.Kubelet; k != nil {
		add(k.ClientCASecretRef)
		add(k.BootstrapTokenSecretRef)
		if k.Serving != nil {
			add(k.Serving.CertSecretRef)
			add(k.Serving.KeySecretRef)
		}
	}
	for i := range r.Node.Files {
		add(r.Node.Files[i].ContentsSecretRef)
	}
	return refs
}
