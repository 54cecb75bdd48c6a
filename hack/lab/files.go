package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"seedbed.dev/seedbed/hack/lab/internal/supervisor"
)

// ownPrograms are built from this checkout at each start, so that a lab always runs the checkout that
// started it: packages, and where the program goes below the lab's folder.
var ownPrograms = map[string]string{
	"./hack/lab/supervisor": "supervisor",
	"./hack/lab/runc":       "runc",
	"./hack/lab/pause":      "pause",
	".":                     "served/seedbed",
}

// servedByKubernetes are the programs of the multi-call binary that hosts download.
var servedByKubernetes = []string{"kubelet", "kube-proxy", "kubectl"}

// components builds what the hosts and the seed run, once for each version.
func (s *starter) components(ctx context.Context) error {
	s.programs = map[string]string{}
	if _, err := s.lines(ctx, "hack/components.sh", "--build"); err != nil {
		return err
	}
	root, err := repository()
	if err != nil {
		return err
	}
	if s.lab.Components, err = filepath.EvalSymlinks(filepath.Join(root, "bin", "components", "current")); err != nil {
		return err
	}
	for _, name := range servedByKubernetes {
		s.programs[name] = filepath.Join(s.lab.Components, name)
	}
	lines, err := s.lines(ctx, "hack/lab/components.sh")
	for _, line := range lines {
		name, program, _ := strings.Cut(line, " ")
		s.programs[name] = program
	}
	return err
}

// root makes the Debian root.
func (s *starter) root(ctx context.Context) error {
	lines, err := s.lines(ctx, "hack/lab/root.sh")
	if err == nil {
		s.lab.Root, err = filepath.EvalSymlinks(lines[0])
	}
	return err
}

// files makes the lab's folder: our own programs, what is served, the images.
func (s *starter) files(ctx context.Context) error {
	// What a lab of this name left when it was killed.
	if state, err := readState(s.lab); err == nil {
		if err := supervisor.Sweep(state.Layout); err != nil {
			return err
		}
	}
	if err := supervisor.Sweep(s.lab); err != nil {
		return err
	}
	if err := os.RemoveAll(s.lab.Work()); err != nil {
		return err
	}
	for _, folder := range []string{s.lab.Registry(), s.lab.Seed(), s.lab.Hosts(), filepath.Join(s.lab.Served(), "images")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := s.buildOwn(ctx); err != nil {
		return err
	}
	if err := s.serve(); err != nil {
		return err
	}
	return s.images()
}

func (s *starter) buildOwn(ctx context.Context) error {
	root, err := repository()
	if err != nil {
		return err
	}
	// They stay, one folder for each checkout: go links nothing that is there already.
	sum := sha256.Sum256([]byte(root))
	folder := filepath.Join(s.lab.Cache, "programs", hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	lock, err := lockFile(filepath.Join(folder, ".lock"), unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }()
	arguments := []string{"build", "-trimpath", "-tags=grpcnotrace", "-ldflags=-s -w", "-o", folder + "/"}
	command := exec.CommandContext(ctx, "go", append(arguments, slices.Sorted(maps.Keys(ownPrograms))...)...)
	command.Dir = root
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	command.Stderr = s.progress
	if err := command.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	for _, target := range ownPrograms {
		if err := copyProgram(filepath.Join(folder, filepath.Base(target)), filepath.Join(s.lab.Work(), target)); err != nil {
			return err
		}
	}
	return nil
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func (s *starter) serve() error {
	for name, program := range s.programs {
		if err := os.Symlink(program, filepath.Join(s.lab.Served(), name)); err != nil {
			return err
		}
	}
	return nil
}

// Download says where hosts download a program of the lab (kubelet, kube-proxy, kubectl, flanneld, cri-dockerd,
// coredns, agnhost, seedbed), and the SHA-256 of it in hex.
func (l *Lab) Download(name string) (url, sum string, err error) {
	file, err := os.Open(filepath.Join(l.Served(), name))
	if err != nil {
		return "", "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", "", err
	}
	return FilesURL() + "/" + name, hex.EncodeToString(hash.Sum(nil)), nil
}
