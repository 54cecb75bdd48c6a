package host_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

const program = "/usr/bin/daemon"

// kubeletSays is the kubelet's way of refusing a value (v1.37, cmd/kubelet/app/server.go).
const kubeletSays = `I1123 08:33:30.1  14541 x.go:1] "Effective KubeletConfiguration" config=<
	maxPods: 10
 >
E1123 08:33:37.802759   14541 run.go:72] "command failed" err="failed to validate kubelet configuration, error: invalid configuration: imageGCLowThresholdPercent 80 must be less than imageGCHighThresholdPercent 10, path: &TypeMeta{Kind:,APIVersion:,} staticPodURLHeader: topsecret"
`

// unknownGate is the kubelet's way of refusing a feature gate: it panics.
const unknownGate = `panic: failed to merge global and in-flight KubeletConfiguration while setting defaults, error: unrecognized feature gate: Nope

goroutine 1 [running]:
main.main()
	main.go:63 +0x1c2
`

func TestJudge(t *testing.T) {
	type want struct{ refused, unjudged string }
	answers := func(byContent map[string]host.Answer) func(host.Trial) (host.Answer, error) {
		return func(t host.Trial) (host.Answer, error) { return byContent[string(t.Content)], nil }
	}
	control := state.Check{Program: program, Args: []string{"--config=" + state.CheckCandidate}, Control: []byte("control"), Cure: "correct it"}
	marked := control
	marked.Args = []string{"--kubeconfig=" + state.CheckMarker}
	objections := control
	objections.Objections = []string{"flag provided but not defined", "bad unit file setting"}
	lenient := objections
	lenient.OnlyObjections, lenient.Explains = true, 2
	cases := map[string]struct {
		reason string
		check  state.Check
		secret bool
		judge  func(host.Trial) (host.Answer, error)
		want   want
	}{
		"Accepted": {
			reason: "exit status 0 without a marker to open", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Output: "configuration OK\n"}}),
		},
		"Refused": {
			reason: "another exit status, with the last line that was said", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: "starting\nunable to configure: bip is there twice\n\n"}}),
			want:  want{refused: "unable to configure: bip is there twice"},
		},
		"Silent": {
			reason: "a refusal without words is one all the same", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 7}}),
			want:  want{refused: "it ended with exit status 7 and said nothing"},
		},
		"MarkerOpened": {
			reason: "the marker is the acceptance; how the program ended then does not matter", check: marked,
			judge: answers(map[string]host.Answer{"candidate": {Marked: true, Status: 9}}),
		},
		"MarkerNotOpened": {
			reason: "a program that ends without opening its marker did not get that far, whatever its status", check: marked,
			judge: answers(map[string]host.Answer{"candidate": {Output: "v1.37.2\n"}, "control": {Marked: true}}),
			want:  want{refused: "v1.37.2"},
		},
		"ControlRefused": {
			reason: "a program that refuses what is known to be good fails for another reason than the candidate", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: "no cgroups here\n"}, "control": {Status: 1, Output: "no cgroups here\n"}}),
			want:  want{unjudged: "it refuses a configuration that is known to be good as well"},
		},
		"Absent": {
			reason: "a program that is not there cannot be started either", check: state.Check{Program: "/usr/bin/none"},
			want: want{unjudged: "the program is not there"},
		},
		"Objection": {
			reason: "a program may end with status 0 after it has refused its flags (flanneld)", check: objections,
			judge: answers(map[string]host.Answer{"candidate": {Output: "flag provided but not defined: -nope\nUsage: flanneld\n"}}),
			want:  want{refused: "flag provided but not defined: -nope"},
		},
		"ObjectionWithItsReason": {
			reason: "systemd says what is wrong on the line before", check: lenient,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: "x.service: Service has no ExecStart=. Refusing.\nUnit x.service has a bad unit file setting.\n"}}),
			want:  want{refused: "x.service: Service has no ExecStart=. Refusing.; Unit x.service has a bad unit file setting"},
		},
		"StatusDoesNotCount": {
			reason: "systemd-analyze ends with status 1 for a unit whose program is not installed yet", check: lenient,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: "x.service: Command /nope is not executable\n"}}),
		},
		"KubernetesLog": {
			reason: "err= of the error line is what counts, without the configuration after it", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: kubeletSays}}),
			want:  want{refused: "failed to validate kubelet configuration, error: invalid configuration: imageGCLowThresholdPercent 80 must be less than imageGCHighThresholdPercent 10"},
		},
		"KubernetesLogInLines": {
			reason: "an error of several lines is logged as a block", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: "E1123 08:33:37.8 1 run.go:72] \"command failed\" err=<\n\tfirst line\n\tsecond\n >\n"}}),
			want:  want{refused: "first line"},
		},
		"KubernetesLogAsJSON": {
			reason: "the time of a line must not change the message", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: `{"ts":1795.1,"caller":"cli/run.go:72","msg":"command failed","err":"bad value"}` + "\n"}}),
			want:  want{refused: "bad value"},
		},
		"Logrus": {
			reason: "cri-dockerd shows its usage and then logs the error", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: "Usage:\n  cri-dockerd\ntime=\"2026-11-23T08:00:00Z\" level=fatal msg=\"unknown flag: --nope\"\n"}}),
			want:  want{refused: "unknown flag: --nope"},
		},
		"LenientDecoding": {
			reason: "a field that this release does not know is logged and left out", check: state.Check{Program: program, Objections: []string{"strict decoding error"}},
			judge: answers(map[string]host.Answer{"candidate": {Marked: true, Output: `I1123 08:33:33.8 1 codec.go:102] "Using lenient decoding as strict decoding failed" err="strict decoding error: unknown field \"nope\""` + "\n"}}),
			want:  want{refused: `strict decoding error: unknown field "nope"`},
		},
		"Panic": {
			reason: "the kubelet panics at an unknown feature gate; the stack is of no use", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 2, Output: unknownGate}}),
			want:  want{refused: "failed to merge global and in-flight KubeletConfiguration while setting defaults, error: unrecognized feature gate: Nope"},
		},
		"Secret": {
			reason: "a program may quote the file", check: control, secret: true,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: "bad token hunter2\n"}}),
			want:  want{refused: "its words are kept back, since the file has content of a Secret"},
		},
		"Long": {
			reason: "words are bounded", check: control,
			judge: answers(map[string]host.Answer{"candidate": {Status: 1, Output: strings.Repeat("é", 5000)}}),
			want:  want{refused: strings.Repeat("é", 200) + "..."},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			fake := hosttest.New()
			if tc.judge != nil {
				fake.Judge(program, tc.judge)
			}
			file := state.File{Content: []byte("candidate"), Secret: tc.secret}
			err := host.Judge(t.Context(), fake.Host().Checker, "/etc/x", file, tc.check)
			var got want
			if refused, ok := errors.AsType[*host.RefusedError](err); ok {
				got.refused = refused.Words
				if !strings.Contains(err.Error(), tc.check.Cure) || !strings.HasPrefix(err.Error(), "file /etc/x: "+program) {
					t.Errorf("%s: %q does not name the file, the program and the cure", tc.reason, err)
				}
			} else if unjudged, ok := errors.AsType[*host.UnjudgedError](err); ok {
				got.unjudged = unjudged.Err.Error()
			} else if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("%s: -want +got\n%s", tc.reason, diff)
			}
		})
	}
}

func TestJudgeDoesNotTakeACancelledRunForAnOpinion(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fake := hosttest.New()
	fake.Judge(program, func(host.Trial) (host.Answer, error) { return host.Answer{}, nil })
	err := host.Judge(ctx, fake.Host().Checker, "/etc/x", state.File{}, state.Check{Program: program})
	if _, unjudged := errors.AsType[*host.UnjudgedError](err); unjudged || !errors.Is(err, context.Canceled) {
		t.Errorf("Judge = %v; want the context's error", err)
	}
}

func TestJudgeTakesTheContentThatTheCheckNames(t *testing.T) {
	fake := hosttest.New()
	var seen []string
	fake.Judge(program, func(trial host.Trial) (host.Answer, error) {
		seen = append(seen, string(trial.Content)+strings.Join(trial.Args, " "))
		return host.Answer{Status: 1}, nil
	})
	check := state.Check{Program: program, Args: []string{" --bad"}, ControlArgs: []string{" --good"}, Content: []byte("config"), Control: []byte("control")}
	err := host.Judge(t.Context(), fake.Host().Checker, "/etc/x", state.File{Content: []byte("unit")}, check)
	if _, unjudged := errors.AsType[*host.UnjudgedError](err); !unjudged {
		t.Errorf("Judge = %v; want unjudged", err)
	}
	if diff := cmp.Diff([]string{"config --bad", "control --good"}, seen); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}
