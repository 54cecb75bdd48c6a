package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"seedbed.dev/seedbed/controllers/resolve"
)

// packageUnits is where packages put units; /etc is the administrator's, and ours.
var packageUnits = []string{"/usr/lib/systemd/system", "/lib/systemd/system"}

// packageCommand is the ExecStart= that systemd would run for a package's unit if our drop-in were
// not there; nil when no package has the unit.
func (r *factsReader) packageCommand(name string) ([]string, error) {
	from, content, err := r.packageUnit(name)
	if err != nil || content == "" {
		return nil, err
	}
	command, _, err := execStart(content)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", from, err)
	}
	dropIns, err := dropInsOf(r.tree, name)
	if err != nil {
		return nil, err
	}
	for _, p := range dropIns {
		if path.Base(p) == resolve.DropInName {
			continue
		}
		theirs, set, err := r.dropIn(p)
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", p, err)
		}
		if set {
			from, command = p, theirs
		}
	}
	argv, err := splitCommand(command)
	if err != nil {
		return nil, fmt.Errorf("file %s: ExecStart=%s: %w", from, command, err)
	}
	if len(argv) == 0 {
		return nil, fmt.Errorf("file %s: leaves %s without an ExecStart=; name the program there", from, name)
	}
	return argv, nil
}

func (r *factsReader) packageUnit(name string) (p, content string, err error) {
	for _, dir := range packageUnits {
		p = path.Join(dir, name)
		if content, err = r.text(p); err != nil || content != "" {
			return p, content, err
		}
	}
	return "", "", nil
}

// dropIn returns what a drop-in that is not ours makes of ExecStart=. One that undoes ours is an
// error: the unit would run without the options of this node, and nothing else would show it.
func (r *factsReader) dropIn(p string) (command string, set bool, err error) {
	info, err := statFollowing(r.tree, p)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		// A link to nothing or to /dev/null: it masks drop-ins of its name, and says nothing itself.
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	content, err := readText(r.tree, p)
	if err != nil {
		return "", false, err
	}
	command, set, err = execStart(content)
	if err == nil && set && path.Base(p) > resolve.DropInName {
		err = fmt.Errorf("sets ExecStart= and is read after Seedbed's %s, which it undoes; remove it, or give it a name that sorts before", resolve.DropInName)
	}
	return command, set, err
}

// execStart returns the last ExecStart= of a unit file or drop-in, and whether it has any; an empty
// one takes back those before it.
func execStart(content string) (command string, set bool, err error) {
	options, err := unit.DeserializeOptions(strings.NewReader(content))
	if err != nil {
		return "", false, fmt.Errorf("not a unit file: %w", err)
	}
	for _, option := range options {
		if option.Section == "Service" && option.Name == "ExecStart" {
			command, set = joinLines(option.Value), true
		}
	}
	return command, set, nil
}
