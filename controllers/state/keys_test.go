package state_test

import (
	"testing"

	"seedbed.dev/seedbed/controllers/state"
)

func TestHashKeysIsOfTheseKeysAndTheirDefaultsOnly(t *testing.T) {
	keys := map[string]any{"data-root": "/var/lib/docker", "storage-driver": nil}
	hash := func(content string) string {
		h, err := state.HashKeys([]byte(content), keys)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for content, same := range map[string]bool{
		`{}`: true, `{"data-root": "/var/lib/docker", "debug": true}`: true,
		`{"data-root": "/data"}`: false, `{"storage-driver": "btrfs"}`: false,
	} {
		if (hash(content) == hash("")) != same {
			t.Errorf("%s as without a file: %v, want %v", content, !same, same)
		}
	}
	if _, err := state.HashKeys([]byte("[]"), keys); err == nil {
		t.Error("a list is taken for an object")
	}
}
