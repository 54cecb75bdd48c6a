package rollout

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/api/v1alpha1"
)

func TestNetworkChange(t *testing.T) {
	network := func(change func(*v1alpha1.NetworkConfigSpec)) v1alpha1.NetworkConfigSpec {
		n := v1alpha1.NetworkConfigSpec{PodCIDR: "172.30.0.0/16", ServiceCIDR: "10.254.0.0/16"}
		if change != nil {
			change(&n)
		}
		return n
	}
	backend := func(b v1alpha1.BackendType) func(*v1alpha1.NetworkConfigSpec) {
		return func(n *v1alpha1.NetworkConfigSpec) { n.Backend = &v1alpha1.FlannelBackend{Type: &b} }
	}
	vxlan := func(v v1alpha1.VXLANBackend) func(*v1alpha1.NetworkConfigSpec) {
		return func(n *v1alpha1.NetworkConfigSpec) { n.Backend = &v1alpha1.FlannelBackend{VXLAN: &v} }
	}
	inForce := []NetworkInForce{{Nodes: []string{"node-b", "node-a"}, Spec: network(nil)}}
	tests := []struct {
		reason  string
		want    v1alpha1.NetworkConfigSpec
		inForce []NetworkInForce
		refused []string
	}{
		{"nobody has a network yet", network(nil), nil, nil},
		{"the same network", network(nil), inForce, nil},
		{"a written default is no change", network(backend(v1alpha1.BackendVXLAN)), inForce, nil},
		{
			"another pod CIDR", network(func(n *v1alpha1.NetworkConfigSpec) { n.PodCIDR = "172.31.0.0/16" }), inForce,
			[]string{"podCIDR from 172.30.0.0/16 to 172.31.0.0/16", "node-a, node-b", "allowDisruptiveChange: true"},
		},
		{
			"another service CIDR", network(func(n *v1alpha1.NetworkConfigSpec) { n.ServiceCIDR = "10.96.0.0/16" }), inForce,
			[]string{"serviceCIDR from 10.254.0.0/16 to 10.96.0.0/16"},
		},
		{"another backend", network(backend(v1alpha1.BackendHostGateway)), inForce, []string{"backend.type from VXLAN to HostGateway"}},
		{"written defaults of VXLAN", network(vxlan(v1alpha1.VXLANBackend{VNI: new(int32(1)), Port: new(int32(8472))})), inForce, nil},
		{"another VNI", network(vxlan(v1alpha1.VXLANBackend{VNI: new(int32(2))})), inForce, []string{"backend.vxlan.vni from 1 to 2", "allowDisruptiveChange: true"}},
		{"another port", network(vxlan(v1alpha1.VXLANBackend{Port: new(int32(4789))})), inForce, []string{"backend.vxlan.port from 8472 to 4789"}},
		{
			"acknowledged", network(func(n *v1alpha1.NetworkConfigSpec) { n.PodCIDR, n.AllowDisruptiveChange = "172.31.0.0/16", true }),
			inForce, nil,
		},
		{
			"what does not interrupt pods", network(func(n *v1alpha1.NetworkConfigSpec) { v := v1alpha1.ForwardDrop; n.ForwardPolicy = &v }),
			inForce, nil,
		},
		{
			"nodes that differ among themselves are named apart", network(nil),
			append([]NetworkInForce{{Nodes: []string{"node-z"}, Spec: network(backend(v1alpha1.BackendUDP))}}, inForce...),
			[]string{"backend.type from UDP to VXLAN under node-z"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			got := NetworkChange("default", tt.want, tt.inForce)
			if (got == "") != (len(tt.refused) == 0) {
				t.Fatalf("got %q, want refusal %t", got, len(tt.refused) > 0)
			}
			for _, part := range tt.refused {
				if !strings.Contains(got, part) {
					t.Errorf("%q does not say %q", got, part)
				}
			}
		})
	}
}
