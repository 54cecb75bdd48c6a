package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"seedbed.dev/seedbed/hack/lab"
)

// A lab of its own: these end it in all the ways that it can end.
var _ = Describe("A lab that ends", func() {
	var name string

	BeforeEach(func() { name = hosts.Name() + "-ends" })

	start := func(ctx context.Context, options lab.Options) *lab.Lab {
		GinkgoHelper()
		options.Name, options.Progress = name, GinkgoWriter
		started, err := lab.Start(ctx, options)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(lab.Clean, name)
		return started
	}

	It("leaves nothing when it is taken down", func(ctx SpecContext) {
		started := start(ctx, lab.Options{Nodes: 1})
		Expect(cgroups(name)).NotTo(BeEmpty())
		Expect(started.Down(ctx)).To(Succeed())
		Expect(processes(name)).To(BeEmpty())
		Expect(cgroups(name)).To(BeEmpty())
		Expect(started.Folder()).NotTo(BeADirectory())
	})

	It("is killed by the kernel when its supervisor is, and the next one of that name cleans up and starts", func(ctx SpecContext) {
		started := start(ctx, lab.Options{Nodes: 1, Keep: true})
		_, err := started.Exec(ctx, "node-a", "bash", "-c", "setsid sleep 4567 >/dev/null 2>&1 & echo kept > /root/file")
		Expect(err).NotTo(HaveOccurred())
		watcher, _ := started.Processes()
		Expect(syscall.Kill(watcher, syscall.SIGKILL)).To(Succeed())
		Eventually(processes).WithArguments(name).WithTimeout(waitForKernel).Should(BeEmpty())
		// With the last process went what namespaces hold; folders and cgroups are still there.
		Expect(cgroups(name)).NotTo(BeEmpty())
		_, err = lab.Open(name)
		Expect(err).To(MatchError(ContainSubstring("it was killed")))
		again := start(ctx, lab.Options{Nodes: 1})
		_, err = again.Exec(ctx, "node-a", "cat", "/root/file")
		Expect(err).To(HaveOccurred(), "a new lab has new hosts")
		Expect(again.Down(ctx)).To(Succeed())
		Expect(cgroups(name)).To(BeEmpty())
	})

	It("cleans up by itself when its process 1 is killed", func(ctx SpecContext) {
		started := start(ctx, lab.Options{Nodes: 1, Keep: true})
		_, first := started.Processes()
		Expect(syscall.Kill(first, syscall.SIGKILL)).To(Succeed())
		Eventually(processes).WithArguments(name).WithTimeout(waitForKernel).Should(BeEmpty())
		Eventually(cgroups).WithArguments(name).WithTimeout(waitForKernel).Should(BeEmpty())
	})

	It("leaves nothing when it is given up while hosts boot", func(ctx SpecContext) {
		stopped, stop := context.WithCancel(ctx)
		// The stage before the boot has just ended when this is written.
		progress := writerFunc(func(line []byte) {
			if strings.Contains(string(line), "files") {
				stop()
			}
		})
		_, err := lab.Start(stopped, lab.Options{Name: name, Nodes: 1, Progress: progress})
		Expect(err).To(MatchError(context.Canceled))
		Expect(processes(name)).To(BeEmpty())
		Expect(cgroups(name)).To(BeEmpty())
	})

	It("refuses a second one of that name, and stands beside one of another", func(ctx SpecContext) {
		started := start(ctx, lab.Options{Nodes: 1})
		_, err := lab.Start(ctx, lab.Options{Nodes: 1, Name: name})
		Expect(err).To(MatchError(And(ContainSubstring("is up already"), ContainSubstring("make lab-down LAB_NAME="+name))))
		// Both have a 10.64.3.1 and a 10.64.3.7, and reach their own.
		Expect(os.WriteFile(filepath.Join(started.Served(), "here"), []byte(name), 0o600)).To(Succeed())
		Expect(started.Exec(ctx, "node-a", "curl", "-sSf", lab.FilesURL()+"/here")).To(Equal(name))
		_, err = hosts.Exec(ctx, "node-a", "curl", "-sSf", lab.FilesURL()+"/here")
		Expect(err).To(MatchError(ContainSubstring("404")))
	})

	It("gives hosts with two interfaces a public default route that leads to no other host", func(ctx SpecContext) {
		started := start(ctx, lab.Options{Nodes: 2, TwoInterfaces: true})
		Expect(started.Exec(ctx, "node-a", "ip", "route", "show", "default")).To(ContainSubstring("via 203.0.113.1 dev eth0"))
		_, err := started.Exec(ctx, "node-a", "ping", "-c", "1", "-W", "2", "10.64.3.8")
		Expect(err).NotTo(HaveOccurred())
		_, err = started.Exec(ctx, "node-a", "ping", "-c", "1", "-W", "1", "203.0.113.8")
		Expect(err).To(HaveOccurred())
	})
})

// writerFunc is a writer that calls a function.
type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

const waitForKernel = 10 * time.Second

// processes lists the machine's processes that run the lab's programs or are in its cgroups.
func processes(name string) []string {
	GinkgoHelper()
	statuses, err := filepath.Glob("/proc/[0-9]*/cgroup")
	Expect(err).NotTo(HaveOccurred())
	var found []string
	for _, file := range statuses {
		cgroup, err := os.ReadFile(file)
		if err != nil {
			continue // It ended.
		}
		program, _ := os.Readlink(filepath.Join(filepath.Dir(file), "exe"))
		if strings.Contains(string(cgroup), "/seedbed-"+name+"/") || strings.Contains(program, "/run/"+name+"/") {
			found = append(found, filepath.Dir(file)+" "+program)
		}
	}
	return found
}

// cgroups lists the lab's cgroups.
func cgroups(name string) []string {
	GinkgoHelper()
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/seedbed-" + name, "/sys/fs/cgroup/*/seedbed-" + name} {
		some, err := filepath.Glob(pattern)
		Expect(err).NotTo(HaveOccurred())
		found = append(found, some...)
	}
	return found
}
