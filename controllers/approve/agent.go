package approve

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// maxJoinAge is how long a request to join is good for. `seedbed join` gives up after five minutes by
// default; what is approved later makes a NodeState that no host ever answers for.
const maxJoinAge = 15 * time.Minute

// What a machine-id(5) looks like.
const (
	machineIDDigits   = 32
	machineIDAlphabet = "0123456789abcdef"
)

func decideAgent(in Input, claim Claim, who requester) Decision {
	switch {
	case who.token != "":
		return decideJoin(in, claim)
	case who.agent != claim.Node:
		return *mismatch(in, claim, "that agent, or for who presents a token that allows it")
	}
	if d := joined(in, claim); d != nil {
		return *d
	}
	if id := in.Request.MachineID; id != "" && in.Node.MachineID != "" && id != in.Node.MachineID {
		return *denied(ReasonMachineID, "annotation %s: NodeState %s is another machine's: join this one by another name", v1alpha1.MachineIDAnnotation, claim.Node)
	}
	return renews(claim)
}

// decideJoin is for a machine that joins, or joins again.
func decideJoin(in Input, claim Claim) Decision {
	if d := checkScope(in, claim); d != nil {
		return *d
	}
	if !in.Now.Before(in.Request.Made.Add(maxJoinAge)) {
		return *denied(ReasonTooOld, "made at %s, and at %s more than %s old: whoever asked has given up, or a clock is wrong: run `seedbed join` again",
			in.Request.Made.UTC().Format(timeFormat), in.Now.UTC().Format(timeFormat), maxJoinAge)
	}
	id := in.Request.MachineID
	if len(id) != machineIDDigits || strings.Trim(id, machineIDAlphabet) != "" {
		return *denied(ReasonMachineID, "annotation %s %s: not a machine-id(5), %d hexadecimal digits: give the machine one with systemd-machine-id-setup",
			v1alpha1.MachineIDAnnotation, clip(id), machineIDDigits)
	}
	approved := Decision{Verdict: Approved, Reason: ReasonJoins, Register: true, Message: fmt.Sprintf("node %s joins with token %s", claim.Node, claim.TokenID)}
	named := slices.Contains(in.Scope.Nodes, claim.Node)
	switch {
	case in.Node == nil:
		if d := checkFree(in, claim, named); d != nil {
			return *d
		}
		return approved
	case in.Node.Leaving:
		return Decision{Verdict: Waiting, Reason: ReasonLeaving, Message: fmt.Sprintf("waiting for NodeState %s, which is being deleted, to be gone", claim.Node)}
	case in.Node.MachineID == id:
		if d := checkAgain(in.Node, claim, named); d != nil {
			return *d
		}
		approved.Register = false
		return approved
	case in.Node.MachineID != "":
		return *denied(ReasonNameTaken, "node name %s is taken by another machine: choose another one with --node-name, or, if that machine is gone or was installed anew, delete NodeState %s",
			claim.Node, claim.Node)
	// Its labels, which are an administrator's, may give it more than the token would.
	case !named:
		return *denied(ReasonNameTaken, "node name %s is one that an administrator registered, and token %s does not name it: use a token made with --nodes %s",
			claim.Node, claim.TokenID, claim.Node)
	}
	return approved
}

// checkFree refuses the name of an API server, and that of a Node that somebody's kubelet has registered:
// whoever got it would be that kubelet, too. A Node of ours without a NodeState was left, and goes; until
// then the machine that left may have its name again.
func checkFree(in Input, claim Claim, named bool) *Decision {
	if !named && slices.Contains(in.ServerNames, claim.Node) {
		return denied(ReasonNameTaken, "node name %s is one that the API server is connected to by, and token %s does not name it: choose another name with --node-name, "+
			"or, if the API server runs on this machine, use a token made with --nodes %s and its address alone with --addresses", claim.Node, claim.TokenID, claim.Node)
	}
	k := in.Kubelet
	if k == nil || named || k.Ours && k.MachineID == in.Request.MachineID {
		return nil
	}
	return denied(ReasonNameTaken, "node name %s is that of a Node in the cluster, and token %s does not name it: if this is the machine, use a token made with --nodes %s; "+
		"if that machine is gone, delete Node %s; else choose another name with --node-name", claim.Node, claim.TokenID, claim.Node, claim.Node)
}

// checkAgain refuses to give an identity a second time. Others can read a machine-id in the request by
// which it joined, so that it is known proves nothing: either an administrator says for whom the token
// is, or it is the token of a join that has not come to its end.
func checkAgain(node *Node, claim Claim, named bool) *Decision {
	switch {
	case named, !node.Reported && node.TokenID == claim.TokenID:
		return nil
	case node.Reported:
		return denied(ReasonNameTaken, "node %s has joined already, and token %s does not name it: use a token made with --nodes %s, or delete NodeState %s first",
			claim.Node, claim.TokenID, claim.Node, claim.Node)
	}
	return denied(ReasonNameTaken, "node %s is joining with token %s, and token %s is neither that one nor names it: use that one, a token made with --nodes %s, or delete NodeState %s first",
		claim.Node, node.TokenID, claim.TokenID, claim.Node, claim.Node)
}

// checkScope refuses what the token is not for.
func checkScope(in Input, claim Claim) *Decision {
	const cure = "make a token with `seedbed seed token create`"
	switch {
	case in.ScopeErr != nil:
		return denied(ReasonTokenScope, "token %s: %v: %s", claim.TokenID, in.ScopeErr, cure)
	case in.Scope == nil:
		return denied(ReasonTokenUnknown, "token %s: there is no ConfigMap %s/%s that says what it is for: %s",
			claim.TokenID, v1alpha1.Namespace, v1alpha1.JoinName(claim.TokenID), cure)
	case !in.Now.Before(in.Scope.Expires):
		return denied(ReasonTokenExpired, "token %s expired at %s: %s", claim.TokenID, in.Scope.Expires.UTC().Format(timeFormat), cure)
	case !in.Scope.Allows(claim.Node):
		return denied(ReasonTokenScope, "token %s is not for node %s but for %s: join by one of these with --node-name, or %s",
			claim.TokenID, claim.Node, few(in.Scope.Nodes), cure)
	}
	return nil
}

// few lists names, but not so many that nobody reads them.
func few(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
