package render

import (
	"fmt"
	"path"

	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// renderUser renders what the user adds. Contents are the user's to the byte: no header, no
// escaping.
func renderUser(n resolve.Node) (state.Host, error) {
	host := state.New()
	for _, f := range n.Files {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || oneLine(f.Path) != nil {
			return host, fmt.Errorf("file %q: not a clean absolute path", f.Path)
		}
		host.Files[f.Path] = state.File{
			Content: f.Content.Reveal(), Mode: f.Mode, Owner: f.Owner, Group: f.Group, Secret: f.Secret,
		}
	}
	for _, u := range n.Units {
		paths, err := unitFiles(host, u)
		if err != nil {
			return host, err
		}
		in := inputs(host, paths...)
		if u.Contents != "" {
			in = append(in, userPrograms(n, u.Contents)...)
		}
		host.Units[u.Name] = state.Unit{Enablement: u.Enablement, Activity: u.Activity, Inputs: in}
	}
	return host, nil
}

// unitFiles writes a user's unit file and drop-ins, and returns their paths.
func unitFiles(host state.Host, u resolve.Unit) ([]string, error) {
	main, err := below(resolve.UnitFolder, u.Name)
	if err != nil {
		return nil, err
	}
	var paths []string
	if u.Contents != "" {
		host.Files[main] = file([]byte(u.Contents))
		paths = append(paths, main)
	}
	for _, d := range u.DropIns {
		p, err := below(main+".d", d.Name)
		if err != nil {
			return nil, err
		}
		host.Files[p] = file([]byte(d.Contents))
		paths = append(paths, p)
	}
	return paths, nil
}
