package approve

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// Usages, and the one extension that a request may have.
const (
	usageDigitalSignature = "digital signature"
	usageKeyEncipherment  = "key encipherment"
	usageClientAuth       = "client auth"
	usageServerAuth       = "server auth"
	sanExtension          = "2.5.29.17"
)

var errNotPEM = errors.New("not one PEM block of type CERTIFICATE REQUEST")

// checkForm refuses what no certificate of that kind may say, whoever asks.
func checkForm(r Request, claim Claim, csr *x509.CertificateRequest) *Decision {
	if claim.Kind == None {
		return denied(ReasonSubject, "common name %s: not one that %s may ask of signer %s", clip(csr.Subject.CommonName), clip(r.User), r.Signer)
	}
	_, name := subject(r.Signer, csr)
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return denied(ReasonSubject, "common name %s: %s is not a node's name: %s", clip(csr.Subject.CommonName), clip(name), problems[0])
	}
	if name != claim.Node {
		return denied(ReasonRequester, "%s asks for a certificate of the %s of node %s", clip(r.User), claim.Kind, name)
	}
	// Names has every attribute, also those that Subject has no field for and a second common name.
	if group := groupOf(claim.Kind); len(csr.Subject.Names) != 2 || !slices.Equal(csr.Subject.Organization, []string{group}) {
		return denied(ReasonSubject, "subject %s: the %s of a node has a common name, the organization %s and nothing else", clip(csr.Subject.String()), claim.Kind, group)
	}
	if d := checkUsages(r, claim.Kind); d != nil {
		return d
	}
	for _, e := range csr.Extensions {
		if e.Id.String() != sanExtension {
			return denied(ReasonNames, "extension %s: only subject alternative names may be asked for", e.Id)
		}
	}
	if claim.Kind != KubeletServing && !noNames(csr) {
		return denied(ReasonNames, "subject alternative names: a client certificate has none")
	}
	return nil
}

// checkUsages wants the usages that client-go asks for: key encipherment is for RSA keys.
func checkUsages(r Request, kind Kind) *Decision {
	auth := usageClientAuth
	if kind == KubeletServing {
		auth = usageServerAuth
	}
	allowed := []string{usageDigitalSignature, usageKeyEncipherment, auth}
	tooMuch := slices.ContainsFunc(r.Usages, func(u string) bool { return !slices.Contains(allowed, u) })
	if tooMuch || !slices.Contains(r.Usages, auth) || !slices.Contains(r.Usages, usageDigitalSignature) {
		return denied(ReasonUsages, "usages %s: those of the %s are %q, %q and, with an RSA key, %q",
			clip(strings.Join(r.Usages, ", ")), kind, usageDigitalSignature, auth, usageKeyEncipherment)
	}
	return nil
}

// checkRanged judges an address that a node has only within a range, which says where nodes are, and not
// that one of them may pass for what else is there.
func checkRanged(in Input, claim Claim, ip netip.Addr) *Decision {
	if who, taken := in.Others[ip]; taken {
		return denied(ReasonNames, "IP address %s: belongs to %s, and is in spec.addresses of NodeState %s only within a range: if it is that node's too, add it there by itself",
			ip, who, claim.Node)
	}
	if knowsServer(in.Others) {
		return nil
	}
	return &Decision{Verdict: Waiting, Reason: ReasonServerUnknown, Message: fmt.Sprintf(
		"IP address %s: in spec.addresses of NodeState %s only within a range, and nothing says whether it is the API server's: "+
			"waiting for an address of that in the endpoints of Service default/kubernetes, in the server of ConfigMap kube-public/cluster-info, or in kubernetes.apiServer of a NodeConfig; "+
			"or add the node's to spec.addresses by itself", ip, claim.Node)}
}

// decideServing is for what the API server verifies when it connects to a kubelet. Its addresses are
// compared with what a token or an administrator says, never with what the node reports.
func decideServing(in Input, claim Claim, who requester, csr *x509.CertificateRequest) Decision {
	if who.kubelet != claim.Node {
		return *mismatch(in, claim, "that kubelet")
	}
	if d := joined(in, claim); d != nil {
		return *d
	}
	allowed, err := ParseAddresses(in.Node.Addresses)
	if err != nil {
		return *denied(ReasonNames, "NodeState %s: spec.addresses: %v", claim.Node, err)
	}
	if d := checkNames(in, claim, csr, allowed); d != nil {
		return *d
	}
	if len(in.Node.Addresses) == 0 && len(csr.IPAddresses) > 0 {
		return Decision{Verdict: Waiting, Reason: ReasonNoAddresses, Message: fmt.Sprintf(
			"NodeState %s has no spec.addresses to compare %s with: if that is the node's, set it, as in kubectl patch nodestate %s --type merge -p '{\"spec\":{\"addresses\":[%q]}}'",
			claim.Node, csr.IPAddresses[0], claim.Node, csr.IPAddresses[0].String())}
	}
	for _, raw := range csr.IPAddresses {
		ip, ok := netip.AddrFromSlice(raw)
		if ip = ip.Unmap(); !ok || !slices.ContainsFunc(allowed, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return *denied(ReasonNames, "IP address %s: not in spec.addresses of NodeState %s (%s): add it there if it is that node's",
				raw, claim.Node, few(in.Node.Addresses))
		}
		if slices.Contains(allowed, netip.PrefixFrom(ip, ip.BitLen())) {
			continue
		}
		if d := checkRanged(in, claim, ip); d != nil {
			return *d
		}
	}
	return Decision{Verdict: Approved, Reason: ReasonOwnProcess, Message: fmt.Sprintf("the kubelet of node %s serves at its own names and addresses", claim.Node)}
}

// checkNames judges the names that a kubelet wants to serve by. One that API servers are connected to by
// is the node's own and theirs: who could serve by it could pass for them.
func checkNames(in Input, claim Claim, csr *x509.CertificateRequest, allowed []netip.Prefix) *Decision {
	for _, dns := range csr.DNSNames {
		switch {
		case dns != claim.Node:
			return denied(ReasonNames, "DNS name %s: the kubelet of node %s serves by that name only", clip(dns), claim.Node)
		case slices.Contains(in.ServerNames, dns) && !isServer(in, allowed):
			return denied(ReasonNames, "DNS name %s: belongs to the API server, of which no address is in spec.addresses of NodeState %s by itself: "+
				"if it runs on that node, add its address there; else let the node leave and join by another name", dns, claim.Node)
		}
	}
	if len(csr.EmailAddresses)+len(csr.URIs) > 0 || noNames(csr) {
		return denied(ReasonNames, "subject alternative names: a kubelet's server has at least one DNS name or IP address, and no other kind")
	}
	return nil
}
