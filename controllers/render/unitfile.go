package render

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/resolve"
)

// sections in the order in which a unit has them.
var sections = []string{"Unit", "Service", "Install"}

// unitFile collects the options of a unit or drop-in.
type unitFile struct {
	options []*unit.UnitOption
	err     error
}

// add appends NAME=VALUE as it stands: for values that this package makes itself.
func (u *unitFile) add(section, name string, values ...string) *unitFile {
	for _, v := range values {
		u.options = append(u.options, unit.NewUnitOption(section, name, v))
	}
	return u
}

// exec appends ExecStart=, one flag on a line, each word escaped; variables are words that systemd
// replaces from the environment. Lines keep below the 2048 bytes that some readers take.
func (u *unitFile) exec(argv []string, variables ...string) *unitFile {
	var words []string
	for _, arg := range argv {
		word, err := execWord(arg)
		if err != nil && u.err == nil {
			u.err = fmt.Errorf("argument %d of %s: %w", len(words), argv[0], err)
		}
		words = append(words, word)
	}
	for _, v := range variables {
		words = append(words, "$"+v)
	}
	return u.add("Service", "ExecStart", wrap(words))
}

// wrap begins a new line before each flag and variable.
func wrap(words []string) string {
	var out strings.Builder
	for i, w := range words {
		switch {
		case i == 0:
		case strings.IndexAny(w, "-$") == 0 || strings.HasPrefix(w, `"-`):
			out.WriteString(" \\\n  ")
		default:
			out.WriteString(" ")
		}
		out.WriteString(w)
	}
	return out.String()
}

// environment appends Environment="NAME=VALUE".
func (u *unitFile) environment(name, value string) *unitFile {
	if err := oneLine(value); err != nil && u.err == nil {
		u.err = fmt.Errorf("environment variable %s: %w", name, err)
	}
	// systemd.exec(5): the value is unquoted and %-expanded, but $ has no meaning.
	return u.add("Service", "Environment", quote(strings.ReplaceAll(name+"="+value, "%", "%%")))
}

// bytes serialises the unit below the header.
func (u *unitFile) bytes() ([]byte, error) {
	if u.err != nil {
		return nil, u.err
	}
	slices.SortStableFunc(u.options, func(a, b *unit.UnitOption) int {
		return cmp.Compare(slices.Index(sections, a.Section), slices.Index(sections, b.Section))
	})
	body, err := io.ReadAll(unit.Serialize(u.options))
	if err != nil {
		return nil, err
	}
	return append([]byte(header+"\n"), body...), nil
}

// execWord escapes one argument for ExecStart= (systemd.service(5), "Command lines"): % begins a
// specifier, $ a variable, and quotes, backslashes and blanks have the meaning of systemd.syntax(7).
func execWord(arg string) (string, error) {
	if err := oneLine(arg); err != nil {
		return "", err
	}
	escaped := strings.NewReplacer("%", "%%", "$", "$$").Replace(arg)
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=/.:,@%$+[]<>()*&!?#~^{}|"
	if arg == "" || strings.Trim(escaped, plain) != "" || strings.ContainsFunc(escaped, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
		return quote(escaped), nil
	}
	return escaped, nil
}

// quote puts a word in double quotes, with the escapes of systemd.syntax(7).
func quote(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// oneLine refuses what no unit or environment file can hold.
func oneLine(value string) error {
	if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFEFF' || r == '\uFFFD' }); i >= 0 {
		return fmt.Errorf("has a control character, byte order mark or invalid UTF-8 at byte %d", i)
	}
	return nil
}

// unitPath is where a unit's settings go: the whole unit for a binary that came without one, a
// drop-in for a package's.
func unitPath(name string, source v1alpha1.ComponentSource) string {
	if source == v1alpha1.SourcePackage {
		return path.Join(resolve.UnitFolder, name+".d", resolve.DropInName)
	}
	return path.Join(resolve.UnitFolder, name)
}

// resetExec empties the package's ExecStart=, which would otherwise be a second command.
func (u *unitFile) resetExec(source v1alpha1.ComponentSource) *unitFile {
	if source == v1alpha1.SourcePackage {
		u.add("Service", "ExecStart", "")
	}
	return u
}

// command is the program with what stays of the package's arguments, ours, and the user's.
func command(p resolve.Program, ours, extra []string) []string {
	argv := append([]string{p.Path}, p.PackageArgs...)
	return append(append(argv, ours...), extra...)
}
