package hosttest

import (
	"testing"

	"seedbed.dev/seedbed/controllers/host"
)

// SysctlsFixture is one implementation of host.Sysctls with a sysctl that the contract may set.
type SysctlsFixture struct {
	Sysctls host.Sysctls
	// Name of a sysctl, and two values of it that differ.
	Name   string
	Values [2]string
	// Fields of a sysctl that has several, one space between them; and its name. Empty where there
	// is none.
	FieldsName, Fields string
	// Deferred is true when changes answer host.ErrDeferred.
	Deferred bool
}

// SysctlsContract is what every host.Sysctls promises.
func SysctlsContract(t *testing.T, open func(t *testing.T) SysctlsFixture) {
	t.Helper()
	t.Run("what was set is read back", func(t *testing.T) {
		x := open(t)
		for _, value := range []string{x.Values[0], x.Values[1], x.Values[1], x.Values[0]} {
			settled(t, x.Sysctls.Set(x.Name, value), x.Deferred)
			if got, found, err := x.Sysctls.Get(x.Name); got != value || !found || err != nil {
				t.Errorf("Get = %q, %v, %v; want %q", got, found, err, value)
			}
		}
	})
	t.Run("fields are separated by one space", func(t *testing.T) {
		x := open(t)
		if x.FieldsName == "" {
			t.Skip("the fixture has no sysctl with several fields")
		}
		if got, found, err := x.Sysctls.Get(x.FieldsName); got != x.Fields || !found || err != nil {
			t.Errorf("Get = %q, %v, %v; want %q", got, found, err, x.Fields)
		}
	})
	t.Run("a sysctl that the kernel does not have is absent, not an error", func(t *testing.T) {
		if got, found, err := open(t).Sysctls.Get("net.ipv4.seedbed_no_such"); found || err != nil {
			t.Errorf("Get = %q, %v, %v; want absent", got, found, err)
		}
	})
	t.Run("names cannot leave /proc/sys", func(t *testing.T) {
		x := open(t)
		for _, name := range []string{"", "/etc/passwd", "../etc/passwd", "net.//.x", "net..x", "net/../../x"} {
			if got, _, err := x.Sysctls.Get(name); err == nil {
				t.Errorf("Get(%q) = %q; want an error", name, got)
			}
			if err := x.Sysctls.Set(name, "1"); err == nil || err == host.ErrDeferred { //nolint:errorlint // the very value is promised
				t.Errorf("Set(%q) = %v; want an error", name, err)
			}
		}
	})
}

// ModulesFixture is one implementation of host.Modules.
type ModulesFixture struct {
	Modules host.Modules
	// Loaded is a module that is there; empty where none is known.
	Loaded string
	// Loadable is one that may be loaded; empty where none may.
	Loadable string
	Deferred bool
}

// ModulesContract is what every host.Modules promises.
func ModulesContract(t *testing.T, open func(t *testing.T) ModulesFixture) {
	t.Helper()
	t.Run("a loaded module is loaded, by either spelling", func(t *testing.T) {
		x := open(t)
		if x.Loaded == "" {
			t.Skip("no module is known to be loaded here")
		}
		if loaded, err := x.Modules.Loaded(x.Loaded); !loaded || err != nil {
			t.Errorf("Loaded(%s) = %v, %v", x.Loaded, loaded, err)
		}
	})
	t.Run("a module that does not exist is not loaded", func(t *testing.T) {
		if loaded, err := open(t).Modules.Loaded("seedbed_no_such"); loaded || err != nil {
			t.Errorf("Loaded = %v, %v; want false", loaded, err)
		}
	})
	t.Run("loading loads", func(t *testing.T) {
		x := open(t)
		if x.Loadable == "" {
			t.Skip("no module may be loaded into this kernel by a test")
		}
		for range 2 {
			settled(t, x.Modules.Load(t.Context(), x.Loadable), x.Deferred)
			if loaded, err := x.Modules.Loaded(x.Loadable); !loaded || err != nil {
				t.Errorf("Loaded = %v, %v after Load", loaded, err)
			}
		}
	})
	t.Run("bad names are refused", func(t *testing.T) {
		x := open(t)
		for _, name := range []string{"", "-r", "../x", "a b", "a;b"} {
			if _, err := x.Modules.Loaded(name); err == nil {
				t.Errorf("Loaded(%q) gave no error", name)
			}
			if err := x.Modules.Load(t.Context(), name); err == nil || err == host.ErrDeferred { //nolint:errorlint // as above
				t.Errorf("Load(%q) = %v; want an error", name, err)
			}
		}
	})
}

// ChainsFixture is one implementation of host.Chains.
type ChainsFixture struct {
	Chains   host.Chains
	Deferred bool
}

// ChainsContract is what every host.Chains promises; it sets filter/FORWARD.
func ChainsContract(t *testing.T, open func(t *testing.T) ChainsFixture) {
	t.Helper()
	const forward = "filter/FORWARD"
	t.Run("the policy that was set is read back", func(t *testing.T) {
		x := open(t)
		for _, policy := range []string{"DROP", "ACCEPT", "ACCEPT", "DROP"} {
			settled(t, x.Chains.SetPolicy(t.Context(), forward, policy), x.Deferred)
			if got, found, err := x.Chains.Get(t.Context(), forward); got.Policy != policy || !found || err != nil {
				t.Errorf("Get = %+v, %v, %v; want %s", got, found, err, policy)
			}
		}
	})
	t.Run("a chain that the table does not have is absent, not an error", func(t *testing.T) {
		if got, found, err := open(t).Chains.Get(t.Context(), "filter/NOSUCH"); found || err != nil {
			t.Errorf("Get = %+v, %v, %v; want absent", got, found, err)
		}
	})
	t.Run("bad names and policies are refused", func(t *testing.T) {
		x := open(t)
		for _, tt := range []struct{ name, policy string }{
			{"FORWARD", "DROP"},
			{"filter/", "DROP"},
			{"/FORWARD", "DROP"},
			{"filter/--modprobe", "DROP"},
			{"-t/FORWARD", "DROP"},
			{forward, "REJECT"},
			{forward, "drop"},
			{forward, ""},
		} {
			if err := x.Chains.SetPolicy(t.Context(), tt.name, tt.policy); err == nil || err == host.ErrDeferred { //nolint:errorlint // as above
				t.Errorf("SetPolicy(%q, %q) = %v; want an error", tt.name, tt.policy, err)
			}
		}
	})
}

// settled fails the test unless a change succeeded, or was deferred where that is the outcome.
func settled(t *testing.T, err error, deferred bool) {
	t.Helper()
	if deferred && err == host.ErrDeferred { //nolint:errorlint // as above
		return
	}
	if err != nil || deferred {
		t.Fatalf("change: %v; deferred is %v", err, deferred)
	}
}
