package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// top is the repository.
const top = "../.."

// page is one Markdown file.
type page struct {
	// path from the top of the repository.
	path string
	// prose has no code in it; blocks are the fenced ones.
	prose  string
	blocks []block
	// anchors that a link may name.
	anchors map[string]bool
}

// block is code between fences.
type block struct{ language, text string }

func pages(t *testing.T) map[string]page {
	t.Helper()
	found := map[string]page{}
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == "bin" || strings.HasPrefix(path, ".") && path != ".") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		content, err := os.ReadFile(name)
		found[path] = parse(path, string(content))
		return err
	})
	if err != nil || len(found) < 30 {
		t.Fatalf("found %d pages: %v", len(found), err)
	}
	return found
}

var (
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	// inline code and links are text in a heading; all else that is no letter, digit, '-' or '_' is left out.
	unnamed = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
	link    = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	code    = regexp.MustCompile("`[^`]*`")
)

func parse(path, content string) page {
	p := page{path: path, anchors: map[string]bool{}}
	var prose strings.Builder
	var fenced *block
	for line := range strings.Lines(content) {
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && fenced == nil:
			fenced = &block{language: fence}
		case isFence:
			p.blocks = append(p.blocks, *fenced)
			fenced = nil
		case fenced != nil:
			fenced.text += line
		default:
			prose.WriteString(line)
		}
	}
	p.prose = prose.String()
	for _, match := range heading.FindAllStringSubmatch(p.prose, -1) {
		title := link.ReplaceAllStringFunc(match[1], func(s string) string {
			text, _, _ := strings.Cut(s, "](")
			return text
		})
		name := strings.ReplaceAll(unnamed.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
		p.anchors[name] = true
	}
	return p
}
