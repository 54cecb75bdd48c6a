package state

import "testing"

func TestUpstreamVersionOfAPackage(t *testing.T) {
	for version, want := range map[string]string{
		"5:27.5.1-1~debian.12~bookworm": "27.5.1", "20.10.24+dfsg1-1+b3": "20.10.24", "1.38.0-1.1": "1.38.0",
		"3:26.1.5-1.fc40": "26.1.5", "27.5.1": "27.5.1", "": "",
	} {
		if got := Upstream(version); got != want {
			t.Errorf("%q: %q, want %q", version, got, want)
		}
	}
}
