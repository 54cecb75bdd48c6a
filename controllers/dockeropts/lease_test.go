package dockeropts

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const guideLease = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.38.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n"

func TestParseReadsWhatFlannelWrites(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   Lease
	}{
		"Guide": {
			reason: "the guide's network, with flannel not masquerading",
			text:   guideLease,
			want:   Lease{Network: netip.MustParsePrefix("172.30.0.0/16"), Bridge: netip.MustParsePrefix("172.30.38.1/24"), MTU: 1450},
		},
		"DualStack": {
			reason: "flannel adds IPv6 lines in a dual-stack network; docker0 here has none",
			text: "FLANNEL_NETWORK=10.0.0.0/8\nFLANNEL_SUBNET=10.1.2.1/26\nFLANNEL_IPV6_NETWORK=fd00::/48\n" +
				"FLANNEL_IPV6_SUBNET=fd00::1/64\nFLANNEL_MTU=8950\nFLANNEL_IPMASQ=true\n",
			want: Lease{Network: netip.MustParsePrefix("10.0.0.0/8"), Bridge: netip.MustParsePrefix("10.1.2.1/26"), MTU: 8950, Masquerade: true},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.text))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestParseRefusesAnythingButAWholeLease(t *testing.T) {
	edit := func(from, to string) string { return strings.Replace(guideLease, from, to, 1) }
	cases := map[string]struct{ reason, text, want string }{
		"Empty":          {"an empty file would give dockerd no options at all (SB002)", "", "cut off"},
		"CutOff":         {"a write that was interrupted", strings.TrimSuffix(guideLease, "\n"), "cut off"},
		"HalfWritten":    {"the lines after the cut are missing", "FLANNEL_NETWORK=172.30.0.0/16\n", "FLANNEL_SUBNET"},
		"NoMTU":          {"without an MTU large packets hang (SB026)", edit("FLANNEL_MTU=1450\n", ""), "FLANNEL_MTU"},
		"UnknownKey":     {"a key this program does not know may change what the others mean", guideLease + "FLANNEL_NEW=1\n", "line 5"},
		"Twice":          {"which of the two counts?", guideLease + "FLANNEL_MTU=1400\n", "twice"},
		"OutsideNetwork": {"a subnet of another network", edit("172.30.38.1/24", "172.31.38.1/24"), "inside FLANNEL_NETWORK"},
		"NetworkAddress": {"docker0 cannot have the network's own address", edit("172.30.38.1/24", "172.30.38.0/24"), "not an address of a subnet"},
		"WiderThanNet":   {"a subnet wider than the network", edit("172.30.38.1/24", "172.30.38.1/8"), "not an address of a subnet"},
		"IPv6Subnet":     {"docker0 carries IPv4", edit("172.30.38.1/24", "fd00::1/64"), "IPv4"},
		"Quoted":         {"flannel writes no quotes", edit("1450", `"1450"`), "FLANNEL_MTU"},
		"SmallMTU":       {"below IPv4's least", edit("1450", "67"), "not between"},
		"Masquerade":     {"only true and false", edit("IPMASQ=false", "IPMASQ=no"), "neither"},
		"Option":         {"an option smuggled into a value", edit("1450", "1450 --host=tcp://0.0.0.0"), "FLANNEL_MTU"},
		"CarriageReturn": {"a file edited elsewhere", strings.ReplaceAll(guideLease, "\n", "\r\n"), "FLANNEL_NETWORK"},
		"NUL":            {"no line of flannel's has one", guideLease + "\x00\n", "line 5"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: want an error with %q, got lease %v, error %v", tc.reason, tc.want, got, err)
			}
		})
	}
}

func TestOptionsGiveMasqueradingToExactlyOne(t *testing.T) {
	lease, err := Parse([]byte(guideLease))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"--bip=172.30.38.1/24", "--ip-masq=true", "--mtu=1450"}, lease.Options()); diff != "" {
		t.Errorf("flannel does not masquerade, so docker does: -want +got\n%s", diff)
	}
	lease.Masquerade = true
	if got := lease.Options()[1]; got != "--ip-masq=false" {
		t.Errorf("flannel masquerades, so docker must not: got %s", got)
	}
	want := "SEEDBED_DOCKER_OPTS=\"--bip=172.30.38.1/24 --ip-masq=false --mtu=1450\"\n"
	if got := string(lease.EnvFile()); !strings.HasSuffix(got, "\n"+want) || !strings.HasPrefix(got, "# Managed by Seedbed") {
		t.Errorf("environment file: got\n%s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(guideLease))
	f.Add([]byte("FLANNEL_SUBNET=172.30.38.1/24\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		lease, err := Parse(text)
		if err != nil {
			return
		}
		env := string(lease.EnvFile())
		if strings.Count(env, "\n") != 2 || strings.Count(env, `"`) != 2 || len(lease.Options()) != 3 {
			t.Errorf("a lease that parses gives one line with three options, got %q from %q", env, text)
		}
	})
}
