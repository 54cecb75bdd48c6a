package render

import (
	"path"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// renderDockerOpts renders the unit that turns flannel's lease into dockerd's options.
//
// It is ordered after the network, as flanneld is, and not after flanneld: with the seed away flanneld's
// start takes until its limit, and local containers would wait for that. It waits for the lease by
// itself, for its patience, which counts from when flanneld can begin: then it takes the last lease.
// After a boot flannel's file is not there before flanneld has its lease (it is below /run). Its own
// start has no limit, since without any lease it goes on waiting, and docker with it. It has no
// inputs: a oneshot that is done reads nothing any more, and restarting it would restart docker.
func renderDockerOpts(resolve.Node) (state.Host, error) {
	host := state.New()
	u := &unitFile{}
	u.add("Unit", "Description", "docker's options from flannel's lease").
		add("Unit", "Wants", "network-online.target "+resolve.UnitFlannel).
		add("Unit", "After", "network-online.target").
		add("Unit", "RequiresMountsFor", path.Dir(resolve.PathLastLease)).
		add("Service", "Type", "oneshot").
		add("Service", "RemainAfterExit", "yes").
		add("Service", "TimeoutStartSec", "infinity").
		exec([]string{resolve.PathSeedbed, "docker-opts"}).
		add("Install", "WantedBy", "multi-user.target")
	content, err := u.bytes()
	if err != nil {
		return host, err
	}
	unit := unitPath(resolve.UnitDockerOpts, "")
	host.Files[unit] = file(content)
	host.Units[resolve.UnitDockerOpts] = state.Unit{
		Enablement: state.Enabled, Activity: state.Active, Needs: needs(host, unit),
	}
	return host, nil
}
