package cli

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func TestAPlanOfThisMachineIsThatOfTheNodeItJoinedBy(t *testing.T) {
	facts, err := loadFacts(nodeA)
	if err != nil {
		t.Fatal(err)
	}
	facts.Hostname = "IP-10-0-0-7"
	for _, c := range []struct {
		reason, joined, given, want, refused string
	}{
		{"it joined by another name than its own", "worker-7", "", "worker-7", ""},
		{"it has not joined yet", "", "", "ip-10-0-0-7", ""},
		{"and is to, by that name", "", "worker-7", "worker-7", ""},
		{"the name is the one it has", "worker-7", "worker-7", "worker-7", ""},
		{"another one is another machine's", "worker-7", "worker-8", "", "--node-name worker-8: this host is node worker-7: remove --node-name"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			f := hosttest.New()
			f.SetFacts(facts)
			if c.joined != "" {
				f.PutStore("join.json", []byte(`{"version":1,"server":"https://seed:6443","node":"`+c.joined+`","joined":true}`))
			}
			known, _, err := look(t.Context(), f.Host())
			if err != nil {
				t.Fatal(err)
			}
			in := offlineInput{files: []string{guide}, nodeName: c.given}
			node, err := in.node(nil, known)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%v, want %s", err, c.refused)
				}
				return
			}
			if err != nil || node.name != c.want {
				t.Fatalf("%s %v, want %s", node.name, err, c.want)
			}
			unit := string(node.desired.Files[state.UnitFolder+resolve.UnitKubelet].Content)
			if !strings.Contains(unit, "--hostname-override="+c.want) {
				t.Errorf("the kubelet has another name: %s", unit)
			}
		})
	}
}
