package hosttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
)

// PackagesFixture is one implementation of host.Packages on a host where nothing of the following is
// installed. Its repositories have two versions, "1.0-1" and "2.0-1", of the packages "seedbed-one" and
// "seedbed-two"; "seedbed-rival" 1.0-1 conflicts with seedbed-one.
type PackagesFixture struct {
	Packages host.Packages
	// Deferred is true when changes answer host.ErrDeferred; nothing is then known of conflicts.
	Deferred bool
	// Heir adds seedbed-heir 1.0-1 to the repositories, which takes the place of seedbed-two wherever it
	// is installed; nil where that cannot be.
	Heir func()
	// Lock has somebody else hold the package manager's lock until it is called again; nil where that
	// cannot be.
	Lock func() (unlock func())
	// Holds is false where versions cannot be held.
	Holds bool
}

const (
	one, two, rival, heir = "seedbed-one", "seedbed-two", "seedbed-rival", "seedbed-heir"
	v1, v2                = "1.0-1", "2.0-1"
)

// packageTimeout bounds one transaction in the contract.
const packageTimeout = 2 * time.Minute

// PackagesContract is what every host.Packages promises.
func PackagesContract(t *testing.T, open func(t *testing.T) PackagesFixture) {
	t.Helper()
	for name, promise := range map[string]func(*testing.T, context.Context, PackagesFixture){
		"a package is installed in the version that was asked for, and held": installAndHold,
		"any version is the newest":                              installAny,
		"one package takes another's place in one transaction":   takePlace,
		"a version is changed both ways":                         changeVersion,
		"nothing is changed when a version is not there":         missingVersion,
		"nothing is changed when another would have to go":       conflicting,
		"nothing is changed when another would be replaced":      replacing,
		"nothing is changed when a part of it cannot be":         unsolvable,
		"a lock is waited for, and reported, and never broken":   locked,
		"what looks like an option is refused":                   badPackageNames,
		"removing what is not there, and nothing, are no errors": removeNothing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), packageTimeout)
			defer cancel()
			promise(t, ctx, open(t))
		})
	}
}

func (x PackagesFixture) change(t *testing.T, ctx context.Context, tr host.Transaction) {
	t.Helper()
	settled(t, x.Packages.Change(ctx, tr), x.Deferred)
}

// is fails the test unless the package is installed as wanted; version "" is not installed.
func (x PackagesFixture) is(t *testing.T, ctx context.Context, name, version string, held bool) {
	t.Helper()
	got, found, err := x.Packages.Get(ctx, name)
	if err != nil {
		t.Fatalf("Get(%s): %v", name, err)
	}
	if found != (version != "") || got.Version != version || (x.Holds && got.Held != held) || got.Broken != "" {
		t.Errorf("%s is %+v, %v; want version %q, held %v", name, got, found, version, held)
	}
}

// refused fails the test unless the transaction fails for the reason.
func (x PackagesFixture) refused(t *testing.T, ctx context.Context, tr host.Transaction, reason string) {
	t.Helper()
	err := x.Packages.Change(ctx, tr)
	typed, ok := errors.AsType[*host.Error](err)
	if !ok || typed.Reason != reason {
		t.Errorf("Change(%+v) = %v; want %s", tr, err, reason)
	}
	if _, untouched := errors.AsType[*host.UntouchedError](err); !untouched {
		t.Errorf("Change(%+v) = %v, which does not say that nothing was touched", tr, err)
	}
}

func (x PackagesFixture) hold(names ...string) []string {
	if !x.Holds {
		return nil
	}
	return names
}

func installAndHold(t *testing.T, ctx context.Context, x PackagesFixture) {
	x.is(t, ctx, one, "", false)
	x.change(t, ctx, host.Transaction{Install: map[string]string{one: v1, two: v1}, Hold: x.hold(one)})
	x.is(t, ctx, one, v1, true)
	x.is(t, ctx, two, v1, false)
	x.change(t, ctx, host.Transaction{Unhold: x.hold(one), Hold: x.hold(two)})
	x.is(t, ctx, one, v1, false)
	x.is(t, ctx, two, v1, true)
	x.change(t, ctx, host.Transaction{Unhold: x.hold(two), Remove: []string{one, two}})
	x.is(t, ctx, one, "", false)
	x.is(t, ctx, two, "", false)
}

func installAny(t *testing.T, ctx context.Context, x PackagesFixture) {
	if x.Deferred {
		t.Skip("an offline root has no repositories")
	}
	x.change(t, ctx, host.Transaction{Install: map[string]string{one: ""}})
	x.is(t, ctx, one, v2, false)
}

func takePlace(t *testing.T, ctx context.Context, x PackagesFixture) {
	x.change(t, ctx, host.Transaction{Install: map[string]string{rival: v1}})
	x.change(t, ctx, host.Transaction{Remove: []string{rival}, Install: map[string]string{one: v1}})
	x.is(t, ctx, rival, "", false)
	x.is(t, ctx, one, v1, false)
}

func changeVersion(t *testing.T, ctx context.Context, x PackagesFixture) {
	x.change(t, ctx, host.Transaction{Install: map[string]string{one: v1}, Hold: x.hold(one)})
	x.change(t, ctx, host.Transaction{Unhold: x.hold(one), Install: map[string]string{one: v2}, Hold: x.hold(one)})
	x.is(t, ctx, one, v2, true)
	x.change(t, ctx, host.Transaction{Unhold: x.hold(one), Install: map[string]string{one: v1}, Hold: x.hold(one)})
	x.is(t, ctx, one, v1, true)
}

func missingVersion(t *testing.T, ctx context.Context, x PackagesFixture) {
	if x.Deferred {
		t.Skip("an offline root has no repositories")
	}
	x.change(t, ctx, host.Transaction{Install: map[string]string{rival: v1}})
	none := host.Transaction{Remove: []string{rival}, Install: map[string]string{one: "9.9-9", two: v1}}
	x.refused(t, ctx, none, v1alpha1.ReasonPackageNotAvailable)
	x.refused(t, ctx, host.Transaction{Install: map[string]string{"seedbed-none": "", two: v1}}, v1alpha1.ReasonPackageNotAvailable)
	x.is(t, ctx, rival, v1, false)
	x.is(t, ctx, two, "", false)
}

func conflicting(t *testing.T, ctx context.Context, x PackagesFixture) {
	if x.Deferred {
		t.Skip("an offline root knows no conflicts")
	}
	x.change(t, ctx, host.Transaction{Install: map[string]string{rival: v1}})
	x.refused(t, ctx, host.Transaction{Install: map[string]string{one: v1, two: v1}}, v1alpha1.ReasonPackageConflict)
	x.is(t, ctx, rival, v1, false)
	x.is(t, ctx, one, "", false)
	x.is(t, ctx, two, "", false)
}

func replacing(t *testing.T, ctx context.Context, x PackagesFixture) {
	if x.Heir == nil {
		t.Skip("no package takes another's place here")
	}
	x.change(t, ctx, host.Transaction{Install: map[string]string{one: v1, two: v1}})
	x.Heir()
	x.refused(t, ctx, host.Transaction{Install: map[string]string{heir: v1}}, v1alpha1.ReasonPackageConflict)
	x.refused(t, ctx, host.Transaction{Remove: []string{one}, Install: map[string]string{heir: v1}}, v1alpha1.ReasonPackageConflict)
	x.is(t, ctx, one, v1, false)
	x.is(t, ctx, two, v1, false)
	x.is(t, ctx, heir, "", false)
	x.change(t, ctx, host.Transaction{Remove: []string{two}, Install: map[string]string{heir: v1}})
	x.is(t, ctx, two, "", false)
	x.is(t, ctx, heir, v1, false)
}

func unsolvable(t *testing.T, ctx context.Context, x PackagesFixture) {
	if x.Deferred {
		t.Skip("an offline root knows no conflicts")
	}
	x.change(t, ctx, host.Transaction{Install: map[string]string{two: v1}})
	x.refused(t, ctx, host.Transaction{Remove: []string{two}, Install: map[string]string{one: v1, rival: v1}}, v1alpha1.ReasonPackageConflict)
	x.is(t, ctx, two, v1, false)
	x.is(t, ctx, one, "", false)
	x.is(t, ctx, rival, "", false)
}

func locked(t *testing.T, ctx context.Context, x PackagesFixture) {
	if x.Lock == nil {
		t.Skip("nobody can hold a lock here")
	}
	if who, err := x.Packages.Busy(); who != "" || err != nil {
		t.Fatalf("Busy = %q, %v before anybody has the lock", who, err)
	}
	unlock := x.Lock()
	if who, err := x.Packages.Busy(); who == "" || err != nil {
		t.Errorf("Busy = %q, %v while somebody has the lock", who, err)
	}
	x.refused(t, ctx, host.Transaction{Install: map[string]string{two: v1}}, v1alpha1.ReasonPackageManagerBusy)
	unlock()
	x.change(t, ctx, host.Transaction{Install: map[string]string{two: v1}})
	x.is(t, ctx, two, v1, false)
}

func badPackageNames(t *testing.T, ctx context.Context, x PackagesFixture) {
	for _, name := range []string{"", "-oDPkg::Pre-Invoke=id", "--purge", "a-", "a b", "@core", "a:amd64", "a=1", "/bin/x", "a*"} {
		if got, found, err := x.Packages.Get(ctx, name); err == nil {
			t.Errorf("Get(%q) = %+v, %v; want an error", name, got, found)
		}
		for _, tr := range []host.Transaction{
			{Install: map[string]string{name: ""}}, {Remove: []string{name}}, {Hold: []string{name}}, {Unhold: []string{name}},
		} {
			if err := x.Packages.Change(ctx, tr); err == nil || err == host.ErrDeferred { //nolint:errorlint // the very value is promised
				t.Errorf("Change(%+v) = %v; want an error", tr, err)
			}
		}
	}
	if err := x.Packages.Change(ctx, host.Transaction{Install: map[string]string{one: "-1"}}); err == nil || err == host.ErrDeferred { //nolint:errorlint // as above
		t.Errorf("a version that looks like an option: %v", err)
	}
}

func removeNothing(t *testing.T, ctx context.Context, x PackagesFixture) {
	x.change(t, ctx, host.Transaction{Remove: []string{one}})
	x.change(t, ctx, host.Transaction{Resume: true})
	x.is(t, ctx, one, "", false)
}
