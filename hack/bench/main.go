// Command bench reads what `go test -bench` prints and writes a table: each benchmark, what it
// measured, and the target where the design sets one. Targets that nothing measured are listed, so
// that a benchmark that went missing is noticed. A missed target is shown and fails nothing: time
// is measured on whatever machine this is. The exit status is 1 when a benchmark itself failed.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Stdin, os.Stdout))
}

func run(in io.Reader, out io.Writer) int {
	var results []result
	failed := false
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		found, ok := parse(line)
		switch {
		case ok:
			results = append(results, found...)
		case isFailure(line):
			failed = true
			fallthrough
		case isContext(line):
			_, _ = fmt.Fprintln(out, line)
		}
	}
	if err := lines.Err(); err != nil {
		_, _ = fmt.Fprintf(out, "read benchmark output: %v\n", err)
		failed = true
	}
	_, _ = io.WriteString(out, table(results, targets))
	if failed {
		return 1
	}
	return 0
}
