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

// dpkgPackage is a package as dpkg's status file has it.
type dpkgPackage struct {
	state.Package
	// unpack is true for one whose files may not all be there: it has to be unpacked again.
	unpack bool
	// going is true for one that is to be removed.
	going bool
}

// dpkgDatabase is dpkg's status file, parsed again when it changes. dpkg replaces it as a whole.
type dpkgDatabase struct {
	path string

	mu       sync.Mutex
	read     fileStamp
	packages map[string]dpkgPackage
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
	return p.Package, ok, nil
}

// unfinished are the packages that somebody was cut off in. Triggers that were not run yet are no
// harm: they are, when dpkg is run next.
func (d *dpkgDatabase) unfinished() (map[string]dpkgPackage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.refresh(); err != nil {
		return nil, fmt.Errorf("packages: %s: %w", d.path, cause(err))
	}
	cut := map[string]dpkgPackage{}
	for name, p := range d.packages {
		if p.Broken != "" {
			cut[name] = p
		}
	}
	return cut, nil
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
// architectures, the first counts; the others go by "name:architecture".
func parseStatus(r io.Reader) (map[string]dpkgPackage, error) {
	packages := map[string]dpkgPackage{}
	var name, architecture, status, version string
	end := func() {
		if p, installed := statusOf(status, version); installed && name != "" {
			if _, twice := packages[name]; twice {
				name += ":" + architecture
			}
			packages[name] = p
		}
		name, architecture, status, version = "", "", "", ""
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
		case "Architecture":
			architecture = strings.TrimSpace(value)
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
func statusOf(status, version string) (dpkgPackage, bool) {
	words := strings.Fields(status)
	if len(words) != 3 {
		return dpkgPackage{}, false
	}
	p := dpkgPackage{Package: state.Package{Version: version, Held: words[0] == "hold"}}
	p.going = words[0] == "deinstall" || words[0] == "purge"
	switch words[2] {
	case "not-installed", "config-files":
		return dpkgPackage{}, false
	case "half-installed", "unpacked", "half-configured":
		p.Broken, p.unpack = words[2], words[2] == "half-installed"
	}
	if words[1] == "reinstreq" {
		p.Broken, p.unpack = "to be installed again", true
	}
	return p, true
}
