package render

import (
	"path"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// renderDockerOpts renders the unit that turns flannel's lease into dockerd's options.
//
// It is ordered after flanneld, whose start is bounded: on a slow boot the last lease is not taken
// while flanneld is still getting a new one. When flanneld fails, systemd starts it all the same,
// and it takes the last lease after its patience. Its own start has no limit, since without any
// lease it goes on waiting, and docker with it. It has no inputs: a oneshot that is done reads
// nothing any more, and restarting it would restart docker.
func renderDockerOpts(resolve.Node) (state.Host, error) {
	host := state.New()
	u := &unitFile{}
	u.add("Unit", "Description", "docker's options from flannel's lease").
		add("Unit", "Wants", resolve.UnitFlannel).
		add("Unit", "After", resolve.UnitFlannel).
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
