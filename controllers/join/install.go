package join

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"k8s.io/client-go/util/cert"

	"seedbed.dev/seedbed/controllers/credentials"
	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/state"
)

// unitPath is where the agent's unit is.
const unitPath = resolve.UnitFolder + "/" + resolve.UnitAgent

// install writes the record first, then the program, the credentials and the unit.
func (j *joining) install(ctx context.Context, authority []byte) (record, error) {
	next := record{Server: j.request.Server, Node: j.request.Node}
	certs, err := cert.ParseCertsPEM(authority)
	if err != nil {
		return next, fmt.Errorf("the cluster's authority: %w", err)
	}
	next.Authorities = hashesOf(certs)
	if j.old != nil {
		next.Program, next.KubeletHadIdentity = j.old.Program, j.old.KubeletHadIdentity
	} else {
		next.KubeletHadIdentity = j.kubeletHasIdentity()
	}
	j.kubeletHad = next.KubeletHadIdentity
	if err := j.note(next); err != nil {
		return next, err
	}
	if err := j.program(ctx, &next); err != nil {
		return next, err
	}
	if err := j.credentials(authority); err != nil {
		return next, err
	}
	j.Say("wrote the agent's certificate and kubeconfig below %s", path.Dir(resolve.PathAgentKubeconfig))
	// Undone after the unit's file has been.
	j.undo.add("have systemd read its units again", j.Host.Units.DaemonReload)
	unit := state.File{Content: unitFile(j.request.Node), Mode: 0o644, Owner: "root", Group: "root"}
	return next, j.write(unitPath, unit)
}

// note writes the record. What is undone for it depends on what was there: the old record, a ledger
// without a record, or nothing.
func (j *joining) note(next record) error {
	_, err := j.Host.Store.Read(ledgerFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j.hadLedger = err == nil
	j.undo.add("remove the record", func(context.Context) error {
		switch {
		case j.old != nil:
			return j.old.write(j.Host.Store)
		case j.hadLedger:
			return j.Host.Store.Remove(recordFile)
		}
		return j.removeAllState()
	})
	return next.write(j.Host.Store)
}

func (j *joining) credentials(authority []byte) error {
	if err := j.remember(resolve.PathAgentClient); err != nil {
		return err
	}
	store := credentials.Store{Files: j.Host.Files, Path: resolve.PathAgentClient}
	if _, err := store.Update(j.identity.certPEM, j.identity.keyPEM); err != nil {
		return err
	}
	config, err := kubeconfig(j.request.Server, j.request.Node, authority)
	if err != nil {
		return err
	}
	return j.write(resolve.PathAgentKubeconfig, config)
}

// write makes a file durable, and remembers what was there.
func (j *joining) write(name string, f state.File) error {
	if err := j.remember(name); err != nil {
		return err
	}
	if _, err := j.Host.Files.Write(name, f); err != nil {
		return err
	}
	return j.Host.Files.Sync()
}

// remember undoes what is about to be written. A file that a join left which was cut off is no file
// to put back: nobody but joining writes these.
func (j *joining) remember(name string) error {
	files := j.Host.Files
	before, found, err := files.Read(name)
	if err != nil {
		return err
	}
	_, hadFolder, err := files.Read(path.Dir(name))
	if err != nil {
		return err
	}
	j.undo.add("undo", func(context.Context) error {
		if found && j.renews() {
			_, err := files.Write(name, before)
			return errors.Join(err, files.Sync())
		}
		if err := files.Remove(name); err != nil {
			return err
		}
		if !hadFolder {
			if err := files.RemoveDir(path.Dir(name)); err != nil {
				return err
			}
		}
		return files.Sync()
	})
	return nil
}

// kubeletHasIdentity looks for what the kubelet obtains by itself, once it has been let to.
func (j *joining) kubeletHasIdentity() bool {
	return slices.ContainsFunc([]string{resolve.PathKubeletClient, resolve.PathKubeletKubeconfig}, func(name string) bool {
		_, found, err := j.Host.Files.Read(name)
		return err != nil || found
	})
}

func (j *joining) enable(ctx context.Context) error {
	units := j.Host.Units
	before, err := units.Get(ctx, resolve.UnitAgent)
	if err != nil {
		return err
	}
	if err := units.DaemonReload(ctx); err != nil {
		return err
	}
	j.undo.add("disable the agent", func(ctx context.Context) error {
		if before.Enablement == state.Enabled {
			return nil
		}
		return units.SetEnablement(ctx, resolve.UnitAgent, state.Disabled)
	})
	return units.SetEnablement(ctx, resolve.UnitAgent, state.Enabled)
}

// stopAgent is also the undo of its start.
func (n *Node) stopAgent(ctx context.Context) error {
	return n.Host.Units.Do(ctx, resolve.UnitAgent, host.Stop)
}
