package linux

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

func installing(name, version string) host.Transaction {
	return host.Transaction{Install: map[string]string{name: version}}
}

// reasonOf is the reason of an error, or what it says.
func reasonOf(err error) string {
	if typed, ok := errors.AsType[*host.Error](err); ok {
		return typed.Reason
	}
	return "no reason: " + errorText(err)
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func TestF026LockThatIsGivenBackInTimeIsWaitedFor(t *testing.T) {
	a, root := aptRoot(t, aptRepository(t, testPackage{name: "seedbed-one", version: "1.0-1"}))
	a.locks.wait = time.Minute
	unlock := holdRecordLock(t, filepath.Join(root, "/var/lib/dpkg/lock-frontend"))
	time.AfterFunc(500*time.Millisecond, unlock)
	if err := a.Change(t.Context(), installing("seedbed-one", "1.0-1")); err != nil {
		t.Errorf("Change = %v", err)
	}
}

func TestF027WhatSeedbedWasCutOffInIsFinished(t *testing.T) {
	repository := aptRepository(t, testPackage{name: "seedbed-one", version: "1.0-1", scripts: map[string]string{"postinst": "#!/bin/sh\ntest -e \"$DPKG_ROOT/fixed\"\n"}})
	a, root := aptRoot(t, repository)
	if err := a.Change(t.Context(), installing("seedbed-one", "1.0-1")); err == nil {
		t.Fatal("a package whose script fails was installed")
	}
	got, found, err := a.Get(t.Context(), "seedbed-one")
	if err != nil || !found || got.Broken != "half-configured" {
		t.Fatalf("%+v, %v, %v", got, found, err)
	}
	plant(t, root, "/fixed", state.File{Mode: 0o644})
	again := installing("seedbed-one", "1.0-1")
	again.Resume = true
	if err := a.Change(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := a.Get(t.Context(), "seedbed-one"); got.Broken != "" || got.Version != "1.0-1" {
		t.Errorf("after it was finished: %+v", got)
	}
}

func TestF028RepositoryThatIsGoneOrNotSignedInstallsNothing(t *testing.T) {
	repository := aptRepository(t, contractPackages...)
	for name, c := range map[string]struct{ source, reason string }{
		"gone":       {"Types: deb\nURIs: file:/nowhere\nSuites: ./\nTrusted: yes\n", v1alpha1.ReasonRepositoryUnreachable},
		"not signed": {"Types: deb\nURIs: file:" + repository + "\nSuites: ./\n", v1alpha1.ReasonSignatureInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			a, root := aptRoot(t, repository)
			plant(t, root, resolve.PathAptSources+"test.sources", state.File{Mode: 0o644, Content: []byte(c.source)})
			err := a.Change(t.Context(), installing("seedbed-one", "1.0-1"))
			if got := reasonOf(err); got != c.reason {
				t.Errorf("%s (%v), want %s", got, err, c.reason)
			}
			if got, found, err := a.Get(t.Context(), "seedbed-one"); found || err != nil {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestF028PackageThatSomebodyHoldsStaysAndNothingElseIsInstalled(t *testing.T) {
	a, _ := aptRoot(t, aptRepository(t, contractPackages...))
	first := installing("seedbed-one", "1.0-1")
	first.Hold = []string{"seedbed-one"}
	if err := a.Change(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	both := host.Transaction{Install: map[string]string{"seedbed-one": "2.0-1", "seedbed-two": "1.0-1"}}
	if err := a.Change(t.Context(), both); reasonOf(err) != v1alpha1.ReasonPackageHeld {
		t.Errorf("%s", reasonOf(err))
	}
	if got, _, _ := a.Get(t.Context(), "seedbed-one"); got.Version != "1.0-1" || !got.Held {
		t.Errorf("seedbed-one is %+v", got)
	}
	if _, found, _ := a.Get(t.Context(), "seedbed-two"); found {
		t.Error("half of the transaction was made")
	}
}

func TestHoldIsPutBackWhenATransactionFails(t *testing.T) {
	a, _ := aptRoot(t, aptRepository(t, contractPackages...))
	first := installing("seedbed-one", "1.0-1")
	first.Hold = []string{"seedbed-one"}
	if err := a.Change(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	next := installing("seedbed-one", "9.9")
	next.Unhold = []string{"seedbed-one"}
	if err := a.Change(t.Context(), next); err == nil {
		t.Fatal("no error for a version that is not there")
	}
	if got, _, _ := a.Get(t.Context(), "seedbed-one"); !got.Held || got.Version != "1.0-1" {
		t.Errorf("seedbed-one is %+v", got)
	}
}

func TestF029ConfigurationFileOfOursStaysAndNothingIsAsked(t *testing.T) {
	const at = "/etc/seedbed-one.conf"
	repository := aptRepository(t,
		testPackage{name: "seedbed-one", version: "1.0-1", files: map[string]string{at: "of 1.0"}},
		testPackage{name: "seedbed-one", version: "2.0-1", files: map[string]string{at: "of 2.0"}})
	a, root := aptRoot(t, repository)
	if err := a.Change(t.Context(), installing("seedbed-one", "1.0-1")); err != nil {
		t.Fatal(err)
	}
	plant(t, root, at, state.File{Mode: 0o644, Content: []byte("ours")})
	if err := a.Change(t.Context(), installing("seedbed-one", "2.0-1")); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(root, at))
	if err != nil || string(content) != "ours" {
		t.Errorf("the file has %q, %v", content, err)
	}
}

func TestRecommendationsStayOutAndDependenciesComeIn(t *testing.T) {
	a, _ := aptRoot(t, aptRepository(t,
		testPackage{name: "seedbed-one", version: "1.0-1", fields: "Depends: seedbed-needed\nRecommends: seedbed-extra"},
		testPackage{name: "seedbed-needed", version: "1.0-1"}, testPackage{name: "seedbed-extra", version: "1.0-1"}))
	if err := a.Change(t.Context(), installing("seedbed-one", "")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"seedbed-needed": true, "seedbed-extra": false} {
		if _, found, err := a.Get(t.Context(), name); found != want || err != nil {
			t.Errorf("%s installed: %v, %v; want %v", name, found, err, want)
		}
	}
	// Nobody said that what needs it may go.
	if err := a.Change(t.Context(), host.Transaction{Remove: []string{"seedbed-needed"}}); reasonOf(err) != v1alpha1.ReasonPackageConflict || !strings.Contains(errorText(err), "seedbed-one") {
		t.Errorf("%v", err)
	}
}

func TestRepositoriesAreNotReadAgainForAVersionThatIsKnown(t *testing.T) {
	repository := aptRepository(t, contractPackages...)
	a, root := aptRoot(t, repository)
	if err := a.Change(t.Context(), installing("seedbed-one", "1.0-1")); err != nil {
		t.Fatal(err)
	}
	plant(t, root, resolve.PathAptSources+"test2.sources", state.File{Mode: 0o644, Content: []byte("Types: deb\nURIs: file:/nowhere\nSuites: ./\nTrusted: yes\n")})
	if err := a.Change(t.Context(), installing("seedbed-two", "1.0-1")); err != nil {
		t.Errorf("a version that is known failed on another repository: %v", err)
	}
}

// A status file of a usual machine, so that a pass with nothing to do stays cheap.
func BenchmarkPackagesThatAreAsTheyWere(b *testing.B) {
	database := &dpkgDatabase{path: dpkgStatus}
	if _, found, err := database.get("dpkg"); err != nil || !found {
		b.Skip("no dpkg here")
	}
	for b.Loop() {
		if _, _, err := database.get("dpkg"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStatusFileIsReadOnceUntilItChanges(t *testing.T) {
	root := t.TempDir()
	paragraph := func(name, status, version string) string {
		return "Package: " + name + "\nStatus: " + status + "\nVersion: " + version + "\nDescription: x\n Version: not a field\n\n"
	}
	plant(t, root, dpkgStatus, state.File{Mode: 0o644, Content: []byte(
		paragraph("a", "install ok installed", "1:2-3") + paragraph("b", "hold ok installed", "1") + paragraph("c", "deinstall ok config-files", "1") +
			paragraph("d", "install ok half-configured", "1") + paragraph("e", "install reinstreq half-installed", "1") + paragraph("f", "install ok triggers-pending", "1"))})
	database := newDpkgDatabase(root)
	for name, want := range map[string]state.Package{
		"a": {Version: "1:2-3"}, "b": {Version: "1", Held: true}, "c": {}, "d": {Version: "1", Broken: "half-configured"},
		"e": {Version: "1", Broken: "to be installed again"}, "f": {Version: "1"},
	} {
		got, found, err := database.get(name)
		if err != nil || found != (want.Version != "") || got.Version != want.Version || got.Held != want.Held || got.Broken != want.Broken {
			t.Errorf("%s is %+v, %v, %v; want %+v", name, got, found, err, want)
		}
	}
	database.packages["a"] = dpkgPackage{Package: state.Package{Version: "from memory"}}
	if got, _, _ := database.get("a"); got.Version != "from memory" {
		t.Error("the status file was read again although it is the same")
	}
	plant(t, root, dpkgStatus, state.File{Mode: 0o644, Content: []byte(paragraph("a", "install ok installed", "4"))})
	if got, _, _ := database.get("a"); got.Version != "4" {
		t.Errorf("a is %+v after the file was replaced", got)
	}
}
