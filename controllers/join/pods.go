package join

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// atOnce is how many containers are stopped at a time: each may take its whole grace period.
const atOnce = 8

// endPods stops the kubelet that Seedbed runs, and then the containers of its pods. With live-restore
// they would go on without docker, and nobody would ever stop them. A kubelet that had an identity
// before belongs to another cluster, and so do its pods.
func (n *Node) endPods(ctx context.Context, kubeletHadIdentity bool) error {
	ledger, err := apply.Peek(n.Host.Store)
	if err != nil || kubeletHadIdentity || n.Host.Containers == nil {
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
	var stopping []string
	for _, id := range state.SortedKeys(running) {
		if running[id].Kubernetes {
			stopping = append(stopping, id)
		}
	}
	if len(stopping) == 0 {
		return nil
	}
	n.Say("stopping %d containers of pods", len(stopping))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, id := range stopping {
		group.Go(func() error { return n.Host.Containers.Stop(ctx, id) })
	}
	return group.Wait()
}
