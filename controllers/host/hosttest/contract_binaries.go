package hosttest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// BinariesFixture is one implementation of host.Binaries, on an empty host.
type BinariesFixture struct {
	Binaries host.Binaries
	// Files is of the same host.
	Files host.Files
	// Serve puts content at a URL that it returns; nil content is a URL where nothing is.
	Serve func(content []byte) (url string)
	// Owner and Group that files may be given.
	Owner, Group string
}

// binaryTimeout bounds one promise of the contract.
const binaryTimeout = 30 * time.Second

// BinariesContract is what every host.Binaries promises.
func BinariesContract(t *testing.T, open func(t *testing.T) BinariesFixture) {
	t.Helper()
	for name, promise := range map[string]func(*testing.T, context.Context, BinariesFixture){
		"what was downloaded is there, in mode and owner":                     downloaded,
		"content with another checksum is refused, and the path is as it was": mismatched,
		"an empty URL is an error, and the path is as it was":                 unreachable,
		"what was verified is not read again, and what was changed since, is": verifiedOnce,
		"an original that was kept comes back":                                originals,
		"a mode that changed is put right without another download":           modeOnly,
		"a symbolic link is seen and replaced, and a folder is neither":       links,
		"paths are clean": badBinaryPaths,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), binaryTimeout)
			defer cancel()
			promise(t, ctx, open(t))
		})
	}
}

const atProgram = "/usr/local/bin/program"

// large is more than fits into one buffer.
func large(b byte) []byte { return bytes.Repeat([]byte{b}, 300_000) }

func (x BinariesFixture) want(content []byte) state.Binary {
	return state.Binary{SHA256: state.Hash(content), URL: x.Serve(content), Mode: 0o755, Owner: x.Owner, Group: x.Group}
}

// write fails the test unless the binary is written, and returns it as it is then seen.
func (x BinariesFixture) write(t *testing.T, ctx context.Context, want state.Binary) state.Binary {
	t.Helper()
	_, identity, err := x.Binaries.Write(ctx, atProgram, want)
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	got := x.get(t, ctx, nil)
	if got.Digest() != want.Digest() || got.Identity != identity || identity == "" {
		t.Fatalf("got %+v, want %s with identity %q", got, want.Digest(), identity)
	}
	return got
}

func (x BinariesFixture) get(t *testing.T, ctx context.Context, verified *state.Verified) state.Binary {
	t.Helper()
	got, found, err := x.Binaries.Get(ctx, atProgram, verified)
	if err != nil || !found {
		t.Fatalf("Get = %+v, %v, %v", got, found, err)
	}
	return got
}

func downloaded(t *testing.T, ctx context.Context, x BinariesFixture) {
	if got, found, err := x.Binaries.Get(ctx, atProgram, nil); found || err != nil {
		t.Fatalf("Get = %+v, %v, %v before anything is there", got, found, err)
	}
	x.write(t, ctx, x.want(large('a')))
	x.write(t, ctx, x.want(large('b')))
	x.write(t, ctx, x.want([]byte{}))
}

func (x BinariesFixture) refused(t *testing.T, ctx context.Context, want state.Binary, reason string) {
	t.Helper()
	before := x.write(t, ctx, x.want(large('a')))
	_, _, err := x.Binaries.Write(ctx, atProgram, want)
	if typed, ok := errors.AsType[*host.Error](err); !ok || typed.Reason != reason {
		t.Errorf("Write = %v; want %s", err, reason)
	}
	if after := x.get(t, ctx, nil); after != before {
		t.Errorf("the path has changed from %+v to %+v", before, after)
	}
}

func mismatched(t *testing.T, ctx context.Context, x BinariesFixture) {
	want := x.want(large('b'))
	want.SHA256 = state.Hash([]byte("something else"))
	x.refused(t, ctx, want, v1alpha1.ReasonChecksumMismatch)
}

func unreachable(t *testing.T, ctx context.Context, x BinariesFixture) {
	want := x.want(large('b'))
	want.URL = x.Serve(nil)
	x.refused(t, ctx, want, v1alpha1.ReasonDownloadFailed)
}

func verifiedOnce(t *testing.T, ctx context.Context, x BinariesFixture) {
	was := x.write(t, ctx, x.want(large('a')))
	// A hash that the content has not shows that it was not read.
	claimed := &state.Verified{SHA256: state.Hash([]byte("claimed")), Identity: was.Identity}
	if got := x.get(t, ctx, claimed); got.SHA256 != claimed.SHA256 {
		t.Errorf("a binary whose identity is known was read: %s", got.SHA256)
	}
	now := x.write(t, ctx, x.want(large('b')))
	if got := x.get(t, ctx, claimed); got.SHA256 != now.SHA256 || now.Identity == was.Identity {
		t.Errorf("a binary that was replaced is taken for the old one: %+v", got)
	}
}

func originals(t *testing.T, ctx context.Context, x BinariesFixture) {
	was := x.write(t, ctx, x.want(large('a')))
	if err := x.Binaries.Keep(ctx, atProgram, was.SHA256); err != nil {
		t.Fatalf("Keep: %v", err)
	}
	if again := x.get(t, ctx, nil); again != was {
		t.Errorf("keeping the original changed it from %+v to %+v", was, again)
	}
	if err := x.Binaries.Keep(ctx, atProgram, state.Hash([]byte("another"))); err == nil {
		t.Error("an original was kept under another's hash")
	}
	x.write(t, ctx, x.want(large('b')))
	prior := state.Prior{Blob: was.SHA256, Mode: 0o700, Owner: x.Owner, Group: x.Group}
	if _, err := x.Binaries.Restore(ctx, atProgram, prior); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	if got := x.get(t, ctx, nil); got.Digest() != prior.Digest() {
		t.Errorf("restored %s, want %s", got.Digest(), prior.Digest())
	}
	prior.Blob = state.Hash([]byte("never kept"))
	if _, err := x.Binaries.Restore(ctx, atProgram, prior); err == nil {
		t.Error("what was never kept was restored")
	}
}

func modeOnly(t *testing.T, ctx context.Context, x BinariesFixture) {
	content := large('a')
	x.write(t, ctx, x.want(content))
	want := x.want(content)
	want.Mode = 0o700
	x.write(t, ctx, want)
}

func links(t *testing.T, ctx context.Context, x BinariesFixture) {
	link := state.File{Type: state.Symlink, Target: "/nowhere", Owner: x.Owner, Group: x.Group}
	if _, err := x.Files.Write(atProgram, link); err != nil {
		t.Fatal(err)
	}
	if got := x.get(t, ctx, nil); got.Type != state.Symlink || got.Target != "/nowhere" {
		t.Errorf("a link is seen as %+v", got)
	}
	x.write(t, ctx, x.want(large('a')))
	if _, _, err := x.Binaries.Write(ctx, "/usr/local", x.want(large('a'))); err == nil {
		t.Error("a folder was replaced")
	}
	if got, _, err := x.Binaries.Get(ctx, "/usr/local", nil); err != nil || got.Type != state.Directory {
		t.Errorf("a folder is seen as %+v, %v", got, err)
	}
}

func badBinaryPaths(t *testing.T, ctx context.Context, x BinariesFixture) {
	for _, p := range []string{"", "bin/x", "/a/../b", "/a//b", "/", "/a\x00b"} {
		if _, _, err := x.Binaries.Get(ctx, p, nil); err == nil {
			t.Errorf("Get(%q) gave no error", p)
		}
		if _, _, err := x.Binaries.Write(ctx, p, x.want(large('a'))); err == nil {
			t.Errorf("Write(%q) gave no error", p)
		}
	}
}
