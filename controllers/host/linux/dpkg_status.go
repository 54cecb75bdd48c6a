package linux

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"seedbed.dev/seedbed/controllers/state"
)

const (
	dpkgStatus = "/var/lib/dpkg/status"
	// maxStatusLine bounds a line of the status file; the longest are Conffiles and Depends.
	maxStatusLine = 4 << 20
)

// dpkgDatabase is dpkg's status file, parsed again when it changes. dpkg replaces it as a whole.
type dpkgDatabase struct {
	path string

	mu       sync.Mutex
	read     fileStamp
	packages map[string]state.Package
}

func newDpkgDatabase(root string) *dpkgDatabase {
	return &dpkgDatabase{path: filepath.Join(root, dpkgStatus)}
}

// get returns an installed package.
func (d *dpkgDatabase) get(name string) (state.Package, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refresh(); err != nil {
		return state.Package{}, false, fmt.Errorf("package %s: %s: %w", name, d.path, cause(err))
	}
	p, ok := d.packages[name]
	return p, ok, nil
}

func (d *dpkgDatabase) refresh() error {
	info, err := os.Stat(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		d.read, d.packages = fileStamp{}, nil
		return nil
	}
	if err != nil || stampOf(info) == d.read {
		return err
	}
	file, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer file.Close()
	// What is read belongs to what this says, whatever replaces the file meanwhile.
	if info, err = file.Stat(); err != nil {
		return err
	}
	packages, err := parseStatus(file)
	if err != nil {
		return err
	}
	d.read, d.packages = stampOf(info), packages
	return nil
}

// parseStatus reads the paragraphs of deb822(5). Of a package that is installed for several
// architectures, the first counts.
func parseStatus(r io.Reader) (map[string]state.Package, error) {
	packages := map[string]state.Package{}
	var name, status, version string
	end := func() {
		if p, installed := statusOf(status, version); installed && name != "" {
			if _, twice := packages[name]; !twice {
				packages[name] = p
			}
		}
		name, status, version = "", "", ""
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxStatusLine)
	for lines.Scan() {
		line := lines.Text()
		switch field, value, _ := strings.Cut(line, ":"); field {
		case "":
			if line == "" {
				end()
			}
		case "Package":
			name = strings.TrimSpace(value)
		case "Status":
			status = strings.TrimSpace(value)
		case "Version":
			version = strings.TrimSpace(value)
		}
	}
	end()
	return packages, lines.Err()
}

// statusOf reads the three words of a Status field (dpkg(1), "INFORMATION ABOUT PACKAGES"): what is
// wanted, an error flag, and what is. A package of which only configuration files are left is gone.
func statusOf(status, version string) (state.Package, bool) {
	words := strings.Fields(status)
	if len(words) != 3 {
		return state.Package{}, false
	}
	p := state.Package{Version: version, Held: words[0] == "hold"}
	switch words[2] {
	case "not-installed", "config-files":
		return state.Package{}, false
	case "half-installed", "unpacked", "half-configured":
		p.Broken = words[2]
	}
	if words[1] == "reinstreq" {
		p.Broken = "to be installed again"
	}
	return p, true
}
