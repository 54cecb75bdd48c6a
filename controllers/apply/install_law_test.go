package apply_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/hosttest"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	kubeletPath = "/usr/local/bin/kubelet"
	repoFile    = "/etc/apt/sources.list.d/seedbed-x.sources"
)

func program(n int) []byte { return []byte(strings.Repeat(string(rune('a'+n)), 1000)) }

func url(n int) string { return "https://example.com/kubelet-" + string(rune('0'+n)) }

// withPrograms is version n with docker from a package and the kubelet from a download.
func withPrograms(n int) state.Host {
	h := version(n)
	v := string(rune('0'+n)) + ".0-1"
	h.Files[repoFile] = file("Types: deb\n", state.ComponentHost)
	needs := []state.Ref{{Kind: state.KindFile, Name: repoFile}}
	h.Packages["docker-ce"] = state.Package{Version: v, Held: true, Needs: needs}
	h.Packages["conntrack"] = state.Package{Needs: needs}
	h.Binaries[kubeletPath] = state.Binary{SHA256: state.Hash(program(n)), URL: url(n), Mode: 0o755, Owner: "root", Group: "root"}
	u := h.Units[kubelet]
	u.Program = kubeletPath
	u.Inputs = append(u.Inputs, state.Input{
		Name: kubeletPath + " (program)", Path: kubeletPath, Hash: h.Binaries[kubeletPath].SHA256, Disruption: state.Restart,
	})
	h.Units[kubelet] = u
	return h
}

// programMachine is machine with repositories and a server of programs; it had a kubelet of its own.
func programMachine() *hosttest.Fake {
	f := machine()
	for _, v := range []string{"1.0-1", "2.0-1"} {
		f.AddPackage("docker-ce", v, hosttest.Brings{Conflicts: []string{"docker.io"}, Files: map[string]state.File{"/usr/local/bin/dockerd": {Content: []byte(v), Mode: 0o755}}})
	}
	f.AddPackage("conntrack", "1.4", hosttest.Brings{})
	f.AddPackage("docker.io", "20.10", hosttest.Brings{Conflicts: []string{"docker-ce"}})
	for n := range 3 {
		f.Serve(url(n), program(n))
	}
	f.Put(kubeletPath, state.File{Content: []byte("the admin's kubelet"), Mode: 0o700})
	return f
}

func TestInstallingKilledAtAnyMomentAndStartedAgainEndsTheSame(t *testing.T) {
	updated := func() *hosttest.Fake {
		f := programMachine()
		settle(t, f, withPrograms(1))
		return f.Restart()
	}
	for name, c := range map[string]struct {
		from    func() *hosttest.Fake
		desired state.Host
	}{
		"first apply": {programMachine, withPrograms(1)},
		"an update":   {updated, withPrograms(2)},
		"leaving":     {updated, state.New()},
	} {
		t.Run(name, func(t *testing.T) {
			reference := c.from()
			before := starts(reference, kubelet)
			settle(t, reference, c.desired)
			for _, when := range []hosttest.When{hosttest.Before, hosttest.After} {
				for n := 1; ; n++ {
					f, reached := killed(t, c.from, c.desired, n, when, (*hosttest.Fake).Restart)
					if !reached {
						break
					}
					if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
						t.Errorf("killed at call %d (%v): another end (-undisturbed +killed):\n%s", n, when, diff)
					}
					if got, want := starts(f, kubelet)-before, starts(reference, kubelet)-before; got != want {
						t.Errorf("killed at call %d (%v): the kubelet was started %d times, want %d", n, when, got, want)
					}
				}
			}
		})
	}
}

func TestFailureOfAnyStepOfAnInstallationThenARetryConverges(t *testing.T) {
	reference := programMachine()
	settle(t, reference, withPrograms(1))
	boom := errors.New("no space left on device")
	for n := 1; n <= reference.Changes(); n++ {
		f := programMachine()
		f.FailAt(n, boom)
		_, _, _ = pass(t, f, withPrograms(1)) // fails somewhere
		f.FailWhen(nil)
		settle(t, f, withPrograms(1))
		if diff := cmp.Diff(reference.Dump(), f.Dump()); diff != "" {
			t.Errorf("failure at call %d: another end (-undisturbed +failed):\n%s", n, diff)
		}
	}
}

func TestSecondPassAfterAnInstallationWritesNothingAndReadsNoProgram(t *testing.T) {
	f := programMachine()
	settle(t, f, withPrograms(1))
	f.ForgetJournal()
	hashed := f.Hashed()
	if p, _, err := pass(t, f, withPrograms(1)); err != nil || !p.Empty() || f.Changes() != 0 {
		t.Errorf("%v\n%s\n%s", err, p, strings.Join(f.Journal(), "\n"))
	}
	if f.Hashed() != hashed {
		t.Error("a program that was verified was read again")
	}
}

func TestLeavingRemovesWhatWasInstalledAndPutsTheProgramBack(t *testing.T) {
	f := programMachine()
	if err := f.Host().Modules.Load(context.Background(), "br_netfilter"); err != nil {
		t.Fatal(err)
	}
	pristine := f.Dump()
	settle(t, f, withPrograms(1))
	settle(t, f, withPrograms(2))
	settle(t, f, state.New())
	if diff := cmp.Diff(pristine, f.Dump()); diff != "" {
		t.Errorf("not as before (-before +after):\n%s", diff)
	}
}

func TestPackageThatIsNoLongerInTheListStaysAndIsLetGo(t *testing.T) {
	f := programMachine()
	settle(t, f, withPrograms(1))
	without := withPrograms(1)
	delete(without.Packages, "docker-ce")
	settle(t, f, without)
	if got, ok := f.Package("docker-ce"); !ok || got.Held {
		t.Errorf("docker-ce is %+v, %v; want installed and not held", got, ok)
	}
	settle(t, f, state.New())
	if _, ok := f.Package("docker-ce"); ok {
		t.Error("leaving forgot what Seedbed had installed")
	}
}

func TestPackageThatWasThereInAnotherVersionIsLetGoAndStays(t *testing.T) {
	f := programMachine()
	f.SetPackage("docker-ce", state.Package{Version: "1.0-1"})
	settle(t, f, withPrograms(2))
	settle(t, f, state.New())
	if got, ok := f.Package("docker-ce"); !ok || got.Held || got.Version != "2.0-1" {
		t.Errorf("docker-ce is %+v, %v", got, ok)
	}
}

func TestSB029OldDockerGoesInTheSameTransactionAsTheNewOneComes(t *testing.T) {
	f := programMachine()
	f.SetPackage("docker.io", state.Package{Version: "20.10"})
	desired := withPrograms(1)
	if _, results, err := pass(t, f, desired); err != nil || !hasReason(results, v1alpha1.ReasonPackageConflict) {
		t.Errorf("a conflict that nobody allowed for: %v %v", err, results.Err())
	}
	if _, there := f.Package("docker.io"); !there {
		t.Fatal("the old docker went although nobody said that it may")
	}
	desired.Packages["docker.io"] = state.Package{Absent: true}
	f.ForgetJournal()
	settle(t, f, desired)
	if f.Count("packages.Change") != 1 {
		t.Errorf("%d transactions:\n%s", f.Count("packages.Change"), strings.Join(f.Journal(), "\n"))
	}
}

func TestF028PackageThatSomebodyElseHoldsStopsTheWholeTransaction(t *testing.T) {
	f := programMachine()
	f.SetPackage("docker-ce", state.Package{Version: "1.0-1", Held: true})
	before, _ := f.Package("docker-ce")
	_, results, err := pass(t, f, withPrograms(2))
	if err != nil || !hasReason(results, v1alpha1.ReasonPackageHeld) {
		t.Errorf("%v %v", err, results.Err())
	}
	if after, _ := f.Package("docker-ce"); after.Version != before.Version || after.Held != before.Held {
		t.Errorf("docker-ce is %+v", after)
	}
	if _, there := f.Package("conntrack"); there {
		t.Error("half of the packages were installed")
	}
}

func TestF027WhatSomebodyElseLeftHalfConfiguredIsReportedAndWhatWeDidIsFinished(t *testing.T) {
	f := programMachine()
	f.SetPackage("docker-ce", state.Package{Version: "1.0-1", Broken: "half-configured"})
	_, results, err := pass(t, f, withPrograms(1))
	if err != nil || !hasReason(results, v1alpha1.ReasonPackageManagerInterrupted) {
		t.Errorf("%v %v", err, results.Err())
	}
	if got, _ := f.Package("docker-ce"); got.Broken == "" {
		t.Error("somebody else's interrupted work was finished")
	}
	// What it refused is not taken for Seedbed's own at the next pass either.
	if _, results, err = pass(t, f, withPrograms(1)); err != nil || !hasReason(results, v1alpha1.ReasonPackageManagerInterrupted) {
		t.Errorf("at the second pass: %v %v", err, results.Err())
	}
	f = programMachine()
	f.FailWhen(func(c hosttest.Call) error {
		if c.Op == "packages.Change" {
			return errors.New("killed")
		}
		return nil
	})
	_, _, _ = pass(t, f, withPrograms(1))
	f.FailWhen(nil)
	f.SetPackage("docker-ce", state.Package{Version: "1.0-1", Broken: "half-configured"})
	settle(t, f.Restart(), withPrograms(1))
}

func TestF027WhatATransactionBroughtAlongIsFinishedAlsoWhereNothingElseIsToBeDone(t *testing.T) {
	f := programMachine()
	for n := 1; f.Count("packages.Change") == 0; n++ {
		f = programMachine()
		f.KillAt(n, hosttest.After)
		_, _, _ = pass(t, f, withPrograms(1)) // killed
	}
	f = f.Restart()
	f.SetPackage("containerd", state.Package{Version: "1.7", Broken: "half-configured"})
	settle(t, f, withPrograms(1))
	if got, _ := f.Package("containerd"); got.Broken != "" {
		t.Errorf("containerd is %+v", got)
	}
}

func TestF027PackageOfSomebodyElsesThatIsHalfConfiguredStopsEachTransaction(t *testing.T) {
	f := programMachine()
	f.SetPackage("postgresql", state.Package{Version: "17", Broken: "half-configured"})
	for range 2 {
		if _, results, err := pass(t, f, withPrograms(1)); err != nil || !hasReason(results, v1alpha1.ReasonPackageManagerInterrupted) {
			t.Errorf("%v %v", err, results.Err())
		}
	}
	if got, _ := f.Package("postgresql"); got.Broken == "" {
		t.Error("somebody else's interrupted work was finished")
	}
}

func TestChecksumMismatchLeavesTheOldProgramAndItsUnitAlone(t *testing.T) {
	f := programMachine()
	settle(t, f, withPrograms(1))
	runs := starts(f, kubelet)
	f.Serve(url(2), []byte("something else"))
	_, results, err := pass(t, f, withPrograms(2))
	if err != nil || !hasReason(results, v1alpha1.ReasonChecksumMismatch) {
		t.Errorf("%v %v", err, results.Err())
	}
	if now, _ := f.File(kubeletPath); string(now.Content) != string(program(1)) || starts(f, kubelet) != runs {
		t.Error("the kubelet's program changed, or it was restarted without a new one")
	}
}

func TestProgramThatSomebodyReplacedIsPutRightAndItsUnitRestarted(t *testing.T) {
	f := programMachine()
	settle(t, f, withPrograms(1))
	f.Put(kubeletPath, state.File{Content: []byte("replaced"), Mode: 0o755})
	if err := f.Host().Units.Do(context.Background(), kubelet, host.Restart); err != nil {
		t.Fatal(err)
	}
	runs := starts(f, kubelet)
	p, _, err := pass(t, f, withPrograms(1))
	if err != nil || p.Disruption() != state.Restart || starts(f, kubelet)-runs != 1 {
		t.Errorf("%v\n%s", err, p)
	}
	drift := false
	for _, s := range p.Steps {
		drift = drift || (s.Drift && s.Target.Name == kubeletPath)
	}
	if !drift {
		t.Errorf("the replaced program is not called drift:\n%s", p)
	}
}

func hasReason(results apply.Results, reason string) bool {
	for i := range results {
		if typed, ok := errors.AsType[*host.Error](results[i].Err); ok && typed.Reason == reason && results[i].Outcome == apply.Failed {
			return true
		}
	}
	return false
}
