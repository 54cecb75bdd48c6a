package lab

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestAMachineThatCannotRunALabIsToldWhyAndWhatToDo(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("runs as root, who may: the other half is the e2e tests'")
	}
	var unfit *Unfit
	if err := fit(); !errors.As(err, &unfit) || !strings.Contains(err.Error(), "needs root") || !strings.Contains(err.Error(), "LAB=skip") {
		t.Errorf("got %v, want why it cannot, and LAB=skip", err)
	}
}

func TestALabIsFoundByItsName(t *testing.T) {
	for name, c := range map[string]struct{ given, environment, want string }{
		"given":            {"mine", "other", "mine"},
		"from environment": {"", "other", "other"},
		"by default":       {"", "", "lab"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LAB_NAME", c.environment)
			if got := nameOf(c.given); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if _, err := Open("no-such-lab"); err == nil || !strings.Contains(err.Error(), "make lab LAB_NAME=no-such-lab") {
		t.Errorf("a lab that is not up: %v; want the command that starts it", err)
	}
	if _, err := Open("../etc"); err == nil {
		t.Error("a name that is a path was taken")
	}
}
