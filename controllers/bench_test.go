package controllers_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/plan"
	stage "seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

func percentile(samples []time.Duration, p float64) float64 {
	slices.Sort(samples)
	return float64(samples[int(float64(len(samples)-1)*p)].Microseconds()) / 1000
}

// BenchmarkRenderAndPlan is the pure half of the pipeline for the guide's first node: resolve,
// render, and the plan of an empty host.
func BenchmarkRenderAndPlan(b *testing.B) {
	in := samples(b)[0].input
	b.ReportAllocs()
	for b.Loop() {
		desired := rendered(b, in)
		if p := plan.New(desired, state.New(), state.NewLedger()); len(p.Steps) < len(desired.Files) {
			b.Fatal("the plan lacks steps")
		}
	}
}

// someFiles is a desired host of files alone.
func someFiles(n int) state.Host {
	h := state.New()
	for i := range n {
		path := fmt.Sprintf("/etc/reference/%02d/file-%04d.conf", i%20, i)
		h.Files[path] = state.File{
			Content: bytes.Repeat(fmt.Appendf(nil, "line of %s\n", path), 40), Mode: 0o644, Owner: "root", Group: "root",
		}
	}
	return h
}

// reference is the reference host of the design: 1,000 files, 50 units and 100 sysctls.
func reference() state.Host {
	h := someFiles(950) // and 50 unit files
	for i := range 50 {
		name := fmt.Sprintf("reference-%02d.service", i)
		content := fmt.Appendf(nil, "[Service]\nExecStart=/bin/true %d\n[Install]\nWantedBy=multi-user.target\n", i)
		path := state.UnitFolder + name
		h.Files[path] = state.File{Content: content, Mode: 0o644, Owner: "root", Group: "root"}
		h.Units[name] = state.Unit{
			Enablement: state.Enabled, Activity: state.Active,
			Inputs: []state.Input{{Name: path, Path: path, Hash: state.Hash(content), Disruption: state.Restart}},
		}
	}
	for i := range 100 {
		h.Sysctls[fmt.Sprintf("net.reference.value_%03d", i)] = "1"
	}
	return h
}

func offline(b *testing.B) host.Host {
	b.Helper()
	h, err := linux.Offline(b.TempDir(), v1alpha1.Facts{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Close() })
	return h
}

// counted reports how many writes and fsyncs one operation took.
func counted(b *testing.B, do func()) {
	writes, fsyncs := linux.Writes(), linux.Fsyncs()
	do()
	b.ReportMetric(float64(linux.Writes()-writes)/float64(b.N), "writes/op")
	b.ReportMetric(float64(linux.Fsyncs()-fsyncs)/float64(b.N), "fsyncs/op")
}

// BenchmarkPassWithNothingToDo observes and plans the reference host when it agrees.
func BenchmarkPassWithNothingToDo(b *testing.B) {
	h, desired := offline(b), reference()
	converge(b, h, desired)
	book, err := apply.Open(h.Store)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	var took []time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	counted(b, func() {
		for range b.N {
			start := time.Now()
			p := plan.New(desired, host.Observe(ctx, h, desired, book.Ledger()), book.Ledger())
			if !p.Empty() {
				b.Fatalf("there is something to do:\n%s", p)
			}
			took = append(took, time.Since(start))
		}
	})
	b.ReportMetric(percentile(took, 0.5), "p50-ms")
}

func benchmarkFirstApply(b *testing.B, desired state.Host) {
	var took []time.Duration
	counted(b, func() {
		for range b.N {
			b.StopTimer()
			h := offline(b)
			b.StartTimer()
			start := time.Now()
			converge(b, h, desired)
			took = append(took, time.Since(start))
		}
	})
	b.ReportMetric(percentile(took, 0.5), "p50-ms")
}

// The first applies are durable: every file and folder is on disk at the end.
func BenchmarkFirstApplyOf100Files(b *testing.B)      { benchmarkFirstApply(b, someFiles(100)) }
func BenchmarkFirstApplyOf1000Files(b *testing.B)     { benchmarkFirstApply(b, someFiles(1000)) }
func BenchmarkFirstApplyOfReferenceHost(b *testing.B) { benchmarkFirstApply(b, reference()) }

// BenchmarkDriftOfAFile edits a file of a host root 200 times while its agent runs, and measures
// until the agent has seen it and until it is put right.
func BenchmarkDriftOfAFile(b *testing.B) {
	guide := samples(b)[0]
	in := guide.input
	root, newHost := hostRoot(b, in)
	h := newHost()
	book, err := apply.Open(h.Store)
	if err != nil {
		b.Fatal(err)
	}
	watcher := linux.NewWatcher(root)
	b.Cleanup(func() { _ = watcher.Close() })
	passes := make(chan stage.Pass, 1000)
	agent := &controllers.Agent{
		Pipeline: &controllers.Pipeline{
			NodeName: in.NodeName, Host: h, Book: book, Now: time.Now, Log: logr.Discard(),
			Validate: func(revision.Revision) field.ErrorList { return nil },
		},
		Cache: controllers.AssignmentCache{Store: h.Store}, Watcher: watcher, Resync: time.Hour,
		Report: func(p stage.Pass) { passes <- p }, Jitter: func() float64 { return 0 }, Log: logr.Discard(),
	}
	if err := agent.Init(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	data, name, err := in.Revision.Encode("guide")
	if err != nil {
		b.Fatal(err)
	}
	agent.Assign(&controllers.Assignment{Generation: 1, Revision: name, Data: data, Contents: guide.contents})
	if p := <-passes; !p.Agrees() {
		b.Fatal(p.Stall, p.Results.Err())
	}
	const edits = 200
	var seen, repaired []time.Duration
	for b.Loop() {
		for i := range edits {
			s, r := driftOnce(b, filepath.Join(root, daemonJSON), passes, i)
			seen, repaired = append(seen, s), append(repaired, r)
		}
	}
	for _, m := range []struct {
		name    string
		samples []time.Duration
	}{{"seen", seen}, {"repaired", repaired}} {
		b.ReportMetric(percentile(m.samples, 0.5), m.name+"-p50-ms")
		b.ReportMetric(percentile(m.samples, 0.99), m.name+"-p99-ms")
	}
}

// driftOnce changes the file by hand and waits for the pass that puts it right.
func driftOnce(b *testing.B, path string, passes <-chan stage.Pass, i int) (seen, repaired time.Duration) {
	start := time.Now()
	if err := os.WriteFile(path, fmt.Appendf(nil, "drift %d", i), 0o644); err != nil {
		b.Fatal(err)
	}
	for p := range passes {
		if len(p.Corrections()) > 0 {
			return p.Started.Sub(start), p.Finished.Sub(start)
		}
	}
	return 0, 0
}
