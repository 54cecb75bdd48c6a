package linux

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

// adminUnits is where an administrator's units and all enablement links are.
const adminUnits = "/etc/systemd/system"

// unitFolders are where unit files are looked for, in systemd's order (systemd.unit(5)).
var unitFolders = []string{adminUnits, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// install is the [Install] section of a unit file with those of its drop-ins.
type install struct {
	// path of the unit file on the host.
	path string
	// masked: the unit file is a link to /dev/null, or empty.
	masked bool
	// links by folder suffix: "wants" for WantedBy=, and so on.
	wantedBy, requiredBy, upheldBy, aliases, also []string
}

// empty is true for a unit that can be neither enabled nor disabled.
func (i install) empty() bool {
	return len(i.wantedBy)+len(i.requiredBy)+len(i.upheldBy)+len(i.aliases) == 0
}

// template is the unit file's name of an instance: getty@.service for getty@tty1.service.
func template(name string) (string, bool) {
	prefix, rest, ok := strings.Cut(name, "@")
	if !ok {
		return "", false
	}
	suffix := path.Ext(name)
	return prefix + "@" + suffix, rest != suffix
}

// findInstall reads the unit's [Install] data below a host root; false when there is no such unit.
func findInstall(f *files, name string) (install, bool, error) {
	candidates := []string{name}
	if general, instance := template(name); instance {
		candidates = append(candidates, general)
	}
	for _, candidate := range candidates {
		for _, folder := range unitFolders {
			p := path.Join(folder, candidate)
			file, found, err := readUnitFile(f, p)
			if err != nil || found {
				found := install{path: p}
				if err == nil {
					err = found.fill(f, candidate, file)
				}
				return found, true, err
			}
		}
	}
	return install{}, false, nil
}

// readUnitFile is Files.Read, and sees a folder that does not lead anywhere as nothing: below
// merged /usr, /lib/systemd/system is looked at twice, which does no harm.
func readUnitFile(f *files, p string) (state.File, bool, error) {
	file, found, err := f.Read(p)
	if err != nil || !found || file.Type != state.Symlink || file.Target == "/dev/null" {
		return file, found, err
	}
	// A linked unit or an alias: what it is enabled as is in the file it leads to.
	target := file.Target
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(p), target)
	}
	linked, found, err := f.Read(target)
	if err == nil && found && linked.Type != state.Regular {
		err = fmt.Errorf("file %s: leads to %s, which is no regular file", p, target)
	}
	return linked, found, err
}

func (i *install) fill(f *files, candidate string, file state.File) error {
	if file.Type == state.Symlink || file.Type == state.Regular && len(file.Content) == 0 {
		i.masked = true
		return nil
	}
	if file.Type != state.Regular {
		return fmt.Errorf("file %s: is a %s, not a unit file", i.path, file.Type)
	}
	if err := i.parse(i.path, file.Content); err != nil {
		return err
	}
	dropIns, err := dropInsOf(f.tree, candidate)
	if err != nil {
		return err
	}
	for _, p := range dropIns {
		dropIn, found, err := f.Read(p)
		if err == nil && found && dropIn.Type == state.Regular {
			err = i.parse(p, dropIn.Content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// dropInFolders are the folders of a unit's drop-ins, first those that win over others: its own and
// those of its name's prefixes ("cri-.service.d"), then those of its type (systemd.unit(5)).
func dropInFolders(unitName string) []string {
	suffix := path.Ext(unitName)
	names := []string{unitName}
	for prefix := strings.TrimSuffix(unitName, suffix); ; {
		i := strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')
		if i < 0 {
			break
		}
		prefix = prefix[:i+1]
		names = append(names, prefix+suffix)
	}
	// /run has drop-ins of `systemctl edit --runtime`.
	folders := slices.Insert(slices.Clone(unitFolders), 1, "/run/systemd/system")
	var own, general []string
	for _, folder := range folders {
		for _, name := range names {
			own = append(own, path.Join(folder, name+".d"))
		}
		general = append(general, path.Join(folder, strings.TrimPrefix(suffix, ".")+".d"))
	}
	return append(own, general...)
}

// dropInsOf lists a unit's drop-ins in the order of their names; of equal names the first folder's.
func dropInsOf(t *tree, unitName string) ([]string, error) {
	byName := map[string]string{}
	for _, dir := range slices.Backward(dropInFolders(unitName)) {
		opened, err := t.folder(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		names, err := entries(opened)
		if err := errors.Join(err, cause(opened.Close())); err != nil {
			return nil, fmt.Errorf("folder %s: %w", dir, err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, ".conf") && !strings.HasPrefix(name, ".") {
				byName[name] = path.Join(dir, name)
			}
		}
	}
	var paths []string
	for _, name := range state.SortedKeys(byName) {
		paths = append(paths, byName[name])
	}
	return paths, nil
}

// parse adds the [Install] settings of one file. An empty assignment resets a list.
func (i *install) parse(p string, content []byte) error {
	options, err := unit.DeserializeOptions(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("file %s: not a unit file: %w", p, err)
	}
	lists := map[string]*[]string{
		"WantedBy": &i.wantedBy, "RequiredBy": &i.requiredBy, "UpheldBy": &i.upheldBy, "Alias": &i.aliases, "Also": &i.also,
	}
	for _, option := range options {
		list := lists[option.Name]
		if option.Section != "Install" || list == nil {
			continue
		}
		words := strings.Fields(joinLines(option.Value))
		if len(words) == 0 {
			*list = nil
		}
		for _, word := range words {
			if strings.Contains(word, "%") {
				return fmt.Errorf("file %s: %s=%s: specifiers are expanded by a running systemd only; name the unit", p, option.Name, word)
			}
			if err := host.CheckUnit(word); err != nil {
				return fmt.Errorf("file %s: %s=: %w", p, option.Name, err)
			}
			*list = append(*list, word)
		}
	}
	return nil
}

// links are the paths of the symbolic links that enable the unit.
func (i install) links(name string) []string {
	var links []string
	add := func(units []string, suffix string) {
		for _, u := range units {
			links = append(links, path.Join(adminUnits, u+suffix, name))
		}
	}
	add(i.wantedBy, ".wants")
	add(i.requiredBy, ".requires")
	add(i.upheldBy, ".upholds")
	for _, alias := range i.aliases {
		links = append(links, path.Join(adminUnits, alias))
	}
	return links
}
