package linux

import (
	"fmt"
	"os"
	"testing"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// BenchmarkObserve is the reading half of a pass with nothing to do on the reference host: 1,000
// files and 100 sysctls. Units are left to a machine that has systemd.
func BenchmarkObserve(b *testing.B) {
	root := b.TempDir()
	h, err := Offline(root, v1alpha1.Facts{})
	if err != nil {
		b.Fatal(err)
	}
	h.Sysctls = newSysctls("/proc/sys")
	desired := state.New()
	for i := range 1000 {
		p := fmt.Sprintf("/etc/docker/certs.d/registry-%d.example.com/ca.crt", i)
		file := state.File{Content: make([]byte, 2000), Mode: 0o644, Owner: "root", Group: "root"}
		if _, err := h.Files.Write(p, file); err != nil {
			b.Fatal(err)
		}
		desired.Files[p] = file
	}
	names, err := os.ReadDir("/proc/sys/net/ipv4")
	if err != nil {
		b.Fatal(err)
	}
	for _, entry := range names {
		if name := "net.ipv4." + entry.Name(); !entry.IsDir() && len(desired.Sysctls) < 100 {
			if _, found, err := h.Sysctls.Get(name); found && err == nil {
				desired.Sysctls[name] = "1"
			}
		}
	}
	b.ResetTimer()
	for b.Loop() {
		if seen := host.Observe(b.Context(), h, desired, state.NewLedger()); len(seen.Files) != 1000 || len(seen.Unknown) != 0 {
			b.Fatalf("%d files, unknown %v", len(seen.Files), seen.Unknown)
		}
	}
}

// BenchmarkWrite100 is the first apply of 100 files, durable.
func BenchmarkWrite100(b *testing.B) {
	root := b.TempDir()
	h, err := Offline(root, v1alpha1.Facts{})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		for i := range 100 {
			p := fmt.Sprintf("/etc/run-%d/file-%d", n, i)
			if _, err := h.Files.Write(p, state.File{Content: make([]byte, 2000), Mode: 0o644, Owner: "root", Group: "root"}); err != nil {
				b.Fatal(err)
			}
		}
		if err := h.Files.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}
