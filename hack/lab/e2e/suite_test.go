package e2e

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"seedbed.dev/seedbed/hack/lab"
)

const (
	// upPatience is long enough to build everything from nothing.
	upPatience   = 30 * time.Minute
	downPatience = time.Minute
)

// hosts is the lab that the tests share. A test that needs another starts its own, with another name.
var hosts *lab.Lab

func TestE2E(t *testing.T) {
	if os.Getenv("E2E_NODES") == "" {
		t.Skip("needs hosts: `make e2e` and `make e2e-short` boot them")
	}
	if os.Getenv("LAB") == "skip" {
		t.Skip("LAB=skip: this machine is not to run a lab")
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "E2E")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	nodes, err := strconv.Atoi(os.Getenv("E2E_NODES"))
	Expect(err).NotTo(HaveOccurred(), "E2E_NODES is how many hosts to boot")
	if os.Getenv("E2E_KEEP") != "" {
		if hosts, err = lab.Open(""); err == nil {
			fmt.Fprintln(GinkgoWriter, "using the lab that is up")
			return
		}
	}
	hosts, err = lab.Start(ctx, lab.Options{Nodes: nodes, Keep: os.Getenv("E2E_KEEP") != "", Progress: GinkgoWriter})
	Expect(err).NotTo(HaveOccurred())
}, NodeTimeout(upPatience), PollProgressAfter(upPatience))

var _ = AfterSuite(func(ctx SpecContext) {
	if hosts != nil && os.Getenv("E2E_KEEP") == "" {
		Expect(hosts.Down(ctx)).To(Succeed())
	}
}, NodeTimeout(downPatience))
