package hosttest

import (
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/host"
)

func fakePrograms(*testing.T) CheckerFixture {
	f := New()
	good := func(t host.Trial) bool { return strings.Contains(string(t.Content), "good") }
	f.Judge("/usr/bin/judge", func(t host.Trial) (host.Answer, error) {
		if good(t) {
			return host.Answer{}, nil
		}
		return host.Answer{Status: 3, Output: t.Path + " is bad\n"}, nil
	})
	f.Judge("/usr/bin/reader", func(t host.Trial) (host.Answer, error) { return host.Answer{Marked: good(t)}, nil })
	return CheckerFixture{
		Checker: f.Host().Checker, Judge: host.Trial{Program: "/usr/bin/judge"},
		Reader: host.Trial{Program: "/usr/bin/reader"}, Absent: host.Trial{Program: "/usr/bin/absent"},
	}
}
