package join

import (
	"cmp"
	"context"
	"fmt"
	"maps"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// endPods stops the kubelet that Seedbed runs, and then the containers of its pods. With live-restore
// they would go on without docker, and nobody would ever stop them. A kubelet that had an identity
// before belongs to another cluster, and so do its pods.
func (n *Node) endPods(ctx context.Context, rec *record) error {
	ledger, err := apply.Peek(n.Host.Store)
	if err != nil || rec.KubeletHadIdentity || n.Host.Containers == nil {
		return err
	}
	if _, ours := ledger.Owned[state.Ref{Kind: state.KindUnit, Name: resolve.UnitKubelet}]; !ours {
		return nil
	}
	kubelet, err := n.Host.Units.Get(ctx, resolve.UnitKubelet)
	if err != nil {
		return err
	}
	if kubelet.Activity != state.Inactive {
		if err := n.Host.Units.Do(ctx, resolve.UnitKubelet, host.Stop); err != nil {
			return fmt.Errorf("unit %s: %w", resolve.UnitKubelet, err)
		}
	}
	if err := n.sayLeft(ctx); err != nil {
		n.Say("the Node stays, since it could not be said there that its kubelet has stopped (%s); an administrator removes it: kubectl delete node %s", oneLine(err), cmp.Or(rec.Node, "NAME"))
	}
	docker, err := n.Host.Units.Get(ctx, resolve.UnitDocker)
	if err != nil || docker.Activity != state.Active {
		return err
	}
	return n.stopPods(ctx)
}

func (n *Node) stopPods(ctx context.Context) error {
	running, err := n.Host.Containers.Running(ctx)
	if err != nil {
		return err
	}
	maps.DeleteFunc(running, func(_ string, c state.Container) bool { return !c.Kubernetes })
	if len(running) == 0 {
		return nil
	}
	n.Say("stopping %d containers of pods", len(running))
	return apply.StopContainers(ctx, n.Host.Containers, running)
}
