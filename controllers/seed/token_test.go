package seed

import (
	"strings"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/seed/install"
	"seedbed.dev/seedbed/controllers/seed/pki"
)

func TestATokenThatNoNodeCouldUseIsRefusedBeforeItIsMade(t *testing.T) {
	for _, tc := range []struct {
		reason string
		change func(*TokenOptions)
		want   string
	}{
		{"a label without value", func(o *TokenOptions) { o.Labels = []string{"role"} }, `--labels "role": no value: write key=value; example: role=worker`},
		{"a label that none can be", func(o *TokenOptions) { o.Labels = []string{"a b=c"} }, `--labels "a b=c": the key is not a label's`},
		{"a name that no node can have", func(o *TokenOptions) { o.Nodes = []string{"Node_A"} }, `--nodes "Node_A": not a node's name: use at most 63 lower-case letters`},
		{"a host for an address", func(o *TokenOptions) { o.Addresses = []string{"node-a"} }, `--addresses "node-a": neither an IP address nor a range: write one such as`},
		{"a range with host bits", func(o *TokenOptions) { o.Addresses = []string{"10.64.3.8/26"} }, "write 10.64.3.0/26 for the range"},
		{"no time at all", func(o *TokenOptions) { o.TTL = 0 }, "--ttl 0s: too short or too long: give one from 1m to 8760h, such as 24h"},
		{"for ever", func(o *TokenOptions) { o.TTL = 10000 * time.Hour }, "--ttl 10000h0m0s"},
		{"no seed", func(*TokenOptions) {}, "no seed's data there"},
		{"no such kubeconfig", func(o *TokenOptions) { o.Kubeconfig = "/nowhere/admin.kubeconfig" }, "kubeconfig /nowhere/admin.kubeconfig: "},
	} {
		o := TokenOptions{Access: Access{DataDir: t.TempDir()}, TTL: DefaultTokenTTL}
		tc.change(&o)
		if _, err := CreateToken(t.Context(), o, time.Now()); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.reason, err, tc.want)
		}
	}
}

func TestTheJoinLineHasAllThatANodeNeeds(t *testing.T) {
	ca, err := pki.NewAuthority("ca", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	old, err := pki.NewAuthority("old", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	both := append(append([]byte{}, ca.CertPEM...), old.CertPEM...)
	token := install.Token{ID: "abcdef", Secret: "0123456789abcdef", Scope: approve.Scope{Expires: time.Now()}}
	r, err := describe(install.Cluster{Server: "https://10.64.3.1:6443", AuthorityPEM: both}, token)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(r.Join)
	if got := strings.Join(fields[:5], " "); got != "seedbed join https://10.64.3.1:6443 --token abcdef.0123456789abcdef" || len(fields) != 9 {
		t.Errorf("got %s", r.Join)
	}
	for _, pin := range []string{fields[6], fields[8]} {
		if !strings.HasPrefix(pin, "sha256:") || len(pin) != len("sha256:")+64 {
			t.Errorf("pin %s", pin)
		}
	}
	if fields[6] == fields[8] || r.Loopback {
		t.Errorf("pins %s and %s, loopback %v", fields[6], fields[8], r.Loopback)
	}
	if r, err = describe(install.Cluster{Server: "https://127.0.0.1:6443", AuthorityPEM: ca.CertPEM}, token); err != nil || !r.Loopback {
		t.Errorf("loopback %v, %v", r.Loopback, err)
	}
	if _, err = describe(install.Cluster{Server: "https://10.64.3.1:6443", AuthorityPEM: []byte("none")}, token); err == nil {
		t.Error("no authority, no error")
	}
}

func TestWhatIsMeantAsATokenIsNotRepeated(t *testing.T) {
	const secret = "hunter2hunter2"
	_, err := DeleteTokens(t.Context(), Access{DataDir: t.TempDir()}, []string{"abcdef." + secret})
	if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "seedbed seed token list") {
		t.Errorf("got %v", err)
	}
}
