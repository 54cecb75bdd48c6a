package linux

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/state"
)

// judged is the host's binaries at its own root, with a folder to put programs in.
func judged(t *testing.T) (b *binaries, folder string) {
	t.Helper()
	tree := treeAt(t, "/")
	b = newBinaries(newFiles(tree, nil))
	b.judge = &programJudge{tree: tree, folder: filepath.Join(t.TempDir(), "checks")}
	return b, t.TempDir()
}

// systemProgram is a program of this machine that is linked to shared libraries.
func systemProgram(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile("/bin/sh")
	if err != nil || !bytes.HasPrefix(content, []byte(elf.ELFMAG)) {
		t.Skipf("/bin/sh is no program: %v", err)
	}
	return content
}

func TestProgramThatCannotRunHereDoesNotTakeAPlace(t *testing.T) {
	program := systemProgram(t)
	foreign := bytes.Clone(program)
	const machineAt = 18 // in both classes (elf(5), e_machine)
	binary.LittleEndian.PutUint16(foreign[machineAt:], uint16(elf.EM_SPARCV9))
	unloadable := bytes.Replace(program, []byte("/ld-"), []byte("/no-"), 1)
	for _, c := range []struct {
		name, at string
		content  []byte
		mode     os.FileMode
		refusal  []string
	}{
		{"program", "tool", program, 0o755, nil},
		{"script", "tool", []byte("#! /bin/sh -e\nexit 1\n"), 0o755, nil},
		{"what is not run", "tool", []byte("{}"), 0o644, nil},
		{"archive", "tool", []byte("\x1f\x8b\x08 and more"), 0o755, []string{"neither an ELF program nor a script", `\x1f\x8b`, "not of an archive"}},
		{"empty", "tool", nil, 0o755, []string{"neither an ELF program nor a script"}},
		{"of another machine", "tool", foreign, 0o755, []string{"is a program for EM_SPARCV9", "the build for this machine"}},
		{"torn", "tool", program[:40], 0o755, []string{"damaged program"}},
		{"without its loader", "tool", unloadable, 0o755, []string{"/no-", "this host does not have"}},
		{"script of another system", "tool", []byte("#!/usr/local/nowhere/bash\n"), 0o755, []string{`"/usr/local/nowhere/bash"`, "this host does not have"}},
		{"script with carriage returns", "tool", []byte("#!/bin/sh\r\n"), 0o755, []string{`"/bin/sh\r"`}},
		{"component that says its version", "kubelet", []byte("#!/bin/sh\n[ \"$*\" = --version ]\n"), 0o755, nil},
		{"component that fails", "kubelet", []byte("#!/bin/sh\necho no such library >&2\nexit 127\n"), 0o755, []string{"kubelet --version does not run", "127", "no such library", "that runs on this host"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, folder := judged(t)
			p := filepath.Join(folder, c.at)
			plant(t, "/", p, state.File{Content: []byte("the one before"), Mode: 0o700})
			source := filepath.Join(folder, "download")
			plant(t, "/", source, state.File{Content: c.content, Mode: 0o600})
			owner, group := me()
			_, _, err := b.Write(t.Context(), p, state.Binary{SHA256: state.Hash(c.content), URL: "file://" + source, Mode: c.mode, Owner: owner, Group: group})
			got, readErr := os.ReadFile(p)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if len(c.refusal) == 0 {
				if err != nil || !bytes.Equal(got, c.content) {
					t.Errorf("it did not take its place: %v", err)
				}
				return
			}
			if reasonOf(err) != v1alpha1.ReasonProgramRefused || string(got) != "the one before" {
				t.Errorf("%s, and the path has %.20q", reasonOf(err), got)
			}
			for _, words := range append(c.refusal, p, "file://"+source) {
				if !strings.Contains(errorText(err), words) {
					t.Errorf("%q does not say %q", errorText(err), words)
				}
			}
			for _, left := range listed(t, "/", folder) {
				if left != c.at && left != "download" || strings.Contains(errorText(err), "seedbed-tmp") {
					t.Errorf("left over: %s, or named: %v", left, err)
				}
			}
		})
	}
}

// It is not waited for longer than its caller waits.
func TestComponentThatHangsIsEndedWithTheOneWhoAsks(t *testing.T) {
	b, folder := judged(t)
	p, source, content := filepath.Join(folder, "kubelet"), filepath.Join(folder, "download"), []byte("#!/bin/sh\nsleep 600\n")
	plant(t, "/", source, state.File{Content: content, Mode: 0o600})
	owner, group := me()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err := b.Write(ctx, p, state.Binary{SHA256: state.Hash(content), URL: "file://" + source, Mode: 0o755, Owner: owner, Group: group})
	if err == nil {
		t.Fatal("a program that hangs took its place")
	}
	if left := listed(t, "/", folder); len(left) != 1 {
		t.Errorf("left over: %v", left)
	}
}
