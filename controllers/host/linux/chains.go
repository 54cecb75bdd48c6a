package linux

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-iptables/iptables"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// lockWait is how many seconds iptables waits for another program to release the xtables lock.
const lockWait = 5

// chains is host.Chains by the host's own iptables command, which the host's alternatives point at
// the legacy or the nf_tables variant. dockerd, kubelet and kube-proxy run the same one.
type chains struct {
	// root is "/", but in tests of what is read there.
	root string
	// save runs a program that prints a variant's rules.
	save func(ctx context.Context, program string, args ...string) (stdout, stderr string, err error)

	mu       sync.Mutex
	resolved string
	command  *iptables.IPTables
	// uses is the variant of command.
	uses variant
}

func newChains() *chains { return &chains{root: "/", save: run} }

var errNoPolicy = errors.New("has no policy: it is not a built-in chain")

// Get implements host.Chains.
func (c *chains) Get(ctx context.Context, name string) (state.Chain, bool, error) {
	table, chain, err := host.SplitChain(name)
	if err != nil {
		return state.Chain{}, false, err
	}
	if !slices.Contains(builtIn[table], chain) {
		return state.Chain{}, false, nil
	}
	var rules []string
	err = c.do(ctx, func(command *iptables.IPTables) error {
		rules, err = command.List(table, chain)
		return err
	})
	var failed *iptables.Error
	if errors.As(err, &failed) && failed.IsNotExist() {
		return state.Chain{}, false, nil
	}
	if err != nil {
		return state.Chain{}, false, fmt.Errorf("chain %s: %w", name, err)
	}
	if err := c.alone(ctx); err != nil {
		return state.Chain{}, false, fmt.Errorf("chain %s: %w", name, err)
	}
	for _, rule := range rules {
		if policy, ok := strings.CutPrefix(rule, "-P "+chain+" "); ok {
			return state.Chain{Policy: policy}, true, nil
		}
	}
	return state.Chain{}, false, fmt.Errorf("chain %s: %w", name, errNoPolicy)
}

// SetPolicy implements host.Chains.
func (c *chains) SetPolicy(ctx context.Context, name, policy string) error {
	if err := host.CheckPolicy(name, policy); err != nil {
		return err
	}
	table, chain, err := host.SplitChain(name)
	if err != nil {
		return err
	}
	if err := c.alone(ctx); err != nil {
		return fmt.Errorf("chain %s: policy %s: %w", name, policy, err)
	}
	if err := c.do(ctx, func(command *iptables.IPTables) error { return command.ChangePolicy(table, chain, policy) }); err != nil {
		return fmt.Errorf("chain %s: policy %s: %w", name, policy, err)
	}
	return nil
}

// builtIn chains of each table (iptables(8), "TABLES"). Asking the nf_tables variant for another name
// gives an error that does not tell absence from trouble.
var builtIn = map[string][]string{
	"filter":   {"INPUT", "FORWARD", "OUTPUT"},
	"nat":      {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"},
	"mangle":   {"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"},
	"raw":      {"PREROUTING", "OUTPUT"},
	"security": {"INPUT", "FORWARD", "OUTPUT"},
}

// do runs one iptables call. The library takes no ctx; what bounds the call is its wait for the lock.
func (c *chains) do(ctx context.Context, call func(*iptables.IPTables) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	command, err := c.current()
	if err != nil {
		return err
	}
	err = call(command)
	var failed *iptables.Error
	if errors.As(err, &failed) && !failed.IsNotExist() {
		// iptables ends its complaint with a new line, and messages are one line.
		return errors.New(strings.Join(strings.Fields(failed.Error()), " "))
	}
	return err
}

// current looks up the command again when the host's alternatives have switched the variant.
func (c *chains) current() (*iptables.IPTables, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, err := find("iptables")
	if err != nil {
		return nil, fmt.Errorf("%w; install iptables", err)
	}
	resolved, err := filepath.EvalSymlinks(found)
	if err != nil {
		return nil, cause(err)
	}
	if c.command != nil && c.resolved == found+resolved {
		return c.command, nil
	}
	// By the path found, not the resolved one: a multi-call binary tells by its name what it is.
	command, err := iptables.New(iptables.IPFamily(iptables.ProtocolIPv4), iptables.Timeout(lockWait), iptables.Path(found))
	if err != nil {
		return nil, err
	}
	c.command, c.resolved, c.uses = command, found+resolved, variantOf(resolved)
	return command, nil
}
