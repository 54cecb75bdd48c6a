// Package manager_test follows the Dockerfile where there is no container engine: it takes the files
// that the Dockerfile copies, less what .dockerignore keeps out, runs its own build command on them,
// and looks at the binary.
package manager_test

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func TestTheImageHoldsOneStaticBinaryThatIsTheSameEveryTime(t *testing.T) {
	if testing.Short() {
		t.Skip("builds seedbed twice: left out by -short")
	}
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(dockerfile), "\\\n", " ")
	here, elsewhere := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "somewhere", "else")
	copyFiles(t, text, here)
	if err := os.CopyFS(elsewhere, os.DirFS(here)); err != nil {
		t.Fatal(err)
	}
	first, second := build(t, text, here), build(t, text, elsewhere)
	if !bytes.Equal(first, second) {
		t.Error("builds of the same files in two folders differ")
	}
	binary, err := elf.NewFile(bytes.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if libraries, err := binary.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("the binary needs %v, and the image has nothing but the binary", libraries)
	}
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP {
			t.Error("the binary needs a dynamic loader, and the image has none")
		}
	}
	if !bytes.Contains(first, []byte("v9.9.9-test")) {
		t.Error("the binary does not hold the VERSION that it was built with")
	}
	// All of it that ever ran is resident in every agent.
	const mostMiB = 56
	if size := len(first) >> 20; size > mostMiB {
		t.Errorf("the binary has %d MiB, and should have at most %d. If it grew by a third, something calls methods by name and the linker keeps them all: look for <ReflectMethod> in what -ldflags=-dumpdep prints", size, mostMiB)
	}
}

func TestEveryBuildOfTheProgramHasTheSameTags(t *testing.T) {
	for file, build := range map[string]string{
		"config/manager/Dockerfile": `go build .*-tags=(\S+)`,
		"Makefile":                  `(?m)^TAGS := (.*)$`,
		"hack/lab/files.go":         `"build", .*"-tags=([^"]+)"`,
	} {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		match := regexp.MustCompile(build).FindSubmatch(content)
		if want := "grpcnotrace"; len(match) != 2 || string(match[1]) != want {
			t.Errorf("%s: build tags %q, want %s", file, match, want)
		}
	}
}

func TestTheImageRunsAsAnUnprivilegedNumber(t *testing.T) {
	dockerfile, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, ok := strings.Cut(string(dockerfile), "\nFROM scratch\n")
	if !ok {
		t.Fatal("the last stage is not FROM scratch")
	}
	// A name could not be checked by the kubelet's runAsNonRoot; the chart's pod has this number too.
	if !strings.Contains(last, "\nUSER 65532:65532\n") {
		t.Error("the last stage does not say USER 65532:65532")
	}
	if strings.Contains(last, "\nRUN ") {
		t.Error("the last stage runs something, and there is nothing to run it with")
	}
}

// copyFiles copies what the Dockerfile copies.
func copyFiles(t *testing.T, dockerfile, to string) {
	t.Helper()
	for _, match := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(dockerfile, -1) {
		for name := range strings.FieldsSeq(match[1]) {
			copyIn(t, name, to)
		}
	}
}

// build runs the Dockerfile's build command in a folder that holds what the Dockerfile copies.
func build(t *testing.T, dockerfile, source string) []byte {
	t.Helper()
	command := regexp.MustCompile(`go build .* -o /seedbed \.`).FindString(dockerfile)
	if command == "" {
		t.Fatal("the Dockerfile has no go build command that writes /seedbed")
	}
	command = strings.NewReplacer("${VERSION}", "v9.9.9-test", "-o /seedbed", "-o seedbed").Replace(command)
	if !strings.Contains(dockerfile, "CGO_ENABLED=0") {
		t.Fatal("the Dockerfile does not build with CGO_ENABLED=0")
	}
	run := exec.CommandContext(t.Context(), "sh", "-c", command)
	run.Dir = source
	run.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	binary, err := os.ReadFile(filepath.Join(source, "seedbed"))
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// copyIn copies a file or folder of the repository, less what .dockerignore leaves out of it.
func copyIn(t *testing.T, name, to string) {
	t.Helper()
	kept := keptFolders(t)
	err := filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if ignored(inside, kept) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, inside)
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// keptFolders are the folders below config that .dockerignore takes back in.
func keptFolders(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, match := range regexp.MustCompile(`(?m)^!(config/[a-z]+)$`).FindAllStringSubmatch(string(content), -1) {
		kept = append(kept, match[1]+"/")
	}
	return kept
}

// ignored is what the rest of .dockerignore says, in Go.
func ignored(name string, kept []string) bool {
	if strings.HasSuffix(name, "_test.go") {
		return true
	}
	return strings.HasPrefix(name, "config/") && !strings.HasSuffix(name, ".go") &&
		!slices.ContainsFunc(kept, func(folder string) bool { return strings.HasPrefix(name, folder) })
}
