package supervise

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Output runs a program to its end and returns what it printed to stdout, without the white space
// around it.
func Output(ctx context.Context, path string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}
