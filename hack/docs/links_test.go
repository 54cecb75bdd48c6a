package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryLinkLeadsToAFileAndAnchorOfTheRepository(t *testing.T) {
	all, checked := pages(t), 0
	for _, p := range all {
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(p.prose, ""), -1) {
			target := match[1]
			if strings.Contains(target, "://") {
				continue
			}
			checked++
			file, anchor, _ := strings.Cut(target, "#")
			path := filepath.Join(filepath.Dir(p.path), file)
			if file == "" {
				path = p.path
			}
			if _, err := os.Stat(filepath.Join(top, path)); err != nil || strings.HasPrefix(path, "..") {
				t.Errorf("%s: link to %s: there is no such file", p.path, target)
				continue
			}
			if anchor != "" && !all[path].anchors[anchor] {
				t.Errorf("%s: link to %s: %s has no such heading", p.path, target, path)
			}
		}
	}
	if checked < 100 {
		t.Errorf("found %d links only", checked)
	}
}

func TestEveryPageIsInTheIndex(t *testing.T) {
	index := pages(t)["docs/README.md"]
	listed := map[string]bool{}
	for _, match := range link.FindAllStringSubmatch(index.prose, -1) {
		file, _, _ := strings.Cut(match[1], "#")
		listed[filepath.Join("docs", file)] = true
	}
	for path := range pages(t) {
		folder, _ := filepath.Split(path)
		// Decisions are listed by their folder.
		if !strings.HasPrefix(path, "docs/") || path == index.path || folder == "docs/decisions/" {
			continue
		}
		if !listed[path] {
			t.Errorf("%s is not in %s", path, index.path)
		}
	}
	for sample := range samples(t) {
		if !listed[sample] {
			t.Errorf("%s is not in %s", sample, index.path)
		}
	}
}

func samples(t *testing.T) map[string]bool {
	t.Helper()
	folders, err := filepath.Glob(filepath.Join(top, "config/samples/*"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("found %d samples: %v", len(folders), err)
	}
	found := map[string]bool{}
	for _, folder := range folders {
		path, err := filepath.Rel(top, folder)
		if err != nil {
			t.Fatal(err)
		}
		found[path] = true
	}
	return found
}
