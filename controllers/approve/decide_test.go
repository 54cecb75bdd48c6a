package approve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/approve"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

const (
	machine      = "0123456789abcdef0123456789abcdef"
	otherMachine = "fedcba9876543210fedcba9876543210"
)

// makePEM makes a request with a key of its own.
func makePEM(t *testing.T, template *x509.CertificateRequest) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// ask is a case's input, before a case changes it.
type ask struct {
	approve.Input
	csr x509.CertificateRequest
}

func base(signer, user, group, cn, o string) func() *ask {
	return func() *ask {
		a := &ask{csr: x509.CertificateRequest{Subject: pkix.Name{CommonName: cn, Organization: []string{o}}}}
		a.Now = now
		a.Request = approve.Request{
			Made:   now.Add(-14 * time.Minute),
			Signer: signer, User: user, Groups: []string{group, "system:authenticated"},
			Usages: []string{"digital signature", "client auth"},
		}
		a.Node = &approve.Node{MachineID: machine, Addresses: []string{"10.64.3.8", "fd00:1::/64"}}
		return a
	}
}

const (
	agentUser   = "seedbed:node:node-a"
	kubeletUser = "system:node:node-a"
	tokenUser   = "system:bootstrap:abcdef"
)

// The good requests, each of a form that the contract with nodes names.
var (
	join = func() *ask {
		a := base(approve.SignerClient, tokenUser, "system:bootstrappers:seedbed", agentUser, "seedbed:nodes")()
		a.Request.MachineID, a.Node = machine, nil
		a.Scope = &approve.Scope{Labels: map[string]string{"role": "worker"}, Expires: now.Add(time.Hour)}
		return a
	}
	renewal        = base(approve.SignerClient, agentUser, "seedbed:nodes", agentUser, "seedbed:nodes")
	kubeProxy      = base(approve.SignerClient, agentUser, "seedbed:nodes", "seedbed:kube-proxy:node-a", "seedbed:kube-proxies")
	flannel        = base(approve.SignerClient, agentUser, "seedbed:nodes", "seedbed:flannel:node-a", "seedbed:flannels")
	kubeletByNode  = base(approve.SignerKubeletClient, agentUser, "seedbed:nodes", kubeletUser, "system:nodes")
	kubeletAgain   = base(approve.SignerKubeletClient, kubeletUser, "system:nodes", kubeletUser, "system:nodes")
	kubeletByToken = func() *ask {
		a := base(approve.SignerKubeletClient, tokenUser, "system:bootstrappers:seedbed", kubeletUser, "system:nodes")()
		a.Scope = join().Scope
		return a
	}
	serving = func() *ask {
		a := base(approve.SignerKubeletServing, kubeletUser, "system:nodes", kubeletUser, "system:nodes")()
		a.Request.Usages[1] = "server auth"
		a.Others = map[netip.Addr]string{netip.MustParseAddr("10.64.3.7"): "the API server"}
		a.csr.DNSNames, a.csr.IPAddresses = []string{"node-a"}, []net.IP{net.ParseIP("10.64.3.8"), net.ParseIP("fd00:1::8")}
		return a
	}
)

type decisionCase struct {
	reason  string
	from    func() *ask
	change  func(*ask)
	verdict approve.Verdict
	why     string
	// says is part of the message.
	says string
}

func (c decisionCase) run(t *testing.T) approve.Decision {
	t.Helper()
	a := c.from()
	if c.change != nil {
		c.change(a)
	}
	if a.Request.PEM == nil {
		a.Request.PEM = makePEM(t, &a.csr)
	}
	d := approve.Decide(a.Input)
	if d.Verdict != c.verdict || d.Reason != c.why || !strings.Contains(d.Message, c.says) {
		t.Errorf("%s:\n got %s, %s: %s\nwant %s, %s: … %s …", c.reason, d.Verdict, d.Reason, d.Message, c.verdict, c.why, c.says)
	}
	return d
}

func TestWhatIsApproved(t *testing.T) {
	for _, c := range []struct {
		decisionCase
		register bool
	}{
		{decisionCase{"a new node", join, nil, approve.Approved, approve.ReasonJoins, "node node-a joins with token abcdef"}, true},
		{decisionCase{"a node whose name the token gives", join, func(a *ask) { a.Scope.Nodes = []string{"node-b", "node-a"} }, approve.Approved, approve.ReasonJoins, ""}, true},
		{decisionCase{"a machine that joins again", join, func(a *ask) { a.Node = &approve.Node{MachineID: machine, TokenID: "abcdef"} }, approve.Approved, approve.ReasonJoins, ""}, false},
		{decisionCase{"a machine that joins again, with another token that names it", join, func(a *ask) {
			a.Node = &approve.Node{MachineID: machine, TokenID: "zzzzzz"}
			a.Scope.Nodes = []string{"node-a"}
		}, approve.Approved, approve.ReasonJoins, ""}, false},
		{decisionCase{"a machine whose agent reports, with a token that names it", join, func(a *ask) {
			a.Node = &approve.Node{MachineID: machine, Reported: true}
			a.Scope.Nodes = []string{"node-a"}
		}, approve.Approved, approve.ReasonJoins, ""}, false},
		{decisionCase{"a registered node that the token names", join, func(a *ask) { a.Node = &approve.Node{}; a.Scope.Nodes = []string{"node-a"} }, approve.Approved, approve.ReasonJoins, ""}, true},
		{decisionCase{"a machine that left, while its Node is there", join, func(a *ask) { a.Kubelet = &approve.Kubelet{MachineID: machine, Ours: true} }, approve.Approved, approve.ReasonJoins, ""}, true},
		{decisionCase{"a machine of the cluster that the token names", join, func(a *ask) {
			a.Kubelet = &approve.Kubelet{MachineID: machine}
			a.Scope.Nodes = []string{"node-a"}
		}, approve.Approved, approve.ReasonJoins, ""}, true},
		{decisionCase{"an RSA key's usages", join, func(a *ask) { a.Request.Usages = append(a.Request.Usages, "key encipherment") }, approve.Approved, approve.ReasonJoins, ""}, true},
		{decisionCase{"an agent's renewal, however long the manager was away", renewal, func(a *ask) { a.Request.Made = now.Add(-time.Hour) }, approve.Approved, approve.ReasonRenews, ""}, false},
		{decisionCase{"an agent's renewal", renewal, nil, approve.Approved, approve.ReasonRenews, "the agent of node node-a renews"}, false},
		{decisionCase{"a renewal of a node registered by hand", renewal, func(a *ask) { a.Node.MachineID = "" }, approve.Approved, approve.ReasonRenews, ""}, false},
		{decisionCase{"its kube-proxy", kubeProxy, nil, approve.Approved, approve.ReasonOwnProcess, "asks for its kube-proxy"}, false},
		{decisionCase{"its flannel", flannel, nil, approve.Approved, approve.ReasonOwnProcess, "asks for its flannel"}, false},
		{decisionCase{"its kubelet's server at an address of its own, wherever the API server is", serving, func(a *ask) {
			a.Others, a.csr.IPAddresses = nil, a.csr.IPAddresses[:1]
		}, approve.Approved, approve.ReasonOwnProcess, ""}, false},
		{decisionCase{"its kubelet", kubeletByNode, nil, approve.Approved, approve.ReasonOwnProcess, "asks for the kubelet of node node-a"}, false},
		{decisionCase{"a kubelet's renewal", kubeletAgain, nil, approve.Approved, approve.ReasonRenews, ""}, false},
		{decisionCase{"a kubelet's server", serving, nil, approve.Approved, approve.ReasonOwnProcess, "serves at its own"}, false},
		{decisionCase{"a kubelet's server beside the API server, named by itself", serving, func(a *ask) {
			a.Others = map[netip.Addr]string{netip.MustParseAddr("10.64.3.8"): "the API server"}
		}, approve.Approved, approve.ReasonOwnProcess, ""}, false},
		{decisionCase{"a kubelet's server in a range in which others are", serving, func(a *ask) {
			a.Node.Addresses = []string{"10.64.3.0/26", "fd00:1::/64"}
			a.Others = map[netip.Addr]string{netip.MustParseAddr("10.64.3.7"): "the API server"}
		}, approve.Approved, approve.ReasonOwnProcess, ""}, false},
		{decisionCase{"a node that is named like an API server, with a token that names it", join, func(a *ask) {
			a.ServerNames, a.Scope.Nodes = []string{"kubernetes", "node-a"}, []string{"node-a"}
		}, approve.Approved, approve.ReasonJoins, ""}, true},
		{decisionCase{"a node that was there before an API server was named like it", join, func(a *ask) {
			a.ServerNames, a.Node = []string{"node-a"}, &approve.Node{MachineID: machine, TokenID: "abcdef"}
		}, approve.Approved, approve.ReasonJoins, ""}, false},
		{decisionCase{"the server of a kubelet beside the API server, by the name of both", serving, func(a *ask) {
			a.ServerNames, a.Others[netip.MustParseAddr("10.64.3.8")] = []string{"node-a"}, "the API server"
		}, approve.Approved, approve.ReasonOwnProcess, ""}, false},
		{decisionCase{"a kubelet's server by name only", serving, func(a *ask) { a.csr.IPAddresses, a.Node.Addresses = nil, nil }, approve.Approved, approve.ReasonOwnProcess, ""}, false},
	} {
		if d := c.run(t); d.Register != c.register {
			t.Errorf("%s: register %v", c.reason, d.Register)
		}
	}
}

func TestWhatWaits(t *testing.T) {
	for _, c := range []decisionCase{
		{"a name that is about to be free", join, func(a *ask) { a.Node = &approve.Node{MachineID: otherMachine, Leaving: true} }, approve.Waiting, approve.ReasonLeaving, "being deleted"},
		{"a kubelet's server in a range that may hold the API server's address", serving, func(a *ask) {
			a.Others = map[netip.Addr]string{netip.MustParseAddr("10.254.0.1"): "the Service of the API server", netip.MustParseAddr("10.64.3.9"): "node node-b"}
		}, approve.Waiting, approve.ReasonServerUnknown, "IP address fd00:1::8: in spec.addresses of NodeState node-a only within a range, and nothing says whether it is the API server's: waiting for an address of that in the endpoints of Service default/kubernetes"},
		{"a kubelet's server, before an administrator gave addresses", serving, func(a *ask) { a.Node.Addresses = nil }, approve.Waiting, approve.ReasonNoAddresses, `-p '{"spec":{"addresses":["10.64.3.8"]}}'`},
	} {
		if d := c.run(t); d.Register {
			t.Errorf("%s: registers", c.reason)
		}
	}
}

func TestWhatIsNotOursIsIgnored(t *testing.T) {
	foreign := func(signer, user, group string) func() *ask { return base(signer, user, group, "jane", "developers") }
	for _, c := range []decisionCase{
		{"another signer", base("example.com/own", agentUser, "seedbed:nodes", agentUser, "seedbed:nodes"), nil, approve.Ignored, approve.ReasonNotOurs, ""},
		{"a user who asks for herself", foreign(approve.SignerClient, "jane", "developers"), nil, approve.Ignored, approve.ReasonNotOurs, ""},
		{"another tool's token that asks for a kubelet", base(approve.SignerKubeletClient, tokenUser, "system:bootstrappers:kubeadm:default-node-token", kubeletUser, "system:nodes"), nil, approve.Ignored, approve.ReasonNotOurs, ""},
		{"a kubelet of a node that is not ours", kubeletAgain, func(a *ask) { a.Node = nil }, approve.Ignored, approve.ReasonNotOurs, ""},
		{"a kubelet's server of a node that is not ours", serving, func(a *ask) { a.Node = nil }, approve.Ignored, approve.ReasonNotOurs, ""},
		{"who calls itself a kubelet and is none", foreign(approve.SignerKubeletServing, kubeletUser, "developers"), nil, approve.Ignored, approve.ReasonNotOurs, ""},
		{"an administrator who asks for another one", base(approve.SignerClient, "seedbed:admin", "seedbed:admins", "jane", "seedbed:admins"), nil, approve.Ignored, approve.ReasonNotOurs, ""},
	} {
		c.run(t)
	}
}

func TestWhatIsRefusedAtJoin(t *testing.T) {
	for _, c := range []decisionCase{
		{"a token that nobody made here", join, func(a *ask) { a.Scope = nil }, approve.Denied, approve.ReasonTokenUnknown, "seedbed-system/join-abcdef"},
		{"a scope that cannot be read", join, func(a *ask) { _, a.ScopeErr = approve.ReadScope(map[string]string{"expires": "soon"}) }, approve.Denied, approve.ReasonTokenScope, `data.expires "soon"`},
		{"a token at its end", join, func(a *ask) { a.Scope.Expires = now }, approve.Denied, approve.ReasonTokenExpired, "expired at 2026-05-01T12:00:00Z: make a token"},
		{"a token for other names", join, func(a *ask) { a.Scope.Nodes = []string{"node-b", "node-c"} }, approve.Denied, approve.ReasonTokenScope, "not for node node-a but for node-b, node-c"},
		{"a token for many other names", join, func(a *ask) { a.Scope.Nodes = strings.Split(strings.Repeat("n ", 30)+"n", " ") }, approve.Denied, approve.ReasonTokenScope, "and 21 more"},
		{"a host that has given up", join, func(a *ask) { a.Request.Made = now.Add(-15 * time.Minute) }, approve.Denied, approve.ReasonTooOld, "made at 2026-05-01T11:45:00Z, and at 2026-05-01T12:00:00Z more than 15m0s old: whoever asked has given up, or a clock is wrong: run `seedbed join` again"},
		{"a host that has given up, whose node was registered", join, func(a *ask) {
			a.Request.Made, a.Node = now.Add(-time.Hour), &approve.Node{}
			a.Scope.Nodes = []string{"node-a"}
		}, approve.Denied, approve.ReasonTooOld, ""},
		{"no machine-id", join, func(a *ask) { a.Request.MachineID = "" }, approve.Denied, approve.ReasonMachineID, `""`},
		{"a machine-id of other characters", join, func(a *ask) { a.Request.MachineID = strings.Repeat("g", 32) }, approve.Denied, approve.ReasonMachineID, "32 hexadecimal digits"},
		{"a machine-id in capitals, which systemd does not write", join, func(a *ask) { a.Request.MachineID = strings.ToUpper(otherMachine) }, approve.Denied, approve.ReasonMachineID, ""},
		{"a name that another machine has", join, func(a *ask) { a.Node = &approve.Node{MachineID: otherMachine} }, approve.Denied, approve.ReasonNameTaken, "choose another one with --node-name, or, if that machine is gone or was installed anew, delete NodeState node-a"},
		{"a machine whose agent reports, with a token for any", join, func(a *ask) { a.Node = &approve.Node{MachineID: machine, TokenID: "abcdef", Reported: true} }, approve.Denied, approve.ReasonNameTaken, "has joined already, and token abcdef does not name it: use a token made with --nodes node-a, or delete NodeState node-a first"},
		{"a machine that is joining, with another token for any", join, func(a *ask) { a.Node = &approve.Node{MachineID: machine, TokenID: "zzzzzz"} }, approve.Denied, approve.ReasonNameTaken, "node node-a is joining with token zzzzzz, and token abcdef is neither that one nor names it: use that one, a token made with --nodes node-a, or delete NodeState node-a first"},
		{"a machine that joined with a token that nobody noted", join, func(a *ask) { a.Node = &approve.Node{MachineID: machine} }, approve.Denied, approve.ReasonNameTaken, "delete NodeState node-a"},
		{"a registered name, with a token for any", join, func(a *ask) { a.Node = &approve.Node{} }, approve.Denied, approve.ReasonNameTaken, "a token made with --nodes node-a"},
		{"the name of a Node of somebody else's, in the words of its machine", join, func(a *ask) { a.Kubelet = &approve.Kubelet{MachineID: machine} }, approve.Denied, approve.ReasonNameTaken, "is that of a Node in the cluster, and token abcdef does not name it: if this is the machine, use a token made with --nodes node-a; if that machine is gone, delete Node node-a"},
		{"the name of a Node whose kubelet says no machine-id", join, func(a *ask) { a.Kubelet = &approve.Kubelet{} }, approve.Denied, approve.ReasonNameTaken, ""},
		{"the name of a node that left, from another machine", join, func(a *ask) { a.Kubelet = &approve.Kubelet{MachineID: otherMachine, Ours: true} }, approve.Denied, approve.ReasonNameTaken, ""},
		{"the name of an API server, with a token for any", join, func(a *ask) { a.ServerNames = []string{"kubernetes", "node-a"} }, approve.Denied, approve.ReasonNameTaken, "node name node-a is one that the API server is connected to by, and token abcdef does not name it: choose another name with --node-name, or, if"},
		{"a kubelet, with a token for any", kubeletByToken, nil, approve.Denied, approve.ReasonRequester, "token abcdef is for joining"},
		{"the kubelet of a node that reports, with a token that names it", kubeletByToken, func(a *ask) { a.Node.Reported, a.Scope.Nodes = true, []string{"node-a"} }, approve.Denied, approve.ReasonRequester, "leave kubelet.bootstrapTokenSecretRef out"},
		{"the kubelet of a registered node", kubeletByToken, func(a *ask) { a.Node = &approve.Node{} }, approve.Denied, approve.ReasonRequester, ""},
		{"a kubelet before its node has joined", kubeletByToken, func(a *ask) { a.Node = nil }, approve.Denied, approve.ReasonRequester, ""},
		{"a kube-proxy straight away", join, subject("seedbed:kube-proxy:node-a", "seedbed:kube-proxies"), approve.Denied, approve.ReasonRequester, "is for the agent of that node"},
	} {
		if d := c.run(t); d.Register {
			t.Errorf("%s: registers", c.reason)
		}
	}
}

func subject(cn string, o ...string) func(*ask) {
	return func(a *ask) { a.csr.Subject = pkix.Name{CommonName: cn, Organization: o} }
}

func by(user, group string) func(*ask) {
	return func(a *ask) { a.Request.User, a.Request.Groups = user, []string{group} }
}

func TestWhatIsRefusedOfSomebodyElse(t *testing.T) {
	for _, c := range []decisionCase{
		{"node B's agent renews A's", renewal, by("seedbed:node:node-b", "seedbed:nodes"), approve.Denied, approve.ReasonRequester, `"seedbed:node:node-b" asks for it`},
		{"an agent by name only", renewal, by(agentUser, "developers"), approve.Denied, approve.ReasonRequester, ""},
		{"a user takes an agent's name", renewal, by("jane", "developers"), approve.Denied, approve.ReasonRequester, `"jane"`},
		{"a user takes an agent's group", renewal, func(a *ask) { by("jane", "developers")(a); subject("jane", "seedbed:nodes")(a) }, approve.Denied, approve.ReasonSubject, ""},
		{"a kubelet takes an agent's name", renewal, by("system:node:node-z", "system:nodes"), approve.Denied, approve.ReasonRequester, ""},
		{"a kubelet takes the name of an agent that is not there", renewal, func(a *ask) { by("system:node:node-z", "system:nodes")(a); a.Node = nil }, approve.Denied, approve.ReasonRequester, ""},
		{"a kube-proxy asks for itself", kubeProxy, by("seedbed:kube-proxy:node-a", "seedbed:kube-proxies"), approve.Denied, approve.ReasonRequester, "is for the agent of that node"},
		{"node B's agent asks for A's flannel", flannel, by("seedbed:node:node-b", "seedbed:nodes"), approve.Denied, approve.ReasonRequester, ""},
		{"node B's agent asks for A's kubelet", kubeletByNode, by("seedbed:node:node-b", "seedbed:nodes"), approve.Denied, approve.ReasonRequester, ""},
		{"kubelet B renews A's", kubeletAgain, by("system:node:node-b", "system:nodes"), approve.Denied, approve.ReasonRequester, "node-a"},
		{"kubelet B serves as A", serving, by("system:node:node-b", "system:nodes"), approve.Denied, approve.ReasonRequester, "node-a"},
		{"an agent serves as its kubelet", serving, by(agentUser, "seedbed:nodes"), approve.Denied, approve.ReasonRequester, "is for that kubelet"},
		{"a token serves as a kubelet", serving, by(tokenUser, "system:bootstrappers:seedbed"), approve.Denied, approve.ReasonRequester, ""},
	} {
		c.run(t)
	}
}

func TestWhatIsRefusedOnceANodeIsGone(t *testing.T) {
	gone := func(a *ask) { a.Node = nil }
	leaving := func(a *ask) { a.Node.Leaving = true }
	for _, c := range []decisionCase{
		{"an agent's renewal", renewal, gone, approve.Denied, approve.ReasonNotJoined, "has no NodeState"},
		{"a kube-proxy", kubeProxy, gone, approve.Denied, approve.ReasonNotJoined, ""},
		{"a flannel", flannel, gone, approve.Denied, approve.ReasonNotJoined, ""},
		{"a kubelet", kubeletByNode, gone, approve.Denied, approve.ReasonNotJoined, ""},
		{"an agent's renewal, while it goes", renewal, leaving, approve.Denied, approve.ReasonLeaving, ""},
		{"a kube-proxy, while it goes", kubeProxy, leaving, approve.Denied, approve.ReasonLeaving, ""},
		{"a kubelet's server, while it goes", serving, leaving, approve.Denied, approve.ReasonLeaving, ""},
		{"a renewal from another machine", renewal, func(a *ask) { a.Request.MachineID = otherMachine }, approve.Denied, approve.ReasonMachineID, "another machine's"},
	} {
		c.run(t)
	}
}

func TestWhatNoCertificateMaySay(t *testing.T) {
	link, err := url.Parse("https://node-a")
	if err != nil {
		t.Fatal(err)
	}
	usages := func(u ...string) func(*ask) { return func(a *ask) { a.Request.Usages = u } }
	for _, c := range []decisionCase{
		{"no request", join, func(a *ask) { a.Request.PEM = []byte("no") }, approve.Denied, approve.ReasonMalformed, "not one PEM block"},
		{"a certificate", join, func(a *ask) { a.Request.PEM = []byte("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n") }, approve.Denied, approve.ReasonMalformed, ""},
		{"two requests", join, func(a *ask) { one := makePEM(t, &a.csr); a.Request.PEM = slices.Concat(one, one) }, approve.Denied, approve.ReasonMalformed, ""},
		{"a signature of another key", join, func(a *ask) { a.Request.PEM = spoil(t, makePEM(t, &a.csr)) }, approve.Denied, approve.ReasonMalformed, "verification"},
		{"an agent that asks for something else", renewal, subject("jane", "developers"), approve.Denied, approve.ReasonSubject, `common name "jane"`},
		{"an agent that asks to be an administrator", renewal, subject("seedbed:admin", "seedbed:admins"), approve.Denied, approve.ReasonSubject, ""},
		{"no node's name", renewal, subject("seedbed:node:", "seedbed:nodes"), approve.Denied, approve.ReasonSubject, ""},
		{"a name that no node can have", join, subject("seedbed:node:Node_A", "seedbed:nodes"), approve.Denied, approve.ReasonSubject, "not a node's name"},
		{"a long name", join, subject("seedbed:node:"+strings.Repeat("a", 5000), "seedbed:nodes"), approve.Denied, approve.ReasonSubject, ""},
		{"no group", join, subject(agentUser), approve.Denied, approve.ReasonSubject, "the organization seedbed:nodes"},
		{"another group", join, subject(agentUser, "seedbed:admins"), approve.Denied, approve.ReasonSubject, ""},
		{"one more group", join, subject(agentUser, "seedbed:nodes", "seedbed:admins"), approve.Denied, approve.ReasonSubject, ""},
		{"a kubelet in an agent's group", kubeletByNode, subject(kubeletUser, "seedbed:nodes"), approve.Denied, approve.ReasonSubject, "the organization system:nodes"},
		{"another attribute", join, func(a *ask) { a.csr.Subject.OrganizationalUnit = []string{"x"} }, approve.Denied, approve.ReasonSubject, "nothing else"},
		{"a second common name", join, func(a *ask) {
			a.csr.Subject.ExtraNames = commonNames("seedbed:node:node-b", agentUser)
		}, approve.Denied, approve.ReasonSubject, ""},
		{"to serve as well", join, usages("digital signature", "client auth", "server auth"), approve.Denied, approve.ReasonUsages, "server auth"},
		{"to sign certificates", renewal, usages("digital signature", "client auth", "cert sign"), approve.Denied, approve.ReasonUsages, "cert sign"},
		{"no client usage", renewal, usages("digital signature"), approve.Denied, approve.ReasonUsages, ""},
		{"no signature usage", renewal, usages("client auth"), approve.Denied, approve.ReasonUsages, ""},
		{"any usage", renewal, usages("any"), approve.Denied, approve.ReasonUsages, ""},
		{"a server that is a client as well", serving, usages("digital signature", "server auth", "client auth"), approve.Denied, approve.ReasonUsages, ""},
		{"a client with a DNS name", join, func(a *ask) { a.csr.DNSNames = []string{"kubernetes"} }, approve.Denied, approve.ReasonNames, "a client certificate has none"},
		{"a client with an address", kubeProxy, func(a *ask) { a.csr.IPAddresses = []net.IP{net.ParseIP("10.64.3.8")} }, approve.Denied, approve.ReasonNames, ""},
		{"a client with a mail address", flannel, func(a *ask) { a.csr.EmailAddresses = []string{"a@b"} }, approve.Denied, approve.ReasonNames, ""},
		{"a client with a URI", kubeletByNode, func(a *ask) { a.csr.URIs = []*url.URL{link} }, approve.Denied, approve.ReasonNames, ""},
		{"to be an authority", join, func(a *ask) {
			a.csr.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 3, 1, 1, 0xff}}}
		}, approve.Denied, approve.ReasonNames, "extension 2.5.29.19"},
		{"a server of another name", serving, func(a *ask) { a.csr.DNSNames = []string{"node-a", "kubernetes.default"} }, approve.Denied, approve.ReasonNames, `DNS name "kubernetes.default"`},
		{"a server at another address", serving, func(a *ask) { a.csr.IPAddresses = []net.IP{net.ParseIP("10.64.3.9")} }, approve.Denied, approve.ReasonNames, "IP address 10.64.3.9: not in spec.addresses of NodeState node-a (10.64.3.8, fd00:1::/64)"},
		{"a server at one address of its own and one of another", serving, func(a *ask) { a.csr.IPAddresses = append(a.csr.IPAddresses, net.ParseIP("10.254.0.1")) }, approve.Denied, approve.ReasonNames, "10.254.0.1"},
		{"a server at the API server's address, which is in the range of nodes", serving, func(a *ask) {
			a.Node.Addresses = []string{"10.64.3.0/26", "fd00:1::/64"}
			a.Others = map[netip.Addr]string{netip.MustParseAddr("10.64.3.8"): "the API server"}
		}, approve.Denied, approve.ReasonNames, "IP address 10.64.3.8: belongs to the API server, and is in spec.addresses of NodeState node-a only within a range"},
		{"a server by the API server's name", serving, func(a *ask) { a.ServerNames = []string{"kubernetes", "node-a"} }, approve.Denied, approve.ReasonNames, "DNS name node-a: belongs to the API server, of which no address is in spec.addresses of NodeState node-a by itself"},
		{"a server by the API server's name alone, before it has addresses", serving, func(a *ask) {
			a.ServerNames, a.csr.IPAddresses, a.Node.Addresses = []string{"node-a"}, nil, nil
		}, approve.Denied, approve.ReasonNames, "belongs to the API server"},
		{"a server by the API server's name, whose address is in the range of nodes", serving, func(a *ask) {
			a.ServerNames, a.Node.Addresses = []string{"node-a"}, []string{"10.64.3.0/26", "fd00:1::/64"}
		}, approve.Denied, approve.ReasonNames, "belongs to the API server"},
		{"a server by the API server's name, at the address of its Service", serving, func(a *ask) {
			a.ServerNames, a.Others[netip.MustParseAddr("10.64.3.8")] = []string{"node-a"}, "the Service of the API server"
		}, approve.Denied, approve.ReasonNames, "belongs to the API server"},
		{"a server with a URI", serving, func(a *ask) { a.csr.URIs = []*url.URL{link} }, approve.Denied, approve.ReasonNames, ""},
		{"a server without a name", serving, func(a *ask) { a.csr.DNSNames, a.csr.IPAddresses = nil, nil }, approve.Denied, approve.ReasonNames, "at least one"},
		{"a server compared with addresses that are none", serving, func(a *ask) { a.Node.Addresses = []string{"node-a"} }, approve.Denied, approve.ReasonNames, "spec.addresses: "},
	} {
		if d := c.run(t); len(d.Message) > 600 || strings.Contains(d.Message, "\n") {
			t.Errorf("%s: the message is long or of several lines: %q", c.reason, d.Message)
		}
	}
}

func commonNames(names ...string) []pkix.AttributeTypeAndValue {
	var all []pkix.AttributeTypeAndValue
	for _, name := range names {
		all = append(all, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: name})
	}
	return all
}

// spoil changes a request's signature.
func spoil(t *testing.T, content []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(content)
	// The last byte is of the number s.
	block.Bytes[len(block.Bytes)-1] ^= 1
	return pem.EncodeToMemory(block)
}

func TestReadSaysWhatMustBeKnown(t *testing.T) {
	for _, tc := range []struct {
		reason string
		from   func() *ask
		want   approve.Claim
	}{
		{"a join", join, approve.Claim{Kind: approve.Agent, Node: "node-a", TokenID: "abcdef"}},
		{"a renewal", renewal, approve.Claim{Kind: approve.Agent, Node: "node-a"}},
		{"a kube-proxy", kubeProxy, approve.Claim{Kind: approve.KubeProxy, Node: "node-a"}},
		{"a kubelet by token", kubeletByToken, approve.Claim{Kind: approve.KubeletClient, Node: "node-a", TokenID: "abcdef"}},
		{"a kubelet's server", serving, approve.Claim{Kind: approve.KubeletServing, Node: "node-a"}},
	} {
		a := tc.from()
		a.Request.PEM = makePEM(t, &a.csr)
		if got, ours := approve.Read(a.Request); !ours || got != tc.want {
			t.Errorf("%s: got %+v, %v", tc.reason, got, ours)
		}
	}
}
