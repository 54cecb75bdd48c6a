package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// variant of iptables: each keeps rules of its own, and a packet has to pass both.
type variant struct{ name, saves string }

var (
	legacy   = variant{"legacy", "iptables-legacy-save"}
	nfTables = variant{"nf_tables", "iptables-nft-save"}
)

// variantOf goes by the program behind all links: xtables-nft-multi, xtables-legacy-multi, or
// xtables-multi of the time before there were two.
func variantOf(program string) variant {
	if strings.Contains(filepath.Base(program), "nft") {
		return nfTables
	}
	return legacy
}

// alone is an error while the other variant of iptables has rules too (fault 33): whatever is set in
// one, the other may still drop.
func (c *chains) alone(ctx context.Context) error {
	if _, err := c.current(); err != nil {
		return err
	}
	other := legacy
	if c.uses == legacy {
		other = nfTables
	}
	// Listing legacy rules would load its tables, so they are listed only when they are loaded.
	if other == legacy && !c.hasLegacyTables() {
		return nil
	}
	program, err := find(other.saves)
	if err != nil {
		return nil //nolint:nilerr // without the program nobody has made rules with it
	}
	rules, _, err := c.save(ctx, program)
	if err != nil && other == legacy {
		return fmt.Errorf("rules of the legacy variant of iptables cannot be listed: %w", err)
	}
	if err != nil || !inUse(rules) {
		return nil //nolint:nilerr // a kernel without nf_tables has no rules in it
	}
	return fmt.Errorf("iptables is the %s variant on this host, and there are rules in the %s one too (%s shows them), which packets have to pass as well: flush those that nobody uses; update-alternatives --config iptables chooses", c.uses.name, other.name, other.saves)
}

func (c *chains) hasLegacyTables() bool {
	tables, err := os.ReadFile(filepath.Join(c.root, "proc/net/ip_tables_names"))
	return err == nil && strings.TrimSpace(string(tables)) != "" || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// inUse looks for a rule, or a policy other than ACCEPT, in the output of iptables-save.
func inUse(rules string) bool {
	for line := range strings.Lines(rules) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "-A ") || len(fields) > 1 && strings.HasPrefix(line, ":") && fields[1] != "ACCEPT" && fields[1] != "-" {
			return true
		}
	}
	return false
}
