package supervise

import (
	"fmt"
	"time"
)

// Child is a program to run.
type Child struct {
	// Name of the child in events and errors. Example: "etcd".
	Name string
	// Path of the program and its arguments, without argv[0].
	Path string
	Args []string
	// Env is the whole environment: nothing of this process's own gets through, since programs like
	// etcd take options from it.
	Env []string
	// Log is the file that stdout and stderr go to. The one of the run before is kept as Log + ".1".
	Log string
	// Health says when the child is up.
	Health Health
	// StopTimeout is how long the child may take after SIGTERM before it is killed.
	StopTimeout time.Duration
}

// Health is a URL that answers 200 once a child is up.
type Health struct {
	URL string
	// CAFile is the PEM file of the authority that signed the child's serving certificate.
	CAFile string
	// CertFile and KeyFile are a client certificate, where the URL asks for one.
	CertFile, KeyFile string
}

// EventKind is what happened to a child.
type EventKind string

const (
	// Waiting: the child runs but has not answered yet.
	Waiting EventKind = "waiting"
	// Healthy: the child answered for the first time.
	Healthy EventKind = "healthy"
	// Died: the child ended by itself and is going to be started again.
	Died EventKind = "died"
	// Recovered: the child answers again after it died.
	Recovered EventKind = "recovered"
	// Killed: the child did not end in time and was killed.
	Killed EventKind = "killed"
)

// Event is something that happened to a child.
type Event struct {
	Child string
	Kind  EventKind
	// After is the time since the child was started or told to stop, and for Died the delay before
	// it is started again.
	After time.Duration
	// Detail is, for Died, how the child ended.
	Detail string
}

func (e Event) String() string {
	after := e.After.Round(time.Millisecond * 100)
	switch e.Kind {
	case Waiting:
		return fmt.Sprintf("waiting for %s to answer, %s so far", e.Child, after)
	case Healthy:
		return fmt.Sprintf("%s answers (%s)", e.Child, after)
	case Died:
		return fmt.Sprintf("%s ended by itself (%s); starting it again in %s", e.Child, e.Detail, after)
	case Recovered:
		return fmt.Sprintf("%s answers again (%s)", e.Child, after)
	case Killed:
		return fmt.Sprintf("%s did not stop within %s and was killed", e.Child, after)
	}
	return fmt.Sprintf("%s: %s", e.Child, e.Kind)
}

// StartError says that a child ended before it ever answered, or did not answer in time.
type StartError struct {
	Child string
	// How it ended, or that it did not answer.
	How string
	// LastLine of its log, where there is one, and the log itself.
	LastLine, Log string
}

func (e *StartError) Error() string {
	if e.LastLine == "" {
		return fmt.Sprintf("%s %s and logged nothing to %s", e.Child, e.How, e.Log)
	}
	return fmt.Sprintf("%s %s: %s (all of it: %s)", e.Child, e.How, e.LastLine, e.Log)
}

const (
	firstDelay = 500 * time.Millisecond
	maxDelay   = 30 * time.Second
	// calm is how long a child has to run before its past deaths are forgotten.
	calm = time.Minute
)

// Delay is how long to wait before a child is started again, by the number of times it has died in a
// row: it doubles from half a second to half a minute.
func Delay(deaths int) time.Duration {
	d := firstDelay
	for range deaths - 1 {
		if d *= 2; d >= maxDelay {
			return maxDelay
		}
	}
	return d
}
