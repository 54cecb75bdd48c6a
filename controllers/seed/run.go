package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"seedbed.dev/seedbed/controllers/seed/install"
	"seedbed.dev/seedbed/controllers/seed/pki"
	"seedbed.dev/seedbed/controllers/seed/supervise"
)

const (
	// startTimeout is for one component to become healthy, on a slow disk too.
	startTimeout = 3 * time.Minute
	// bootstrapValidity is how long the identity that installs the roles is valid.
	bootstrapValidity = time.Hour
	// portPatience is how long to wait for the port of a seed that was killed a moment ago.
	portPatience = 3 * time.Second
)

// Run brings up a seed control plane, prints what it does to out, and returns when ctx ends and every
// child has stopped. An error that the user can cure is a *Problem.
func Run(ctx context.Context, o Options, out io.Writer) error {
	settings, err := o.Check()
	if err != nil {
		return err
	}
	components, err := findComponents(ctx, ComponentsDir(o.Components))
	if err != nil {
		return err
	}
	dir, err := openDataDir(settings.DataDir)
	if err != nil {
		return err
	}
	defer dir.close()
	if o.ReadyFile != "" {
		// One that a killed seed left behind says what is no longer true.
		_ = os.Remove(o.ReadyFile)
	}
	s := &seed{Layout: dir.Layout, settings: settings, components: components, say: newProgress(out)}
	s.say.stepf("data dir %s, Kubernetes %s", dir.Root, components.Version.Text)

	s.children = supervise.New(func(e supervise.Event) { s.say.stepf("%s", e) })
	err = s.bringUp(ctx)
	if err == nil {
		err = s.serve(ctx, o.ReadyFile)
	}
	s.children.Stop()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	if err == nil {
		s.say.stepf("stopped")
	}
	return explain(dir.Root, err)
}

// seed is one run.
type seed struct {
	Layout
	settings   Settings
	components Components
	ports      Ports
	authority  pki.Authority
	children   *supervise.Supervisor
	say        *progress
}

// bringUp goes through the steps of a start and stops at the first that fails.
func (s *seed) bringUp(ctx context.Context) error {
	steps := []func(context.Context) error{s.choosePorts, s.keepCertificates, s.keepKubeconfigs, s.startChildren, s.install}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
	return nil
}

// choosePorts takes those of the last start where it can. A seed that was killed lets go of its ports
// a moment later, so the first answer is not the last.
func (s *seed) choosePorts(ctx context.Context) error {
	last, err := s.recall()
	if err != nil {
		return err
	}
	if err := last.checkUnchanged(s.settings); err != nil {
		return err
	}
	picker := &portPicker{try: tryListen, draw: rand.IntN}
	for end := time.Now().Add(portPatience); ; {
		s.ports, err = picker.pick(s.settings, last.Ports)
		if err == nil || last.Ports.APIServer == 0 || time.Now().After(end) || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	return s.remember(remembered{
		Ports: s.ports, ServiceRange: s.settings.ServiceRange.String(), Server: s.settings.server(s.ports.APIServer),
	})
}

func (s *seed) keepCertificates(context.Context) error {
	now, store := time.Now(), s.PKI()
	signers := map[string]pki.Authority{}
	var done changes
	for _, a := range authorities() {
		authority, made, err := store.EnsureAuthority(a.name, a.commonName, now)
		if err != nil {
			return err
		}
		signers[a.name] = authority
		done.add(a.commonName, reasonIfMade(made))
	}
	s.authority = signers[clusterAuthority]
	for _, c := range certificates(s.settings) {
		_, reason, err := store.EnsurePair(c.name, signers[c.authority], c.spec, now)
		if err != nil {
			return err
		}
		done.add(c.name, reason)
	}
	made, err := store.EnsureKeyPair(serviceAccountKey)
	if err != nil {
		return err
	}
	done.add("service account key", reasonIfMade(made))
	s.say.stepf("certificates: %s", done)
	return nil
}

func (s *seed) keepKubeconfigs(context.Context) error {
	var done changes
	for _, c := range clients() {
		server := s.settings.server(s.ports.APIServer)
		if c.local {
			server = s.settings.localServer(s.ports.APIServer)
		}
		a := access{server: server, authority: s.authority}
		reason, err := a.ensure(s.Kubeconfig(c.name), c.spec, time.Now())
		if err != nil {
			return err
		}
		done.add(c.name, reason)
	}
	s.say.stepf("kubeconfigs: %s", done)
	return nil
}

func (s *seed) startChildren(ctx context.Context) error {
	plan := MakePlan(s.settings, s.ports, s.components)
	for _, dir := range plan.Dirs {
		if err := os.MkdirAll(dir, pki.DirMode); err != nil {
			return err
		}
	}
	if err := pki.WriteFile(s.AuthenticationFile(), []byte(plan.Authentication)); err != nil {
		return err
	}
	for _, child := range plan.Children {
		childCtx, cancel := context.WithTimeout(ctx, startTimeout)
		err := s.children.Start(childCtx, child)
		cancel()
		if err != nil {
			return startProblem(s.Root, err)
		}
		if child.Name == etcdName {
			// Before kube-apiserver comes: what is written while the users change is refused.
			if err := s.guardEtcd(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// startProblem adds what to do to the ways a component fails that a user meets. Only its log tells
// them apart.
func startProblem(root string, err error) error {
	var start *supervise.StartError
	if !errors.As(err, &start) {
		return err
	}
	cure := "read the log"
	switch {
	case strings.Contains(start.LastLine, "no space left on device"):
		cure = "free some space on the file system of " + root
	case strings.Contains(start.LastLine, "address already in use"):
		cure = "start again, or choose another port with --secure-port"
	}
	return &Problem{What: start.Error(), Cure: cure, Err: err}
}

func (s *seed) install(ctx context.Context) error {
	a := access{server: s.settings.localServer(s.ports.APIServer), authority: s.authority}
	config, err := a.inMemory(bootstrapSpec(), time.Now(), bootstrapValidity)
	if err != nil {
		return err
	}
	installer, err := install.New(config)
	if err != nil {
		return err
	}
	report := func(line string) { s.say.stepf("%s", line) }
	cluster := install.Cluster{Server: s.settings.server(s.ports.APIServer), AuthorityPEM: s.authority.CertPEM}
	if err := installer.Everything(ctx, cluster, report); err != nil {
		return err
	}
	return s.shareFlannelCertificate(ctx, installer, report)
}

// serve says that the seed is ready and waits for ctx to end.
func (s *seed) serve(ctx context.Context, readyFile string) error {
	s.say.line(summary(s.Layout, s.settings, s.settings.server(s.ports.APIServer), s.components))
	if readyFile != "" {
		if err := pki.WriteFile(readyFile, []byte(s.Kubeconfig(adminName)+"\n")); err != nil {
			return &Problem{What: fmt.Sprintf("--ready-file %v", err), Cure: "give a path that can be written", Err: err}
		}
		defer func() { _ = os.Remove(readyFile) }()
	}
	s.say.stepf("ready")
	<-ctx.Done()
	s.say.stepf("stopping")
	return nil
}

// signing are the flags of a manager that has to sign certificates itself.
func signing(l Layout, c Components) string {
	if c.ControllerManager != "" {
		return ""
	}
	return fmt.Sprintf(" --signing-cert %s --signing-key %s", l.PKI().CertFile(clusterAuthority), l.PKI().KeyFile(clusterAuthority))
}

// summary is what a user needs to know once the seed is up.
func summary(l Layout, s Settings, server string, c Components) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe seed is up at %s.\n\n", server)
	fmt.Fprintf(&b, "  use it:          export KUBECONFIG=%s\n", l.Kubeconfig(adminName))
	fmt.Fprintf(&b, "                   kubectl get networkconfigs,nodeconfigs,nodestates\n")
	fmt.Fprintf(&b, "  start a manager: seedbed manager --kubeconfig %s%s\n", l.Kubeconfig(managerName), signing(l, c))
	fmt.Fprintf(&b, "  let nodes join:  seedbed seed token create --labels role=worker --addresses CIDR-OF-THE-NODES --data-dir %s\n", l.Root)
	fmt.Fprintf(&b, "  flannel's etcd:  %s\n", flannelSummary(s))
	fmt.Fprintf(&b, "  logs:            %s\n", l.Log("*"))
	for _, n := range notRun(c) {
		fmt.Fprintf(&b, "  not run here:    %s\n", n)
	}
	for _, w := range warnings(s) {
		fmt.Fprintf(&b, "  warning:         %s\n", w)
	}
	return b.String()
}
