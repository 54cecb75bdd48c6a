package controllers_test

import (
	"slices"
	"strings"
	"testing"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
)

const kubeProxy = "kube-proxy.service"

func byToken(s *v1alpha1.NodeConfigSpec) {
	s.Kubelet = &v1alpha1.Kubelet{BootstrapTokenSecretRef: &v1alpha1.SecretKeyReference{Name: "bootstrap", Key: "token"}}
}

// tokenOnDisk names the places where the bootstrap token is.
func tokenOnDisk(t *testing.T, f *hosttest.Fake) string {
	t.Helper()
	var places []string
	if file, found := f.File(resolve.PathKubeletBootstrap); found && strings.Contains(string(file.Content), resolvetest.Token) {
		places = append(places, resolve.PathKubeletBootstrap)
		if file.Mode != 0o600 {
			t.Errorf("%s has mode %o, want 0600: the token is in it", resolve.PathKubeletBootstrap, file.Mode)
		}
	}
	cache := newAgent(t, f).Cache
	kept, _, err := cache.Load()
	if err != nil {
		t.Fatal(err)
	}
	for ref := range kept.Contents {
		if ref.Name == "bootstrap" {
			places = append(places, "the kept assignment")
		}
	}
	return strings.Join(places, ", ")
}

func TestBootstrapTokenIsGoneFromDiskOnceTheKubeletHasItsCertificate(t *testing.T) {
	f := guideMachine(t)
	a := newAgent(t, f)
	stop := a.run(t)
	want := assignment(t, 1, byToken)
	a.Assign(want)
	if p := a.next(t); !p.Agrees() {
		t.Fatalf("the host does not agree: %+v %v %v", p.Stall, p.Err, p.Results.Err())
	}
	if got := tokenOnDisk(t, f); got != resolve.PathKubeletBootstrap+", the kept assignment" {
		t.Fatalf("before the kubelet's first request the token is in %q", got)
	}
	jobs := len(f.Jobs("kubelet.service"))
	certify(f, resolve.PathKubeletClient)
	a.events <- struct{}{} // what the watch of that path does
	if p := a.next(t); !p.Agrees() {
		t.Fatalf("the host does not agree any more: %+v %v %v", p.Stall, p.Err, p.Results.Err())
	}
	if got := tokenOnDisk(t, f); got != "" {
		t.Errorf("the token was used and is still in %s", got)
	}
	if n := len(f.Jobs("kubelet.service")); n != jobs {
		t.Errorf("the kubelet was restarted for it: %v", f.Jobs("kubelet.service"))
	}
	stop()

	// An agent that starts without the API has no token, and needs none.
	f = f.Restart()
	a = newAgent(t, f)
	a.run(t)
	if p := a.next(t); !p.Agrees() || f.Changes() != 0 {
		t.Errorf("after a restart: stall %+v, error %v, changes %v", p.Stall, p.Err, f.Journal())
	}
	if has := a.Assigned(); !has.Trimmed {
		t.Error("the agent does not know that its kept assignment has no token, and would not get it again")
	}
}

func TestComponentWaitsForItsCertificateAndStartsWhenItAppears(t *testing.T) {
	f := guideMachine(t)
	f.Delete(resolve.PathKubeProxyClient)
	a := newAgent(t, f)
	a.run(t)
	a.Assign(assignment(t, 1, nil))
	p := a.next(t)
	if err := p.Results.Err(); p.Agrees() || err != nil {
		t.Fatalf("kube-proxy without a certificate: agrees %v, failure %v; want it to wait, which is neither", p.Agrees(), err)
	}
	if c := ready(p); c.Reason != v1alpha1.ReasonWaiting || !strings.Contains(c.Message, "kube-proxy.service: it waits for "+resolve.PathKubeProxyClient) {
		t.Errorf("Ready is %+v", c)
	}
	if got := f.Unit("kubelet.service").Activity; got != "active" {
		t.Errorf("the kubelet, which has what it needs, is %s", got)
	}
	if n := len(f.Jobs(kubeProxy)); n != 0 {
		t.Errorf("kube-proxy was started: %v", f.Jobs(kubeProxy))
	}
	if !slices.Contains(a.watched, resolve.PathKubeProxyClient) || !slices.Contains(a.watched, resolve.PathKubeletClient) {
		t.Errorf("nobody would notice when a certificate appears; watched are %v", a.watched)
	}
	certify(f, resolve.PathKubeProxyClient)
	a.events <- struct{}{}
	for range 5 {
		if p = a.next(t); p.Agrees() {
			return
		}
	}
	t.Errorf("kube-proxy does not start: %v", p.Results.Err())
}
