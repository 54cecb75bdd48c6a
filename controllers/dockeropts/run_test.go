package dockeropts

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
)

const olderLease = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.60.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n"

var paths = Paths{SubnetEnv: "/run/flannel/subnet.env", LastLease: "/var/lib/seedbed/flannel-subnet.env", Options: "/run/seedbed/docker-opts.env"}

// machine is a Host in memory. Its time goes by in Sleep alone.
type machine struct {
	files  map[string]string
	broken map[string]error
	writes []string
	slept  time.Duration
	// later puts flannel's file there once that much time has gone by.
	later map[time.Duration]string
	// limit ends the context.
	limit time.Duration
}

func (m *machine) host() Host {
	return Host{
		Read: func(path string) ([]byte, error) {
			if text, ok := m.files[path]; ok {
				return []byte(text), nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
		Write: func(path string, content []byte) error {
			if err := m.broken[path]; err != nil {
				return err
			}
			m.files[path] = string(content)
			m.writes = append(m.writes, path)
			return nil
		},
		Sleep: func(_ context.Context, d time.Duration) error {
			m.slept += d
			for at, text := range m.later {
				if m.slept >= at {
					m.files[paths.SubnetEnv] = text
				}
			}
			if m.limit > 0 && m.slept >= m.limit {
				return context.Canceled
			}
			return nil
		},
	}
}

func TestRunNeverLetsDockerStartOnTheWrongSubnet(t *testing.T) {
	cases := map[string]struct {
		reason  string
		m       machine
		source  Source
		bridge  string
		slept   time.Duration
		kept    string
		writes  int
		waiting bool
		err     error
	}{
		"Flannel": {
			reason: "flannel's lease is there: no wait, and it is kept for the next boot",
			m:      machine{files: map[string]string{paths.SubnetEnv: guideLease}},
			source: FromFlannel, bridge: "172.30.38.1/24", kept: guideLease, writes: 2,
		},
		"FlannelSameAsLast": {
			reason: "a copy that is the same is not written again",
			m:      machine{files: map[string]string{paths.SubnetEnv: guideLease, paths.LastLease: guideLease}},
			source: FromFlannel, bridge: "172.30.38.1/24", kept: guideLease, writes: 1,
		},
		"FlannelBeatsLast": {
			reason: "a new lease replaces the last one",
			m:      machine{files: map[string]string{paths.SubnetEnv: guideLease, paths.LastLease: olderLease}},
			source: FromFlannel, bridge: "172.30.38.1/24", kept: guideLease, writes: 2,
		},
		"FlannelInTime": {
			reason: "flannel needs a moment",
			m:      machine{files: map[string]string{paths.LastLease: olderLease}, later: map[time.Duration]string{time.Second: guideLease}},
			source: FromFlannel, bridge: "172.30.38.1/24", kept: guideLease, slept: time.Second, writes: 2,
		},
		"HalfWrittenThenWhole": {
			reason: "half a lease is no lease",
			m:      machine{files: map[string]string{paths.SubnetEnv: guideLease[:40]}, later: map[time.Duration]string{time.Second: guideLease}},
			source: FromFlannel, bridge: "172.30.38.1/24", kept: guideLease, slept: time.Second, writes: 2,
		},
		"LastAfterPatience": {
			reason: "after a reboot with the seed away the node comes back with the subnet it had",
			m:      machine{files: map[string]string{paths.LastLease: olderLease}},
			source: FromLast, bridge: "172.30.60.1/24", kept: olderLease, slept: 10 * time.Second, writes: 1,
		},
		"NeitherThenFlannel": {
			reason: "with neither it goes on waiting, long after its patience",
			m:      machine{files: map[string]string{}, later: map[time.Duration]string{time.Hour: guideLease}},
			source: FromFlannel, bridge: "172.30.38.1/24", kept: guideLease, slept: time.Hour, writes: 2, waiting: true,
		},
		"NeitherUntilStopped": {
			reason: "nothing is written without a lease",
			m:      machine{files: map[string]string{paths.LastLease: "garbage"}, limit: time.Minute},
			slept:  time.Minute, waiting: true, kept: "garbage", err: context.Canceled,
		},
		"OptionsNotWritable": {
			reason: "docker must not start when its options could not be written",
			m:      machine{files: map[string]string{paths.SubnetEnv: guideLease}, broken: map[string]error{paths.Options: errFull}},
			source: FromFlannel, bridge: "172.30.38.1/24", err: errFull,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var told []string
			lease, source, err := Run(t.Context(), tc.m.host(), paths, 10*time.Second, func(reason string) { told = append(told, reason) })
			if !errors.Is(err, tc.err) || source != tc.source {
				t.Fatalf("%s: got %q, error %v", tc.reason, source, err)
			}
			if tc.bridge != "" && lease.Bridge.String() != tc.bridge {
				t.Errorf("%s: bridge %s, want %s", tc.reason, lease.Bridge, tc.bridge)
			}
			if tc.m.slept != tc.slept || len(tc.m.writes) != tc.writes || tc.m.files[paths.LastLease] != tc.kept {
				t.Errorf("%s: slept %s, wrote %v, kept %q", tc.reason, tc.m.slept, tc.m.writes, tc.m.files[paths.LastLease])
			}
			if _, there := tc.m.files[paths.Options]; there != (tc.err == nil) {
				t.Errorf("%s: options written: %v", tc.reason, there)
			}
			if (len(told) == 1) != tc.waiting || len(told) > 1 {
				t.Errorf("%s: told %d times: %s", tc.reason, len(told), strings.Join(told, "; "))
			}
		})
	}
}

var errFull = errors.New("no space left on device")
