package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const packagesSample = "../../config/samples/packages"

// bareFacts are the sample's facts before anything is installed.
func bareFacts(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(packagesSample + "/facts/node.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text, _, found := strings.Cut(string(content), "components:")
	if !found {
		t.Fatal("the sample's facts have no components")
	}
	file := filepath.Join(t.TempDir(), "bare.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestPlanOfABareMachineSaysThatTheRestCanBePlannedOnceItIsInstalled(t *testing.T) {
	facts := bareFacts(t)
	for _, verb := range []string{"plan", "render"} {
		out := mustRun(t, verb, "-f", packagesSample, "--facts", facts)
		for _, want := range []string{"docker-ce", "/usr/local/bin/kubelet", "The rest can be planned once this is installed", "facts.components.docker"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s lacks %q:\n%s", verb, want, out)
			}
		}
		if strings.Contains(out, "daemon.json") {
			t.Errorf("%s guesses at what is not known yet:\n%s", verb, out)
		}
	}
	var view struct{ Missing []string }
	if err := json.Unmarshal([]byte(mustRun(t, "plan", "-f", packagesSample, "--facts", facts, "-o", "json")), &view); err != nil || len(view.Missing) != 1 {
		t.Errorf("%+v, %v", view, err)
	}
	full := mustRun(t, "plan", "-f", packagesSample, "--facts", packagesSample+"/facts/node.yaml")
	if strings.Contains(full, "The rest") || !strings.Contains(full, "daemon.json") {
		t.Errorf("with all facts the plan is not whole:\n%s", full)
	}
}
