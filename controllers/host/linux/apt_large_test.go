package linux

import (
	"fmt"
	"strings"
	"testing"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// aptIndex is a repository that is there by its index alone, which is all that apt works a transaction
// out from.
func aptIndex(t *testing.T, stanzas []string) string {
	t.Helper()
	tool(t, "apt-get", "apt-ftparchive")
	repository := t.TempDir()
	plant(t, repository, "/Packages", state.File{Mode: 0o644, Content: []byte(strings.Join(stanzas, "\n"))})
	plant(t, repository, "/Release", state.File{Mode: 0o644, Content: []byte(command(t, repository, "apt-ftparchive", "release", "."))})
	return repository
}

func stanza(name, fields string) string {
	return fmt.Sprintf("Package: %s\nVersion: 1.0-1\nArchitecture: all\nMaintainer: test <test@example.com>\nDescription: test\n"+
		"Filename: ./%[1]s.deb\nSize: 1000\nSHA256: %064[2]d\n%[3]s", name, 1, fields)
}

// The plan of a large upgrade is longer than what is kept of a program's output elsewhere.
func TestALargeTransactionIsReadToItsEnd(t *testing.T) {
	const most = 320
	longName := func(i int) string { return fmt.Sprintf("seedbed-%03d-%s", i, strings.Repeat("x", 100)) }
	stanzas := []string{stanza(longName(0), "")}
	for i := 1; i < most; i++ {
		stanzas = append(stanzas, stanza(longName(i), "Pre-Depends: "+longName(i-1)+"\n"))
	}
	stanzas = append(stanzas, stanza("seedbed-last", "Pre-Depends: "+longName(most-1)+"\nConflicts: seedbed-old\n"))
	a, root := aptRoot(t, aptIndex(t, stanzas))
	plant(t, root, dpkgStatus, state.File{Mode: 0o644, Content: []byte(
		"Package: seedbed-old\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: all\nMaintainer: test <test@example.com>\nDescription: test\n")})

	install := map[string]string{"seedbed-last": "1.0-1"}
	err := a.Change(t.Context(), host.Transaction{Install: install})
	if reasonOf(err) != v1alpha1.ReasonPackageConflict || !strings.Contains(errorText(err), "seedbed-old would have to be removed") {
		t.Errorf("Change = %v", err)
	}

	out, err := a.get(t.Context(), aptCommand{install: install}.args("--simulate")...)
	if at := strings.Index(out, "\nRemv seedbed-old"); err != nil || at < maxOutput {
		t.Errorf("this is no test: what has to go is said after %d bytes of %d, %v", at, len(out), err)
	}
}
