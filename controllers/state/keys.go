package state

import (
	"encoding/json"
	"fmt"
)

// HashKeys is the hash of what a JSON object has under some keys. Each comes with its default, which
// counts where the object has nothing; nil for one that is not known. Content is empty where there is no file.
func HashKeys(content []byte, keys map[string]any) (string, error) {
	has, read := map[string]any{}, map[string]any{}
	if len(content) > 0 {
		if err := json.Unmarshal(content, &has); err != nil {
			return "", fmt.Errorf("no JSON object: %w", err)
		}
	}
	for key, otherwise := range keys {
		read[key] = otherwise
		if value, set := has[key]; set {
			read[key] = value
		}
	}
	encoded, err := json.Marshal(read)
	if err != nil {
		return "", fmt.Errorf("encode keys: %w", err)
	}
	return Hash(encoded), nil
}
