// Command runc stands before the host's own runc in PATH, on hosts of the lab only. It takes away what
// a machine without CAP_SYS_RESOURCE cannot give, a negative oom_score_adj, and passes on to runc.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const program = "/usr/sbin/runc"

func main() {
	err := settle(os.Args[1:])
	if err == nil {
		err = syscall.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "the lab's runc:", err)
	os.Exit(1)
}

// settle changes the bundle that is named in the arguments, if one is, and a process file (runc exec).
func settle(args []string) error {
	for i, arg := range args[:max(len(args)-1, 0)] {
		var err error
		switch arg {
		case "--bundle", "-b":
			err = raise(filepath.Join(args[i+1], "config.json"), "process")
		case "--process", "-p":
			err = raise(args[i+1])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// raise sets a negative oomScoreAdj in the object at that path of keys to 0.
func raise(file string, path ...string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var document map[string]json.RawMessage
	if err := json.Unmarshal(content, &document); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	changed, err := change(document, path)
	if err != nil || !changed {
		return err
	}
	if content, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o600)
}

func change(object map[string]json.RawMessage, path []string) (bool, error) {
	if len(path) == 0 {
		if !strings.HasPrefix(string(object["oomScoreAdj"]), "-") {
			return false, nil
		}
		object["oomScoreAdj"] = json.RawMessage("0")
		return true, nil
	}
	var inner map[string]json.RawMessage
	if err := json.Unmarshal(object[path[0]], &inner); err != nil {
		return false, err
	}
	changed, err := change(inner, path[1:])
	if err == nil && changed {
		object[path[0]], err = json.Marshal(inner)
	}
	return changed, err
}
