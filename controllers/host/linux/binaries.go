package linux

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// MaxBinaryBytes is the largest program that is downloaded, or hashed where one stands.
const MaxBinaryBytes = 1 << 30

// binaries is host.Binaries on a tree. Contents are streamed.
type binaries struct {
	files *files
	fetch fetcher
	// judge is nil on a host whose programs cannot be run.
	judge *programJudge
}

func newBinaries(f *files) *binaries { return &binaries{files: f, fetch: newFetcher(f.tree)} }

// Get implements host.Binaries.
func (b *binaries) Get(ctx context.Context, p string, verified *state.Verified) (state.Binary, bool, error) {
	binary, found, err := b.get(ctx, p, verified)
	if err != nil {
		return state.Binary{}, false, fmt.Errorf("binary %s: %w", p, err)
	}
	return binary, found, nil
}

func (b *binaries) get(ctx context.Context, p string, verified *state.Verified) (state.Binary, bool, error) {
	dir, base, info, err := b.files.tree.look(p)
	if errors.Is(err, fs.ErrNotExist) {
		return state.Binary{}, false, nil
	}
	if err != nil {
		return state.Binary{}, false, err
	}
	defer dir.Close()
	binary := state.Binary{Type: typeOf(info), Mode: info.Mode() & modeBits}
	switch binary.Type {
	case state.Regular:
		binary.Identity = identityOf(info)
		if verified != nil && verified.Identity == binary.Identity {
			binary.SHA256 = verified.SHA256
		} else if binary.SHA256, err = hashFile(ctx, dir, base, info); err != nil {
			return state.Binary{}, false, err
		}
	case state.Symlink:
		if binary.Target, err = dir.Readlink(base); err != nil {
			return state.Binary{}, false, cause(err)
		}
	}
	if binary.Owner, binary.Group, err = b.files.ownersOf(p, info); err != nil {
		return state.Binary{}, false, err
	}
	return binary, true, nil
}

// identityOf changes whenever the content may have: writing sets mtime and ctime, and nobody can set
// ctime, not even root without changing the clock.
func identityOf(info fs.FileInfo) string {
	s := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d:%d:%d.%09d:%d.%09d", s.Dev, s.Ino, s.Size, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec)
}

// hashFile hashes base, which looked was seen to be.
func hashFile(ctx context.Context, dir *os.Root, base string, looked fs.FileInfo) (string, error) {
	file, err := openRegular(dir, base, looked)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, limited(ctx, file)); err != nil {
		return "", cause(err)
	}
	info, err := file.Stat()
	if err != nil {
		return "", cause(err)
	}
	if identityOf(info) != identityOf(looked) {
		return "", errors.New("was changed while it was read")
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func openRegular(dir *os.Root, base string, looked fs.FileInfo) (*os.File, error) {
	file, err := dir.OpenFile(base, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, cause(err)
	}
	info, err := file.Stat()
	if err == nil && !os.SameFile(info, looked) {
		err = errSwapped
	}
	if err != nil {
		return nil, errors.Join(cause(err), cause(file.Close()))
	}
	return file, nil
}

// limited reads until ctx ends, and at most MaxBinaryBytes.
func limited(ctx context.Context, r io.Reader) io.Reader {
	return &limitedReader{ctx: ctx, from: r}
}

type limitedReader struct {
	ctx  context.Context //nolint:containedctx // a reader has no other way to be told
	from io.Reader
	read int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.ctx.Err() != nil {
		return 0, context.Cause(l.ctx)
	}
	n, err := l.from.Read(p)
	if l.read += int64(n); l.read > MaxBinaryBytes {
		return 0, fmt.Errorf("is larger than %d bytes", int64(MaxBinaryBytes))
	}
	return n, err
}

// Keep implements host.Binaries. The original is copied and not linked: a link would change with the
// file, and change its identity.
func (b *binaries) Keep(ctx context.Context, p, hash string) error {
	dir, base, info, err := b.files.tree.look(p)
	if err != nil {
		return fmt.Errorf("binary %s: %w", p, err)
	}
	defer dir.Close()
	source, err := openRegular(dir, base, info)
	if err != nil {
		return fmt.Errorf("binary %s: %w", p, err)
	}
	defer source.Close()
	if err := b.keep(ctx, source, hash); err != nil {
		return fmt.Errorf("binary %s: keep the original: %w", p, err)
	}
	return nil
}

// priorPath is where originals are, in the agent's own state.
func priorPath(hash string) string { return path.Join(StateDir, "priors", hash) }

func (b *binaries) keep(ctx context.Context, source io.Reader, hash string) error {
	keeper := newStore(b.files.tree)
	folder, base, _, err := b.files.tree.makeParent(priorPath(hash))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := keeper.settle(path.Dir(priorPath(hash))); err != nil {
		return err
	}
	err = stream(folder, base, limited(ctx, source), hash, func(temp *os.File) error { return cause(temp.Chmod(0o600)) }, func(string) error { return nil })
	if err != nil {
		return err
	}
	return syncFolder(folder)
}

// Restore implements host.Binaries.
func (b *binaries) Restore(ctx context.Context, p string, prior state.Prior) ([]string, error) {
	folder, base, info, err := b.files.tree.look(priorPath(prior.Blob))
	if err != nil {
		return nil, fmt.Errorf("binary %s: the original: %w", p, err)
	}
	defer folder.Close()
	source, err := openRegular(folder, base, info)
	if err != nil {
		return nil, fmt.Errorf("binary %s: the original: %w", p, err)
	}
	defer source.Close()
	whatever := func(*os.Root, string) error { return nil }
	made, err := b.place(p, limited(ctx, source), prior.Blob, state.File{Mode: prior.Mode, Owner: prior.Owner, Group: prior.Group}, whatever)
	if err != nil {
		return made, fmt.Errorf("binary %s: %w", p, err)
	}
	return made, nil
}

// Write implements host.Binaries.
func (b *binaries) Write(ctx context.Context, p string, binary state.Binary) (made []string, identity string, err error) {
	source, err := b.source(ctx, p, binary)
	if err != nil {
		return nil, "", &host.Error{Reason: v1alpha1.ReasonDownloadFailed, Err: fmt.Errorf("binary %s: %s: %w", p, binary.URL, err)}
	}
	defer source.Close() //nolint:errcheck // only read from
	accept := func(dir *os.Root, name string) error {
		if b.judge == nil {
			return nil
		}
		return b.judge.judge(ctx, dir, name, p)
	}
	made, err = b.place(p, limited(ctx, source), binary.SHA256, state.File{Mode: binary.Mode, Owner: binary.Owner, Group: binary.Group}, accept)
	switch mismatch := (*mismatchError)(nil); {
	case errors.As(err, &mismatch):
		return made, "", &host.Error{Reason: v1alpha1.ReasonChecksumMismatch, Err: fmt.Errorf("binary %s: %s: %w", p, binary.URL, err)}
	case errors.As(err, new(*readError)):
		return made, "", &host.Error{Reason: v1alpha1.ReasonDownloadFailed, Err: fmt.Errorf("binary %s: %s: %w", p, binary.URL, err)}
	case err != nil:
		return made, "", asRefusal(err, p, binary.URL)
	}
	if identity, err = b.identity(p); err != nil {
		return made, "", fmt.Errorf("binary %s: %w", p, err)
	}
	return made, identity, nil
}

// source is what stands at the path already, when its content is right, or else the download.
func (b *binaries) source(ctx context.Context, p string, want state.Binary) (io.ReadCloser, error) {
	if seen, found, err := b.get(ctx, p, nil); err == nil && found && seen.SHA256 == want.SHA256 {
		if dir, base, err := b.files.tree.parent(p); err == nil {
			defer dir.Close()
			if file, err := dir.OpenFile(base, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err == nil {
				return file, nil
			}
		}
	}
	return b.fetch.open(ctx, want.URL)
}

// place makes p the content of source, which must have the hash and be accepted.
func (b *binaries) place(p string, source io.Reader, hash string, file state.File, accept func(dir *os.Root, name string) error) (made []string, err error) {
	uid, gid, err := b.files.owners.ids(file.Owner, file.Group)
	if err != nil {
		return nil, err
	}
	dir, base, made, err := b.files.tree.makeParent(p)
	b.files.markMade(made)
	if err != nil {
		return made, err
	}
	defer dir.Close()
	if err := writable(dir, base); err != nil {
		return made, err
	}
	put := placing{files: b.files, path: p, file: file, uid: uid, gid: gid}
	if err := stream(dir, base, source, hash, put.finish, func(name string) error { return accept(dir, name) }); err != nil {
		return made, err
	}
	b.files.mark(path.Dir(p))
	return made, nil
}

func (b *binaries) identity(p string) (string, error) {
	dir, _, info, err := b.files.tree.look(p)
	if err != nil {
		return "", err
	}
	return identityOf(info), cause(dir.Close())
}
