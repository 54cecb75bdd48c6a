package hosttest

import (
	"context"
	"testing"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// UnitsFixture is one implementation of host.Units with units that the contract may use.
type UnitsFixture struct {
	Units host.Units
	// Deferred is true when runtime changes answer host.ErrDeferred.
	Deferred bool
	// Service is a long-running service with [Install] and ExecReload=, stopped and disabled.
	Service string
	// Static is a service without [Install], stopped.
	Static string
	// Failing is a service whose start fails; empty where there is none.
	Failing string
	// Masked is a masked unit; empty where there is none.
	Masked string
}

// unitTimeout bounds one systemd job in the contract.
const unitTimeout = 30 * time.Second

// UnitsContract is what every host.Units promises.
func UnitsContract(t *testing.T, open func(t *testing.T) UnitsFixture) {
	t.Helper()
	for name, promise := range map[string]func(*testing.T, context.Context, UnitsFixture){
		"a unit that systemd does not know is missing, not an error": missingUnit,
		"enablement is set, and setting it again changes nothing":    enablement,
		"each start and restart gives a new invocation":              invocations,
		"a static unit is seen and cannot be enabled":                staticUnit,
		"a start that fails says so, and is seen":                    failingUnit,
		"a masked unit is seen and refuses":                          maskedUnit,
		"bad names are refused":                                      badUnitNames,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), unitTimeout)
			defer cancel()
			promise(t, ctx, open(t))
		})
	}
}

func (x UnitsFixture) get(t *testing.T, ctx context.Context, name string) state.Unit {
	t.Helper()
	unit, err := x.Units.Get(ctx, name)
	if err != nil {
		t.Fatalf("Get(%s): %v", name, err)
	}
	return unit
}

func (x UnitsFixture) do(t *testing.T, ctx context.Context, name string, verb host.Verb) {
	t.Helper()
	x.settle(t, string(verb)+" "+name, x.Units.Do(ctx, name, verb))
}

// settle fails the test unless a change succeeded, or was deferred where that is the outcome.
func (x UnitsFixture) settle(t *testing.T, what string, err error) {
	t.Helper()
	if err == host.ErrDeferred && x.Deferred { //nolint:errorlint // the very value is promised
		return
	}
	if err != nil || x.Deferred {
		t.Fatalf("%s: %v; deferred is %v", what, err, x.Deferred)
	}
}

func missingUnit(t *testing.T, ctx context.Context, x UnitsFixture) {
	const name = "seedbed-no-such-unit.service"
	if got := x.get(t, ctx, name); !got.Missing {
		t.Errorf("Get = %+v; want Missing", got)
	}
	if err := x.Units.Do(ctx, name, host.Start); err == nil || err == host.ErrDeferred { //nolint:errorlint // as above
		t.Errorf("start of a missing unit = %v; want an error", err)
	}
	if err := x.Units.SetEnablement(ctx, name, state.Enabled); err == nil {
		t.Error("a missing unit was enabled")
	}
}

func enablement(t *testing.T, ctx context.Context, x UnitsFixture) {
	for _, want := range []state.Enablement{state.Disabled, state.Enabled, state.Enabled, state.Disabled, state.Disabled} {
		if err := x.Units.SetEnablement(ctx, x.Service, want); err != nil {
			t.Fatalf("SetEnablement(%s): %v", want, err)
		}
		if got := x.get(t, ctx, x.Service); got.Enablement != want {
			t.Errorf("enablement is %q after setting %q", got.Enablement, want)
		}
	}
	if err := x.Units.SetEnablement(ctx, x.Service, state.Static); err == nil {
		t.Error("a unit was made static")
	}
}

func invocations(t *testing.T, ctx context.Context, x UnitsFixture) {
	if got := x.get(t, ctx, x.Service); got.Activity != state.Inactive {
		t.Fatalf("before: %+v; want inactive", got)
	}
	seen := map[string]bool{"": true}
	for _, step := range []struct {
		verb    host.Verb
		want    state.Activity
		renewed bool
	}{
		{host.Start, state.Active, true},
		{host.Start, state.Active, false},
		{host.Reload, state.Active, false},
		{host.Restart, state.Active, true},
		{host.Stop, state.Inactive, false},
		{host.Stop, state.Inactive, false},
		{host.Restart, state.Active, true},
		{host.Stop, state.Inactive, false},
	} {
		x.do(t, ctx, x.Service, step.verb)
		got := x.get(t, ctx, x.Service)
		if got.Activity != step.want {
			t.Errorf("after %s: %s; want %s", step.verb, got.Activity, step.want)
		}
		if step.want == state.Active && seen[got.Invocation] == step.renewed {
			t.Errorf("after %s: invocation %q is new: %v; want %v", step.verb, got.Invocation, !seen[got.Invocation], step.renewed)
		}
		seen[got.Invocation] = true
	}
	x.settle(t, "daemon-reload", x.Units.DaemonReload(ctx))
}

func staticUnit(t *testing.T, ctx context.Context, x UnitsFixture) {
	if got := x.get(t, ctx, x.Static); got.Enablement != state.Static || got.Missing {
		t.Errorf("Get = %+v; want static", got)
	}
	if err := x.Units.SetEnablement(ctx, x.Static, state.Enabled); err == nil {
		t.Error("a static unit was enabled")
	}
	x.do(t, ctx, x.Static, host.Start)
	x.do(t, ctx, x.Static, host.Stop)
}

func failingUnit(t *testing.T, ctx context.Context, x UnitsFixture) {
	if x.Failing == "" {
		t.Skip("a host that is not running has no unit that fails")
	}
	for range 10 { // more often than StartLimitBurst: the counter is reset each time
		if err := x.Units.Do(ctx, x.Failing, host.Start); err == nil {
			t.Fatal("the start succeeded")
		}
		if got := x.get(t, ctx, x.Failing); got.Activity != state.Failed {
			t.Fatalf("activity is %s; want failed", got.Activity)
		}
	}
}

func maskedUnit(t *testing.T, ctx context.Context, x UnitsFixture) {
	if x.Masked == "" {
		t.Skip("the fixture has no masked unit")
	}
	if got := x.get(t, ctx, x.Masked); got.Enablement != state.Masked || got.Missing {
		t.Errorf("Get = %+v; want masked", got)
	}
	if err := x.Units.SetEnablement(ctx, x.Masked, state.Enabled); err == nil {
		t.Error("a masked unit was enabled")
	}
	if err := x.Units.Do(ctx, x.Masked, host.Start); err == nil || err == host.ErrDeferred { //nolint:errorlint // as above
		t.Errorf("start of a masked unit = %v; want an error", err)
	}
}

func badUnitNames(t *testing.T, ctx context.Context, x UnitsFixture) {
	for _, name := range []string{"", "docker", "--root=/x.service", "../x.service", "a b.service", "a\n.service", "x.conf"} {
		if got, err := x.Units.Get(ctx, name); err == nil {
			t.Errorf("Get(%q) = %+v; want an error", name, got)
		}
		if err := x.Units.Do(ctx, name, host.Start); err == nil || err == host.ErrDeferred { //nolint:errorlint // as above
			t.Errorf("start of %q = %v; want an error", name, err)
		}
	}
}
