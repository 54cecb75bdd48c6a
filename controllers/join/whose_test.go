package join

import (
	"testing"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func TestAHostIsTheNodeThatItJoinedBy(t *testing.T) {
	const unit = state.UnitFolder + resolve.UnitAgent
	file := func(content string) state.File {
		return state.File{Content: []byte(content), Mode: 0o644, Owner: "root", Group: "root"}
	}
	for _, c := range []struct {
		reason, record, unit, want string
	}{
		{"it never joined", "", "", ""},
		{"its record says it", `{"version":1,"server":"https://seed:6443","node":"worker-7","joined":true}`, "", "worker-7"},
		{"also of one that left and was kept", `{"version":1,"node":"worker-7","kept":true}`, "", "worker-7"},
		{"its record counts more than its unit", `{"version":1,"node":"worker-7"}`, string(unitFile("other")), "worker-7"},
		{"a record that is damaged leaves the unit", "{", string(unitFile("worker-8")), "worker-8"},
		{"a unit by hand", "", "[Service]\nExecStart=\nExecStart=/opt/seedbed agent --node-name worker-9 --kubeconfig /etc/k\n", "worker-9"},
		{"quoted", "", "[Service]\nExecStart=/opt/seedbed agent \"--node-name=worker-9\"\n", "worker-9"},
		{"without a name it has the host's", "", "[Service]\nExecStart=/opt/seedbed agent --kubeconfig /etc/k\n", ""},
		{"what is no command line says nothing", "", "[Service]\n# ExecStart=/opt/seedbed agent --node-name=x\nEnvironment=A=--node-name=y\n", ""},
	} {
		f := hosttest.New()
		if c.record != "" {
			f.PutStore(recordFile, []byte(c.record))
		}
		if c.unit != "" {
			f.Put(unit, file(c.unit))
		}
		if got, err := NodeOf(f.Host()); err != nil || got != c.want {
			t.Errorf("%s: %q %v, want %q", c.reason, got, err, c.want)
		}
	}
}
