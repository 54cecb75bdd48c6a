package controllers_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "seedbed.dev/seedbed/"

// stages is the pipeline from left to right. A stage may know those to its left and the
// foundations; host is where the desired state meets the observed one.
var stages = []string{"resolve", "render", "host", "plan", "apply", "report"}

// foundations are known to every stage. dockeropts is the file that docker's unit, which render
// writes, and `seedbed docker-opts` have to agree on; chain is what observing, planning and
// reporting have to agree on.
var foundations = []string{"state", "revision", "dockeropts", "chain"}

// beside says which other packages below controllers each package that is no stage may know.
var beside = map[string][]string{
	"state":        {},
	"revision":     {"state"},
	"nodeobject":   {},
	"rollout":      {"state", "revision", "nodeobject"},
	"schema":       {"revision"},
	"dockeropts":   {},
	"chain":        {"state", "dockeropts"},
	"approve":      {},
	"sign":         {},
	"seed":         {"schema", "approve"},
	"leases":       {},
	"flannelstore": {"leases", "state"},
	"testenv":      {"seed"},
	// The stages up to the plan, without a pass.
	"forecast": {"state", "revision", "dockeropts", "chain", "resolve", "render", "plan"},
	// The identity of a node: how it gets one, and how it gives it up with all that it did.
	"credentials": {"state", "host", "resolve"},
	"join":        {"state", "host", "resolve", "plan", "apply", "credentials"},
}

// knowsAll are the packages where everything meets; nothing may import them but main and each other.
var knowsAll = []string{".", "cli"}

// pure packages decide and never act.
var pure = []string{
	"state", "revision", "resolve", "render", "plan", "report", "nodeobject", "rollout", "dockeropts", "chain", "approve", "forecast",
}

// talksToKubernetes are the packages that may hold a client.
var talksToKubernetes = []string{".", "cli", "seed", "testenv", "credentials", "join"}

// touchesMachine are the packages that may run programs, look at interfaces and speak to systemd:
// the Linux adapters, and the seed, whose children etcd and Kubernetes are.
var touchesMachine = []string{"host/linux", "seed"}

var (
	kubernetesClients = []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime"}
	machineImports    = []string{
		"os/exec", "net", "github.com/vishvananda/netlink", "github.com/coreos/go-iptables",
		"github.com/coreos/go-systemd/v22/dbus", "github.com/godbus/dbus",
	}
	impureImports = []string{"os", "os/signal", "net/http", "log", "math/rand", "math/rand/v2", "crypto/rand", "io/ioutil"}
	clock         = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
)

// source is a parsed Go file that is neither a test nor generated.
type source struct {
	name    string // from the root of the repository
	pkg     string // below controllers, "." for controllers itself; "" outside
	file    *ast.File
	set     *token.FileSet
	imports []string
}

func TestStagesImportOnlyToTheirLeft(t *testing.T) {
	for _, s := range below(t) {
		for _, imported := range s.imports {
			other, ok := strings.CutPrefix(imported, module+"controllers")
			if !ok {
				continue
			}
			other = strings.TrimPrefix(other, "/")
			if other == "" {
				other = "."
			}
			if why := refusal(s.pkg, other); why != "" {
				t.Errorf("%s imports %s: %s", s.name, imported, why)
			}
		}
	}
}

// refusal says why pkg may not import other, or nothing.
func refusal(pkg, other string) string {
	from, to := first(pkg), first(other)
	if from == to || slices.Contains(knowsAll, from) {
		return ""
	}
	if i := slices.Index(stages, from); i >= 0 {
		if slices.Contains(foundations, to) || slices.Contains(stages[:i], to) {
			return ""
		}
		return "a stage knows the foundations and the stages to its left: " + strings.Join(slices.Concat(foundations, stages[:i]), ", ")
	}
	allowed, ok := beside[from]
	switch {
	case !ok:
		return "package " + from + " is new: give it a place in this test"
	case !slices.Contains(allowed, to):
		return from + " may import these only: " + strings.Join(allowed, ", ")
	}
	return ""
}

func TestOnlyTheOuterPackagesHoldAKubernetesClient(t *testing.T) {
	for _, s := range below(t) {
		if !slices.Contains(talksToKubernetes, first(s.pkg)) {
			s.refuse(t, kubernetesClients, "only "+strings.Join(talksToKubernetes, ", ")+" hold a Kubernetes client")
		}
	}
}

func TestOnlyTheLinuxHostAndTheSeedTouchAMachine(t *testing.T) {
	for _, s := range below(t) {
		if !slices.ContainsFunc(touchesMachine, func(p string) bool { return within(s.pkg, p) }) {
			s.refuse(t, machineImports, "only "+strings.Join(touchesMachine, ", ")+" touch a machine")
		}
	}
}

func TestPureStagesReadNoFileNoClockAndNoNetwork(t *testing.T) {
	for _, s := range below(t) {
		if !slices.Contains(pure, first(s.pkg)) {
			continue
		}
		s.refuse(t, impureImports, "a pure stage takes what it needs as arguments")
		ast.Inspect(s.file, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, selector.Sel.Name) {
				t.Errorf("%s: time.%s: time is an argument in a pure stage", s.set.Position(n.Pos()), selector.Sel.Name)
			}
			return true
		})
	}
}

// maxFunction and maxFile are in lines of code: comments and blank lines are free. About 40 and 250
// are what the style asks for; these are where a test says so.
const (
	maxFunction = 60
	maxFile     = 300
)

func TestFunctionsAndFilesStaySmall(t *testing.T) {
	for _, s := range sources(t) {
		code := codeLines(s.set, s.file)
		if n := len(code); n > maxFile {
			t.Errorf("%s has %d lines of code, more than %d: it does two things", s.name, n, maxFile)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			from, to := s.set.Position(f.Pos()).Line, s.set.Position(f.End()).Line
			n := 0
			for line := from; line <= to; line++ {
				if code[line] {
					n++
				}
			}
			if n > maxFunction {
				t.Errorf("%s:%d: %s has %d lines of code, more than %d: split it", s.name, from, f.Name.Name, n, maxFunction)
			}
		}
	}
}

func TestEveryPackageSaysWhatComesInAndGoesOut(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		folder := path.Dir(s.name)
		documented[folder] = documented[folder] || s.file.Doc != nil
	}
	for folder, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc.go", folder)
		}
	}
}

// codeLines returns the lines that hold a token; the lines inside a string count too.
func codeLines(set *token.FileSet, file *ast.File) map[int]bool {
	lines := map[int]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case nil:
			return false
		case *ast.Comment, *ast.CommentGroup:
			return false
		case *ast.BasicLit:
			for line := set.Position(n.Pos()).Line; line <= set.Position(n.End()).Line; line++ {
				lines[line] = true
			}
		default:
			lines[set.Position(n.Pos()).Line] = true
			lines[set.Position(n.End()-1).Line] = true
		}
		return true
	})
	return lines
}

// refuse reports each import of s that is one of the given packages, or below one. The standard
// library's packages are meant exactly: net/netip is no network.
func (s source) refuse(t *testing.T, packages []string, why string) {
	t.Helper()
	for _, imported := range s.imports {
		for _, p := range packages {
			if imported == p || strings.Contains(p, ".") && within(imported, p) {
				t.Errorf("%s imports %s: %s", s.name, imported, why)
			}
		}
	}
}

func within(name, folder string) bool {
	return name == folder || strings.HasPrefix(name, folder+"/")
}

func first(pkg string) string {
	name, _, _ := strings.Cut(pkg, "/")
	return name
}

func below(t *testing.T) []source {
	t.Helper()
	return slices.DeleteFunc(sources(t), func(s source) bool { return s.pkg == "" })
}

// sources parses every file of this module that is neither a test nor generated.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir("..", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(strings.TrimPrefix(name, "../"))
		if entry.IsDir() {
			if slices.Contains([]string{"bin", ".git", "hack/seed", "hack/tools", "hack/lab/components"}, name) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		s, err := parse(name)
		if err == nil && !ast.IsGenerated(s.file) {
			found = append(found, s)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no Go files found: this test looks at nothing")
	}
	return found
}

func parse(name string) (source, error) {
	s := source{name: name, set: token.NewFileSet()}
	var err error
	if s.file, err = parser.ParseFile(s.set, filepath.Join("..", name), nil, parser.ParseComments); err != nil {
		return source{}, err
	}
	if rest, ok := strings.CutPrefix(path.Dir(name), "controllers"); ok {
		s.pkg = path.Clean("./" + rest)
	}
	for _, spec := range s.file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, imported)
	}
	return s, nil
}
