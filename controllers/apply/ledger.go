package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

const (
	ledgerFile    = "ledger.json"
	ledgerVersion = 1
)

// NewerLedgerError is returned for a ledger that a newer release wrote.
type NewerLedgerError struct{ Version int }

func (e *NewerLedgerError) Error() string {
	return fmt.Sprintf("the ledger on this host has version %d, this release reads up to %d: install the release that wrote it, or a newer one", e.Version, ledgerVersion)
}

// Book is the ledger and the folder it is kept in. It is used by one goroutine.
type Book struct {
	store  host.Store
	ledger state.Ledger
	// behind is true while the disk does not have the ledger.
	behind bool
	// Rebuilt says why the ledger on disk could not be read and was started anew; empty otherwise.
	Rebuilt string
	damaged []byte
	// jobTimeout bounds the wait for one job of systemd.
	jobTimeout time.Duration
	// tries to start units that have not stayed up yet, by name; they are forgotten with the process.
	tries map[string]tries
}

type storedLedger struct {
	Version int `json:"version"`
	state.Ledger
}

// Open reads the ledger; none yet is an empty one. One that is not a ledger any more (a torn disk)
// is set aside as ledger.json.damaged and started anew from what is on the host, since an agent
// that refuses to start repairs nothing; what was there before Seedbed is then not known any more.
func Open(store host.Store) (*Book, error) {
	b, err := read(store)
	if err != nil || b.Rebuilt == "" {
		return b, err
	}
	if err := store.Write(ledgerFile+".damaged", b.damaged); err != nil {
		return nil, fmt.Errorf("ledger: set aside the damaged one: %w", err)
	}
	b.damaged = nil
	return b, nil
}

func read(store host.Store) (*Book, error) {
	b := &Book{store: store, ledger: state.NewLedger(), jobTimeout: JobTimeout, tries: map[string]tries{}}
	raw, err := store.Read(ledgerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	stored := storedLedger{Ledger: state.NewLedger()}
	if err := json.Unmarshal(raw, &stored); err != nil || stored.Version == 0 {
		b.Rebuilt = "not a ledger"
		if err != nil {
			b.Rebuilt = err.Error()
		}
		b.damaged = raw
		return b, nil
	}
	if stored.Version > ledgerVersion {
		return nil, &NewerLedgerError{Version: stored.Version}
	}
	b.ledger = stored.Ledger
	return b, nil
}

// Peek reads the ledger without writing anything, for looking at a host; a damaged one is an error.
func Peek(store host.Store) (state.Ledger, error) {
	book, err := read(store)
	if err == nil && book.Rebuilt != "" {
		err = fmt.Errorf("ledger: damaged: %s; the agent will set it aside when it starts", book.Rebuilt)
	}
	if err != nil {
		return state.Ledger{}, err
	}
	return book.ledger, nil
}

// Ledger returns what is known; the caller must not change it.
func (b *Book) Ledger() state.Ledger { return b.ledger }

// save makes the ledger durable.
func (b *Book) save() error {
	b.behind = true
	raw, err := json.MarshalIndent(storedLedger{Version: ledgerVersion, Ledger: b.ledger}, "", " ")
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := b.store.Write(ledgerFile, raw); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	b.behind = false
	return nil
}

func priorFile(hash string) string { return "priors/" + hash }

// keep stores a file's content as it was before Seedbed, by its hash.
func (b *Book) keep(hash string, content []byte) error {
	if err := b.store.Write(priorFile(hash), content); err != nil {
		return fmt.Errorf("keep the original: %w", err)
	}
	return nil
}

// original reads what keep stored, and checks it.
func (b *Book) original(hash string) ([]byte, error) {
	content, err := b.store.Read(priorFile(hash))
	if err != nil {
		return nil, fmt.Errorf("read the original: %w", err)
	}
	if state.Hash(content) != hash {
		return nil, fmt.Errorf("read the original %s: its content is damaged", priorFile(hash))
	}
	return content, nil
}

// forget drops a resource from the ledger.
func (b *Book) forget(ref state.Ref) {
	delete(b.ledger.Owned, ref)
	if ref.Kind == state.KindUnit {
		delete(b.ledger.Started, ref.Name)
	}
}

// sweep removes originals that no owned resource refers to.
func (b *Book) sweep(dropped []string) error {
	used := map[string]bool{}
	for _, o := range b.ledger.Owned {
		used[o.Prior.Blob] = true
	}
	var errs []error
	for _, blob := range dropped {
		if blob != "" && !used[blob] {
			errs = append(errs, b.store.Remove(priorFile(blob)))
		}
	}
	return errors.Join(errs...)
}

func (b *Book) applied(ref state.Ref, digest string) {
	o := b.ledger.Owned[ref]
	o.Applied = digest
	b.ledger.Owned[ref] = o
}

func (b *Book) verified(ref state.Ref, v state.Verified) {
	o := b.ledger.Owned[ref]
	o.Verified = &v
	b.ledger.Owned[ref] = o
}

// installing puts a package into the transaction that is about to be made.
func (b *Book) installing(name string) {
	if !slices.Contains(b.ledger.Installing, name) {
		b.ledger.Installing = append(b.ledger.Installing, name)
	}
}

func (b *Book) addDirectories(dirs []string) {
	for _, d := range dirs {
		if !slices.Contains(b.ledger.Directories, d) {
			b.ledger.Directories = append(b.ledger.Directories, d)
		}
	}
}

func (b *Book) started(unit string, s state.Started) {
	s.Inputs = maps.Clone(s.Inputs)
	b.ledger.Started[unit] = s
}

// Folders lists the folders of managed files, in which a killed run may have left temporary files.
func (b *Book) Folders() []string {
	dirs := map[string]bool{}
	for ref := range b.ledger.Owned {
		if isPath(ref) {
			dirs[path.Dir(ref.Name)] = true
		}
	}
	return state.SortedKeys(dirs)
}
