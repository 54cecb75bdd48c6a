// Command testsummary reads what `go test -json` prints and tells a person what happened: a line
// for each package as it finishes, the output of each failed test, at the end why tests were
// skipped, and as the very last line
//
//	N passed, N failed, N skipped
//
// With -live all output is shown as it comes, for tests that take long, and not again when they fail.
// A test with subtests is counted by its subtests and a Ginkgo suite by its specs. The exit status
// is 1 when something failed, did not build or did not finish, and 2 when no test ran at all.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	live := flag.Bool("live", false, "show the output of tests as it comes")
	flag.Parse()
	os.Exit(run(os.Stdin, os.Stdout, *live))
}

func run(in io.Reader, out io.Writer, live bool) int {
	tally := newTally()
	tally.live = live
	reader := bufio.NewReader(in)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			_, _ = io.WriteString(out, feed(tally, line))
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			_, _ = fmt.Fprintf(out, "read test events: %v\n", err)
			tally.broken++
			break
		}
	}
	summary := tally.close()
	_, _ = io.WriteString(out, summary.String())
	return summary.exitStatus()
}

// feed gives one line to the tally. What is no event, such as a complaint of the go command about
// its arguments, is shown as it is.
func feed(t *tally, line []byte) string {
	var e event
	if line[0] != '{' || json.Unmarshal(line, &e) != nil {
		return string(line)
	}
	return t.add(e)
}
