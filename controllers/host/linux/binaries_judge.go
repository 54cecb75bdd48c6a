package linux

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/host"
)

// programJudge looks at a download before it takes a program's place: the one that is there may run,
// and a kubelet that does not start is found out only once the old one has stopped.
type programJudge struct {
	tree *tree
	// folder is for runs, closed to others.
	folder string
}

// programRefusal is why a download is not put into place, and what helps.
type programRefusal struct{ why, cure string }

func (e *programRefusal) Error() string { return e.why + ": " + e.cure }

func refused(cure, why string, args ...any) error {
	return &programRefusal{why: fmt.Sprintf(why, args...), cure: cure}
}

// asRefusal gives a refusal its reason, and the field that it is about.
func asRefusal(err error, p, url string) error {
	if _, ok := errors.AsType[*programRefusal](err); !ok {
		return fmt.Errorf("binary %s: %w", p, err)
	}
	return &host.Error{Reason: v1alpha1.ReasonProgramRefused, Err: fmt.Errorf("binary %s: its url %s is refused, and the path is as it was: %w", p, url, err)}
}

// judge returns a *programRefusal for a file, in the folder of the path p, that cannot be run there. A
// file that nobody may execute is not asked for more. Components of the chain are asked for their
// version, as they all know the option; others might do anything.
func (j *programJudge) judge(ctx context.Context, dir *os.Root, name, p string) error {
	file, err := dir.Open(name)
	if err != nil {
		return cause(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Mode()&0o111 == 0 {
		return cause(err)
	}
	if err := j.executable(file); err != nil {
		return err
	}
	if !slices.ContainsFunc(componentTable, func(c component) bool { return c.program == path.Base(p) }) {
		return nil
	}
	return j.try(ctx, path.Join(path.Dir(p), name), p)
}

const (
	cureURL     = "give the url of the program itself, not of an archive or a page, with its sha256; for what is not to be run, a mode without x"
	cureMachine = "give the url of the build for this machine, with its sha256"
	cureRuns    = "give the url of a program that runs on this host, with its sha256"
)

// executable looks for what execve(2) asks of a file.
func (j *programJudge) executable(file *os.File) error {
	const longestLine = 256
	head := make([]byte, longestLine)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return cause(err)
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return j.program(file)
	case bytes.HasPrefix(head, []byte("#!")):
		line, _, _ := bytes.Cut(head[2:], []byte("\n"))
		interpreter, _, _ := strings.Cut(strings.TrimLeft(string(line), " \t"), " ")
		return j.interpreter(interpreter)
	}
	return refused(cureURL, "it is neither an ELF program nor a script that names its interpreter: it begins with %.16q", head)
}

func (j *programJudge) program(file *os.File) error {
	program, err := elf.NewFile(file)
	if err != nil {
		return refused(cureURL, "it is a damaged program: %v", err)
	}
	if runs, known := machines[runtime.GOARCH]; known && !slices.Contains(runs, program.Machine) {
		return refused(cureMachine, "it is a program for %s, and this machine is %s", program.Machine, runs[0])
	}
	for _, segment := range program.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(io.LimitReader(segment.Open(), 1<<12))
		if err != nil {
			return refused(cureURL, "it is a damaged program: %v", err)
		}
		return j.interpreter(strings.TrimRight(string(name), "\x00"))
	}
	return nil
}

// machines are what the kernels of an architecture run.
var machines = map[string][]elf.Machine{
	"amd64": {elf.EM_X86_64, elf.EM_386}, "arm64": {elf.EM_AARCH64, elf.EM_ARM}, "arm": {elf.EM_ARM}, "386": {elf.EM_386},
	"ppc64le": {elf.EM_PPC64}, "s390x": {elf.EM_S390}, "riscv64": {elf.EM_RISCV}, "loong64": {elf.EM_LOONGARCH},
}

// interpreter is a script's, or the loader of shared libraries.
func (j *programJudge) interpreter(name string) error {
	if _, err := statFollowing(j.tree, name); errors.Is(err, fs.ErrNotExist) || !path.IsAbs(name) {
		return refused(cureRuns, "it is run by %q, which this host does not have", name)
	}
	return nil
}

// try asks the program for its version, under the name that it is to have.
func (j *programJudge) try(ctx context.Context, program, name string) (err error) {
	if err := os.MkdirAll(j.folder, 0o700); err != nil {
		return fmt.Errorf("folder %s: %w", j.folder, cause(err))
	}
	scratch, err := os.MkdirTemp(j.folder, "")
	if err != nil {
		return fmt.Errorf("folder %s: %w", j.folder, cause(err))
	}
	defer func() { err = errors.Join(err, cause(os.RemoveAll(scratch))) }()
	limited, stop := context.WithTimeoutCause(ctx, trialTimeout, errTrialSlow)
	defer stop()
	const option = "--version"
	for {
		_, _, err = confined(limited, scratch, program, []string{name, option})
		// A child that is being started at this moment may still have the file open for writing.
		if !errors.Is(err, syscall.ETXTBSY) {
			break
		}
		time.Sleep(lockPoll)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	said := strings.TrimPrefix(strings.ReplaceAll(err.Error(), program, name), name+": ")
	return refused(cureRuns, "%s %s does not run: %s", name, option, said)
}
