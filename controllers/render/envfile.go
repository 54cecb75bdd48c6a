package render

import (
	"fmt"
	"regexp"
	"strings"
)

// variable is one line of an environment file.
type variable struct{ name, value string }

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// envFile writes variables for EnvironmentFile=. Every value is in double quotes, in which
// systemd.exec(5) gives meaning to ", \, ` and $ alone.
func envFile(variables []variable) ([]byte, error) {
	var out strings.Builder
	out.WriteString(header)
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`)
	for _, v := range variables {
		if !variableName.MatchString(v.name) {
			return nil, fmt.Errorf("environment variable %q: not a name", v.name)
		}
		if err := oneLine(v.value); err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", v.name, err)
		}
		fmt.Fprintf(&out, "%s=\"%s\"\n", v.name, escape.Replace(v.value))
	}
	return []byte(out.String()), nil
}
