package resolve_test

import (
	"testing"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/resolve/resolvetest"
)

func TestPodMTUIsWhatFlannelWillMakeOfTheInterface(t *testing.T) {
	const unset, iface = 0, 9000
	for name, c := range map[string]struct {
		backend v1alpha1.BackendType
		mtu     int32
		iface   int32
		want    int
	}{
		"VXLAN":             {v1alpha1.BackendVXLAN, unset, iface, 8950},
		"WireGuard":         {v1alpha1.BackendWireGuard, unset, iface, 8920},
		"UDP":               {v1alpha1.BackendUDP, unset, iface, 8972},
		"HostGateway":       {v1alpha1.BackendHostGateway, unset, iface, 9000},
		"set":               {v1alpha1.BackendVXLAN, 1400, iface, 1400},
		"facts without one": {v1alpha1.BackendVXLAN, unset, unset, 0},
	} {
		in := resolvetest.Load(t, "guide")
		in.Revision.Network.Backend = &v1alpha1.FlannelBackend{Type: &c.backend, MTU: &c.mtu}
		for i := range in.Facts.Interfaces {
			in.Facts.Interfaces[i].MTU = c.iface
		}
		node, err := resolve.Resolve(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := node.Network.Backend.PodMTU; got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
