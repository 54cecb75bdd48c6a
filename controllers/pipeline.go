package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/report"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/state"
)

// Pipeline runs the stages on one host: resolve, render, observe, plan, apply. It is used by one
// goroutine.
type Pipeline struct {
	// NodeName is the name of the NodeState.
	NodeName string
	Host     host.Host
	Book     *apply.Book
	// Validate checks a revision by the rules of the CRDs, since admission is not a trust boundary.
	Validate func(revision.Revision) field.ErrorList
	// Watch is told the managed paths before the host is observed; may be nil.
	Watch func(paths []string)
	// Await is told the files that units await before they are looked for; may be nil.
	Await func(ctx context.Context, paths []string)
	// Keep puts an assignment on disk before the host is changed towards it, so that an agent that
	// is killed half-way goes on with it and not back, and the facts it was realised with; may be nil.
	Keep func(*Assignment, *v1alpha1.Facts) error
	// Progress is told of a pass that is about to install something, which may take minutes; may be nil.
	Progress func(report.Pass)
	// Now is the clock.
	Now func() time.Time
	Log logr.Logger

	// valid is the name of the last revision that Validate passed.
	valid     string
	bootstrap kubeletBootstrap
	// facts are the last with which a revision could be resolved; keptFacts those on disk.
	facts, keptFacts *v1alpha1.Facts
}

// Assignment is what a node is to be: a revision and the Secrets it refers to.
type Assignment struct {
	// Generation of the NodeState's spec.
	Generation int64
	// Revision is its name; empty when no NodeConfig governs the node.
	Revision string
	// Data is the revision as package revision encoded it.
	Data []byte
	// Pins are the versions of the Secrets whose contents are in Contents.
	Pins     []v1alpha1.PinnedSecret
	Contents map[v1alpha1.SecretKeyReference]state.Sensitive
	// Permit is the plan that the manager has drained the node for; empty for none.
	Permit v1alpha1.PlanHash
	// Trimmed is true when Contents has no bootstrap token, since the kubelet has used it.
	Trimmed bool
}

// Pass brings the host to what want says, or, when that cannot be realised, keeps it at held, the
// assignment of the pass before. It returns what was done and the assignment that was enforced;
// nil when there is none. want with an empty revision enforces held: removal is only ever explicit.
func (p *Pipeline) Pass(ctx context.Context, want, held *Assignment) (report.Pass, *Assignment) {
	pass := report.Pass{
		Generation: want.Generation, Revision: want.Revision, Secrets: want.Pins,
		Offline: p.Host.Offline, Started: p.Now(),
	}
	p.readFacts(ctx, &pass)
	p.lookForKubelet()
	enforced, towards := p.choose(&pass, want, held)
	if enforced != nil {
		pass.Enforced = enforced.Revision
		if pass.Err = p.keep(enforced, held); pass.Err == nil {
			enforced = p.converge(ctx, &pass, steering{enforced, towards, string(want.Permit)})
		}
	}
	ledger := p.Book.Ledger()
	pass.Corrected, pass.LastCorrected = ledger.Corrected, ledger.LastCorrected
	p.tellIncomplete(&pass)
	pass.Finished = p.Now()
	return pass, enforced
}

func (p *Pipeline) keep(enforced, held *Assignment) error {
	same := held != nil && (enforced == held || held.sameAs(enforced))
	toKeep := p.bootstrap.withoutUsedToken(enforced)
	if p.Keep == nil || (same && toKeep.Trimmed == p.bootstrap.keptTrimmed && sameForRendering(p.facts, p.keptFacts)) {
		return nil
	}
	if err := p.Keep(toKeep, p.facts); err != nil {
		return err
	}
	p.keptFacts, p.bootstrap.keptTrimmed = p.facts, toKeep.Trimmed
	return nil
}

// sameForRendering compares what resolve looks at.
func sameForRendering(a, b *v1alpha1.Facts) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Cgroup == b.Cgroup && a.PackageManager == b.PackageManager && equality.Semantic.DeepEqual(a.Interfaces, b.Interfaces) &&
		equality.Semantic.DeepEqual(a.Routes, b.Routes) && equality.Semantic.DeepEqual(a.Components, b.Components)
}

// choose fills in the desired host: that of want, or else that of held. With facts that do not do,
// such as those of a host whose network is not up yet, held is kept up with the last that did; want
// is stalled then, since a guess is no way to begin something new. While programs that want installs
// are missing, the host is kept at held, and what is installed is towards want.
func (p *Pipeline) choose(pass *report.Pass, want, held *Assignment) (enforced, towards *Assignment) {
	if want.Revision != "" {
		first, stall := p.realise(want, pass.Facts)
		if stall == nil {
			return p.aim(pass, want, held, first)
		}
		pass.Stall = stall
	}
	if held == nil {
		return nil, nil
	}
	kept, stall := p.realise(held, pass.Facts)
	if stall != nil {
		kept, stall = p.realise(held, p.facts)
	}
	if stall != nil {
		return nil, nil
	}
	pass.Desired = kept.desired
	return held, held
}

// readFacts fills in what was found, which may be enough, and why the rest was not.
func (p *Pipeline) readFacts(ctx context.Context, pass *report.Pass) {
	facts, err := p.Host.Facts.Facts(ctx)
	pass.Facts, pass.Incomplete = &facts, err
}

// tellIncomplete says once in a pass, which may read the facts twice, what they lack, also where that
// may be why nothing goes on. The stall may be in a status that is being written: it is not changed.
func (p *Pipeline) tellIncomplete(pass *report.Pass) {
	if pass.Incomplete == nil {
		return
	}
	p.Log.Error(pass.Incomplete, "reading facts")
	if pass.Stall != nil {
		message := pass.Stall.Message + "; the facts of this host are incomplete: " + oneLine(pass.Incomplete)
		pass.Stall = &report.Stall{Reason: pass.Stall.Reason, Message: message}
	}
}

// oneLine puts errors that were joined on one line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// realise resolves and renders.
func (p *Pipeline) realise(a *Assignment, facts *v1alpha1.Facts) (realised, *report.Stall) {
	rev, err := revision.Decode(a.Data)
	if err != nil {
		return realised{}, &report.Stall{Reason: v1alpha1.ReasonInvalid, Message: err.Error()}
	}
	if a.Revision != p.valid {
		if errs := p.Validate(rev); len(errs) > 0 {
			return realised{}, &report.Stall{Reason: v1alpha1.ReasonInvalid, Message: fieldErrors(errs)}
		}
		p.valid = a.Revision
	}
	desired, err := p.render(a, rev, facts)
	if err != nil {
		return realised{}, stallOf(err)
	}
	p.bootstrap.tokenSecret = rev.TokenSecret()
	if len(desired.missing) == 0 {
		p.facts = facts
	}
	return desired, nil
}

func (p *Pipeline) render(a *Assignment, rev revision.Revision, facts *v1alpha1.Facts) (realised, error) {
	if facts == nil {
		return realised{}, errors.New("nothing is known of this host yet")
	}
	node, err := resolve.Resolve(resolve.Input{
		NodeName: p.NodeName, Revision: rev, Facts: *facts, Secrets: resolve.NewSecrets(a.Contents),
		KubeletHasCertificate: p.bootstrap.done,
	})
	if err != nil {
		return realised{}, err
	}
	desired, err := render.Render(node)
	return realised{desired: desired, missing: node.Missing}, err
}

func stallOf(err error) *report.Stall {
	stall := &report.Stall{Reason: v1alpha1.ReasonInvalid, Message: oneLine(err)}
	if typed, ok := errors.AsType[resolve.Errors](err); ok {
		stall.Reason = typed.Reason()
	}
	return stall
}

func fieldErrors(errs field.ErrorList) string {
	const listed = 3
	var texts []string
	for _, e := range errs[:min(len(errs), listed)] {
		texts = append(texts, e.Error())
	}
	if rest := len(errs) - listed; rest > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", rest))
	}
	return strings.Join(texts, "; ")
}

// watch asks for events of what is managed, and of what decides how to go on when it appears.
func (p *Pipeline) watch(desired state.Host) {
	if p.Watch != nil {
		p.Watch(slices.Concat(state.SortedKeys(desired.Files), state.SortedKeys(desired.Binaries), desired.AwaitedPaths(), leaseFiles(desired), []string{resolve.PathKubeletClient}))
	}
}

// leaseFiles are files of flannel's that docker0 is made from.
func leaseFiles(desired state.Host) []string {
	var paths []string
	for _, name := range state.SortedKeys(desired.Links) {
		if b := desired.Links[name].Bridge; b != nil {
			paths = append(paths, b.Lease)
		}
	}
	return paths
}

func (p *Pipeline) logStep(r apply.Result) {
	log := p.Log.WithValues("action", r.Step.Action, "target", r.Step.Target.String(), "reason", r.Step.Reason)
	if r.Unchecked != nil {
		log.Info("taking step without a check", "because", oneLine(r.Unchecked))
	}
	switch r.Outcome {
	case apply.Failed:
		log.Error(r.Err, "taking step")
	case apply.Skipped, apply.Waiting:
		log.Info("skipping step", "because", r.Err.Error())
	default:
		log.Info("took step", "outcome", r.Outcome, "disruption", r.Step.Disruption.String(), "drift", r.Step.Drift)
	}
}
