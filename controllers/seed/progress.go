package seed

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress prints what is being done, with the seconds since the start before each line.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newProgress(out io.Writer) *progress { return &progress{out: out, start: time.Now()} }

func (p *progress) elapsed() time.Duration { return time.Since(p.start) }

// stepf prints a timed line.
func (p *progress) stepf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, "%6.1fs  %s\n", p.elapsed().Seconds(), fmt.Sprintf(format, args...))
}

// line prints text as it is.
func (p *progress) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(p.out, text)
}

// reasonNew is why something was made that was not there before.
const reasonNew = "new"

func reasonIfMade(made bool) string {
	if made {
		return reasonNew
	}
	return ""
}

// changes collects what was made or made again, and why, to be said in one line.
type changes struct {
	kept, fresh int
	renewed     []string
}

// add counts one thing; the reason is "" when it was kept.
func (c *changes) add(name, reason string) {
	switch reason {
	case "":
		c.kept++
	case reasonNew:
		c.fresh++
	default:
		c.renewed = append(c.renewed, name+" ("+reason+")")
	}
}

// String is for example "8 kept, 2 made, made again: apiserver (about to expire)".
func (c changes) String() string {
	var parts []string
	if c.kept > 0 {
		parts = append(parts, fmt.Sprintf("%d kept", c.kept))
	}
	if c.fresh > 0 {
		parts = append(parts, fmt.Sprintf("%d made", c.fresh))
	}
	if len(c.renewed) > 0 {
		parts = append(parts, "made again: "+strings.Join(c.renewed, ", "))
	}
	return strings.Join(parts, ", ")
}
