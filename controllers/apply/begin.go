package apply

import (
	"context"
	"fmt"
	"path"
	"slices"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/plan"
	"seedbed.dev/seedbed/controllers/state"
)

// begin puts on record, before the first step, what is taken over and what was there before, the
// absence of folders included.
func begin(ctx context.Context, h host.Host, book *Book, p plan.Plan) error {
	book.behind = book.behind || len(p.Claims)+len(p.Started)+len(p.Confirmed)+len(p.Verified) > 0
	for i := range p.Claims {
		c := &p.Claims[i]
		if err := keep(ctx, h, book, c); err != nil {
			return fmt.Errorf("%s: %w", c.Ref, err)
		}
		if isPath(c.Ref) && c.Prior.Absent {
			book.addDirectories(missingFolders(h.Files, c.Ref.Name))
		}
		book.ledger.Owned[c.Ref] = state.Owned{Prior: c.Prior, Applied: c.Applied, Verified: c.Verified}
	}
	for name, s := range p.Started {
		book.started(name, s)
	}
	for ref, digest := range p.Confirmed {
		book.applied(ref, digest)
	}
	book.recreate(p.Recreation)
	for ref, v := range p.Verified {
		book.verified(ref, v)
	}
	if !book.behind {
		return nil
	}
	return book.save()
}

// keep keeps the content that is at a path that is taken over.
func keep(ctx context.Context, h host.Host, book *Book, c *plan.Claim) error {
	switch {
	case c.Prior.Blob == "":
		return nil
	case c.Ref.Kind == state.KindBinary:
		return h.Binaries.Keep(ctx, c.Ref.Name, c.Prior.Blob)
	}
	return book.keep(c.Prior.Blob, c.Content)
}

// isPath is true for what is a path of the host's file system.
func isPath(ref state.Ref) bool { return ref.Kind == state.KindFile || ref.Kind == state.KindBinary }

// missingFolders are the parents of path that are not there, outermost first.
func missingFolders(files host.Files, of string) []string {
	var missing []string
	for dir := path.Dir(of); dir != "/"; dir = path.Dir(dir) {
		if _, present, err := files.Read(dir); err != nil || present {
			break
		}
		missing = append(missing, dir)
	}
	slices.Reverse(missing)
	return missing
}
