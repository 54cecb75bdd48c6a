package approve

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Verdict is what becomes of a request.
type Verdict string

// The verdicts.
const (
	// Ignored requests are not ours: others decide them, or nobody.
	Ignored Verdict = "Ignored"
	// Waiting requests lack something that may yet come.
	Waiting  Verdict = "Waiting"
	Approved Verdict = "Approved"
	Denied   Verdict = "Denied"
)

// Reasons of decisions, for conditions and events.
const (
	ReasonJoins         = "NodeJoins"
	ReasonRenews        = "NodeRenews"
	ReasonOwnProcess    = "OwnProcess"
	ReasonMalformed     = "MalformedRequest"
	ReasonSubject       = "SubjectRefused"
	ReasonUsages        = "UsagesRefused"
	ReasonNames         = "NamesRefused"
	ReasonRequester     = "RequesterMismatch"
	ReasonTokenUnknown  = "TokenUnknown"
	ReasonTokenExpired  = "TokenExpired"
	ReasonTokenScope    = "OutsideTokenScope"
	ReasonMachineID     = "MachineIDRefused"
	ReasonNameTaken     = "NameTaken"
	ReasonNotJoined     = "NodeNotJoined"
	ReasonTooOld        = "RequestTooOld"
	ReasonLeaving       = "NodeLeaving"
	ReasonNoAddresses   = "NoAddresses"
	ReasonServerUnknown = "APIServerUnknown"
	ReasonNotOurs       = "NotOurs"
)

// Node is what is known of a node: its NodeState.
type Node struct {
	// MachineID of the machine that has the name; "" when an administrator registered the node and no
	// machine has joined by that name.
	MachineID string
	// TokenID of the token with which that machine joined; "" when that is not known.
	TokenID string
	// Addresses are spec.addresses.
	Addresses []string
	// Reported is true once the node's agent has written its status: it has an identity in use.
	Reported bool
	// Leaving is true for a NodeState that is being deleted.
	Leaving bool
}

// Kubelet is what a Node says of the kubelet that has registered it.
type Kubelet struct {
	// MachineID of its machine; "" when it says none. Other nodes can read it.
	MachineID string
	// Ours is true when the manager has made or adopted the Node.
	Ours bool
}

// Input is all that a decision depends on.
type Input struct {
	Request Request
	// Scope of the token that Claim.TokenID names; nil when there is none.
	Scope *Scope
	// ScopeErr says why the scope cannot be read.
	ScopeErr error
	// Node that Claim.Node names; nil when there is none.
	Node *Node
	// Kubelet of the Node that has that name; nil when there is none or no kubelet has registered it.
	Kubelet *Kubelet
	// Others are addresses that somebody else serves at, by the word of administrators and of the API
	// server, and who does.
	Others map[netip.Addr]string
	// ServerNames are names by which API servers are connected to, of one label.
	ServerNames []string
	Now         time.Time
}

// Decision is what becomes of a request, and why.
type Decision struct {
	Verdict Verdict
	Reason  string
	// Message says for a refusal what is wrong and what to do about it.
	Message string
	// Register says that the NodeState must first be made, with the labels and addresses of the scope,
	// or, where there is one, be given the machine id.
	Register bool
}

// denied is what a check returns for what it refuses; nil is nothing wrong.
func denied(reason, format string, args ...any) *Decision {
	return &Decision{Verdict: Denied, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Decide decides a request that Read says may be ours.
func Decide(in Input) Decision {
	claim, ours := Read(in.Request)
	who := requesterOf(in.Request)
	foreign := who.kubelet != "" && in.Request.Signer != SignerClient && in.Node == nil
	if !ours || foreign {
		return Decision{Verdict: Ignored, Reason: ReasonNotOurs}
	}
	csr, err := parse(in.Request.PEM)
	if err != nil {
		return *denied(ReasonMalformed, "spec.request: %v: make a new key and request", err)
	}
	if d := checkForm(in.Request, claim, csr); d != nil {
		return *d
	}
	switch claim.Kind {
	case Agent:
		return decideAgent(in, claim, who)
	case KubeProxy, Flannel:
		return decideOwn(in, claim, who)
	case KubeletClient:
		return decideKubelet(in, claim, who)
	default:
		return decideServing(in, claim, who, csr)
	}
}

// decideOwn is for what an agent may ask for on behalf of another process of its node.
func decideOwn(in Input, claim Claim, who requester) Decision {
	if who.agent != claim.Node {
		return *mismatch(in, claim, "the agent of that node")
	}
	if d := joined(in, claim); d != nil {
		return *d
	}
	return Decision{Verdict: Approved, Reason: ReasonOwnProcess, Message: fmt.Sprintf("the agent of node %s asks for its %s", claim.Node, claim.Kind)}
}

func decideKubelet(in Input, claim Claim, who requester) Decision {
	switch {
	// Every node that may use a token could become the kubelet of every other one with it.
	case who.token != "":
		return *denied(ReasonRequester, "token %s is for joining, which gives a node's agent its certificate, and for no kubelet's: "+
			"leave kubelet.bootstrapTokenSecretRef out of the NodeConfig, so that the kubelet asks with the certificate of its node's agent", claim.TokenID)
	case who.agent != claim.Node && who.kubelet != claim.Node:
		return *mismatch(in, claim, "that kubelet, or the agent of its node")
	}
	if d := joined(in, claim); d != nil {
		return *d
	}
	if who.kubelet != "" {
		return renews(claim)
	}
	return Decision{Verdict: Approved, Reason: ReasonOwnProcess, Message: fmt.Sprintf("%s asks for the kubelet of node %s", in.Request.User, claim.Node)}
}

func renews(claim Claim) Decision {
	return Decision{Verdict: Approved, Reason: ReasonRenews, Message: fmt.Sprintf("the %s of node %s renews its certificate", claim.Kind, claim.Node)}
}

// joined refuses what is for a node that has no NodeState, or not for long.
func joined(in Input, claim Claim) *Decision {
	switch {
	case in.Node == nil:
		return denied(ReasonNotJoined, "node %s has no NodeState: join it with `seedbed join` and a token", clip(claim.Node))
	case in.Node.Leaving:
		return denied(ReasonLeaving, "NodeState %s is being deleted: join the node again once it is gone", claim.Node)
	}
	return nil
}

func mismatch(in Input, claim Claim, who string) *Decision {
	return denied(ReasonRequester, "a certificate of the %s of node %s is for %s, and %s asks for it", claim.Kind, clip(claim.Node), who, clip(in.Request.User))
}

// clip quotes what a requester wrote, which may be long.
func clip(s string) string {
	const maxQuoted = 80
	if len(s) > maxQuoted {
		s = s[:maxQuoted]
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(s, ""))
}

// noNames is true for a request without subject alternative names.
func noNames(csr *x509.CertificateRequest) bool {
	return len(csr.DNSNames)+len(csr.IPAddresses)+len(csr.EmailAddresses)+len(csr.URIs) == 0
}
