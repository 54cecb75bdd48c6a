package linux

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"

	"golang.org/x/sys/unix"
)

// Temporary files stand beside their target, so that the rename stays on one file system. The
// leading dot keeps kubelet's static pods, systemd and dockerd from reading them.
const tempPrefix = ".seedbed-tmp-"

var tempName = regexp.MustCompile(`^\.seedbed-tmp-[0-9a-f]{16}$`)

func newTempName() string {
	var random [8]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return tempPrefix + hex.EncodeToString(random[:])
}

// replace makes base in dir a regular file with the content, atomically and, when durable, not
// before the content is on disk. finish sets mode and owner on the open temporary file. On an error,
// base is as it was and the temporary file is gone.
func replace(dir *os.Root, base string, content []byte, durable bool, finish func(*os.File) error) (err error) {
	temp := newTempName()
	// O_EXCL: a name that somebody guessed and created first is an error, never written through.
	file, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return cause(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(dir, temp))
		}
	}()
	filled := fill(file, content, durable, finish)
	if err := errors.Join(filled, cause(file.Close())); err != nil {
		return err
	}
	writes.Add(1)
	return cause(dir.Rename(temp, base))
}

// fill writes, finishes and syncs. After a failed fsync the kernel may drop the pages and report
// success the next time (https://lwn.net/Articles/752063), so it is never repeated on this file: a
// retry begins with a new one.
func fill(file *os.File, content []byte, durable bool, finish func(*os.File) error) error {
	if _, err := file.Write(content); err != nil {
		return cause(err)
	}
	if err := finish(file); err != nil || !durable {
		return err
	}
	fsyncs.Add(1)
	return cause(file.Sync())
}

// replaceLink makes base in dir a symbolic link, atomically. finish sets the owner by name.
func replaceLink(dir *os.Root, base, target string, finish func(temp string) error) (err error) {
	temp := newTempName()
	if err := dir.Symlink(target, temp); err != nil {
		return cause(err)
	}
	if err = finish(temp); err == nil {
		writes.Add(1)
		err = cause(dir.Rename(temp, base))
	}
	if err != nil {
		return errors.Join(err, discard(dir, temp))
	}
	return nil
}

// discard removes a temporary file after a failure.
func discard(dir *os.Root, temp string) error {
	err := dir.Remove(temp)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("removing the temporary file: %w", cause(err))
}

// syncFolder makes renames and removals in a folder durable.
func syncFolder(dir *os.Root) error {
	file, err := dir.Open(".")
	if err != nil {
		return cause(err)
	}
	fsyncs.Add(1)
	return errors.Join(cause(file.Sync()), cause(file.Close()))
}
