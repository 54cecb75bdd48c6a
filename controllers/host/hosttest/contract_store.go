package hosttest

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"

	"seedbed.dev/seedbed/controllers/host"
)

// StoreContract is what every host.Store promises. open returns an empty store.
func StoreContract(t *testing.T, open func(t *testing.T) host.Store) {
	t.Helper()
	t.Run("what was written is read back, and the last write counts", func(t *testing.T) {
		s := open(t)
		for _, name := range []string{"ledger.json", "priors/0123abcd"} {
			for _, content := range [][]byte{[]byte("first, longer"), []byte("2"), {}} {
				if err := s.Write(name, content); err != nil {
					t.Fatalf("Write(%s): %v", name, err)
				}
				if got, err := s.Read(name); err != nil || !bytes.Equal(got, content) {
					t.Errorf("Read(%s) = %q, %v; want %q", name, got, err, content)
				}
			}
		}
	})
	t.Run("what is not there is fs.ErrNotExist", func(t *testing.T) {
		s := open(t)
		for _, name := range []string{"none", "none/none"} {
			if _, err := s.Read(name); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Read(%s) = %v; want fs.ErrNotExist", name, err)
			}
		}
	})
	t.Run("removing is idempotent", func(t *testing.T) {
		s := open(t)
		if err := s.Write("x", []byte("x")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Remove("x"); err != nil {
				t.Errorf("Remove: %v", err)
			}
		}
		if _, err := s.Read("x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Read after Remove = %v; want fs.ErrNotExist", err)
		}
	})
	t.Run("names cannot leave the folder", func(t *testing.T) {
		s := open(t)
		for _, name := range []string{"", ".", "..", "../x", "/etc/passwd", "a/b/c", "a/../b"} {
			if err := s.Write(name, []byte("x")); err == nil {
				t.Errorf("Write(%q) succeeded", name)
			}
		}
	})
}
