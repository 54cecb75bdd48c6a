package controllers

import (
	"maps"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// kubeletBootstrap is what a pipeline knows of the kubelet's first certificate. A bootstrap token is
// on the disk until the kubelet has that, and then nowhere any more: neither in the kubelet's
// bootstrap kubeconfig nor in the assignment that is kept for offline boots.
type kubeletBootstrap struct {
	// done is true when the kubelet had its certificate at the last look.
	done bool
	// tokenSecret is the Secret with the token of the last revision that could be realised.
	tokenSecret string
	// keptTrimmed says whether the assignment on disk is without the token.
	keptTrimmed bool
}

// lookForKubelet keeps the last answer when the host gives none.
func (p *Pipeline) lookForKubelet() {
	_, found, err := p.Host.Files.Read(resolve.PathKubeletClient)
	if err != nil {
		p.Log.Error(err, "looking for the kubelet's certificate")
		return
	}
	p.bootstrap.done = found
}

// withoutUsedToken is the assignment as it is kept on disk.
func (b *kubeletBootstrap) withoutUsedToken(a *Assignment) *Assignment {
	if !b.done || b.tokenSecret == "" || a.Trimmed {
		return a
	}
	trimmed := *a
	trimmed.Trimmed, trimmed.Contents = true, maps.Clone(a.Contents)
	maps.DeleteFunc(trimmed.Contents, func(ref v1alpha1.SecretKeyReference, _ state.Sensitive) bool {
		return ref.Name == b.tokenSecret
	})
	return &trimmed
}
