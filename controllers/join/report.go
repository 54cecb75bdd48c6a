package join

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

const agentLog = "its log says why: journalctl -u " + resolve.UnitAgent

// start hands the host to the agent and waits until it has reported. What the agent has done to the
// host until then is undone with the rest.
func (j *joining) start(ctx context.Context, authority []byte) error {
	api, err := j.newIdentity(authority)
	if err != nil {
		return err
	}
	if err := j.letGo(); err != nil {
		return err
	}
	j.undo.add("put the host back", func(ctx context.Context) error {
		if j.renews() || j.hadLedger {
			return nil
		}
		return j.restoreAll(ctx, j.kubeletHad)
	})
	j.undo.add("stop the agent", j.stopAgent)
	if err := j.Host.Units.Do(ctx, resolve.UnitAgent, host.Start); err != nil {
		return because(err, agentLog, "the agent does not start")
	}
	j.Say("started %s; waiting for its first report", resolve.UnitAgent)
	return j.reported(ctx, api)
}

// reported waits until the agent has written its NodeState's status. An agent that is busy with a
// long first pass, while its NodeState is there, is as good as one that has.
func (j *joining) reported(ctx context.Context, api client.Client) error {
	first, err := j.Host.Units.Get(ctx, resolve.UnitAgent)
	if err != nil {
		return err
	}
	registered := false
	for {
		unit, err := j.Host.Units.Get(ctx, resolve.UnitAgent)
		if err == nil && (unit.Activity != state.Active || unit.Invocation != first.Invocation) {
			return problemf(agentLog, "the agent was started and has ended")
		}
		node, away := nodeState(ctx, api, j.request.Node)
		if node != nil && node.Status.Facts != nil {
			return nil
		}
		registered = registered || node != nil
		stop := j.pause(ctx)
		switch {
		case stop == nil:
		case registered:
			j.Say("the agent runs and has not reported yet: its first pass takes long; journalctl -fu %s shows it", resolve.UnitAgent)
			return nil
		case apierrors.IsForbidden(away):
			return because(away, "is the manager running? It gives a node its rights, when it has approved the request itself", "node %s may not read its NodeState", j.request.Node)
		case away != nil:
			return because(away, "run join again when it answers", "%s has signed the agent's certificate and does not answer any more", j.request.Server)
		default:
			return because(stop, "is the manager running? It makes it when it approves the request, and not when somebody else does", "there is no NodeState %s", j.request.Node)
		}
	}
}

// newIdentity connects with the certificate that was just obtained.
func (j *joining) newIdentity(authority []byte) (client.Client, error) {
	return newClient(&rest.Config{Host: j.request.Server, TLSClientConfig: rest.TLSClientConfig{
		CAData: authority, CertData: j.identity.certPEM, KeyData: j.identity.keyPEM,
	}})
}

// forgetNewborn deletes the NodeState when it was made for this join: its name is free again then.
func (j *joining) forgetNewborn(authority []byte) func(context.Context) error {
	return func(ctx context.Context) error {
		api, err := j.newIdentity(authority)
		if err != nil {
			return err
		}
		node, err := j.granted(ctx, api, j.request.Node)
		if err == nil && node != nil && !node.CreationTimestamp.Before(&j.identity.requested) {
			err = client.IgnoreNotFound(api.Delete(ctx, node))
		}
		if err != nil {
			j.Say("NodeState %s stays (%v); an administrator removes it: kubectl delete nodestate %s", j.request.Node, err, j.request.Node)
		}
		return nil
	}
}
