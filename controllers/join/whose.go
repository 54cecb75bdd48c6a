package join

import (
	"fmt"
	"strings"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// NodeOf is the name of the node that a host is: the one that it joined by, else the one that the agent's
// unit names, and "" where neither says one. Then it is the host's own name.
func NodeOf(h host.Host) (string, error) {
	old, err := readRecord(h.Store)
	if err == nil && old != nil && old.Node != "" {
		return old.Node, nil
	}
	// A record that cannot be read is no reason not to look further.
	path := state.UnitFolder + resolve.UnitAgent
	unit, present, err := h.Files.Read(path)
	if err != nil {
		return "", fmt.Errorf("file %s: %w", path, err)
	}
	if !present {
		return "", nil
	}
	return nodeNameFlag(string(unit.Content)), nil
}

// nodeNameFlag is the value of --node-name on a unit's last command line, or "".
func nodeNameFlag(unit string) string {
	const flag = "--node-name"
	var name string
	for line := range strings.Lines(unit) {
		command, is := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if !is {
			continue
		}
		arguments := strings.Fields(command)
		for i, argument := range arguments {
			argument = strings.Trim(argument, `"'`)
			if value, ok := strings.CutPrefix(argument, flag+"="); ok {
				name = value
			}
			if argument == flag && i+1 < len(arguments) {
				name = strings.Trim(arguments[i+1], `"'`)
			}
		}
	}
	return name
}
