package host

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWords bounds what is quoted of a program, in bytes.
const maxWords = 400

// objectionIn is the line with the objection, after up to before lines that come before it.
func objectionIn(output, objection string, before int) string {
	var lines []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if said, _ := logged(line); strings.Contains(said, objection) {
			return oneLine(said)
		}
		lines = append(lines, line)
		if strings.Contains(line, objection) {
			break
		}
	}
	return oneLine(strings.Join(lines[max(0, len(lines)-1-before):], "; "))
}

// lastWords are a program's reason for ending: what it logged as an error, or panicked with, with a
// stack after it; or else what it said last.
func lastWords(a Answer) string {
	last, next := "", false
	for line := range strings.Lines(a.Output) {
		line = strings.TrimSpace(line)
		if said, ok := strings.CutPrefix(line, "panic: "); ok || next {
			return oneLine(said)
		}
		// An error of several lines follows in lines of its own.
		next = strings.HasPrefix(line, "E") && strings.HasSuffix(line, " err=<")
		if said, isError := logged(line); isError && said != "" {
			return oneLine(said)
		}
		if line != "" {
			last = line
		}
	}
	if last == "" {
		return fmt.Sprintf("it ended with exit status %d and said nothing", a.Status)
	}
	return oneLine(last)
}

// logged is what a line of a log says without its time and place, which differ each time, and whether
// it is an error: of klog as text (E… "msg" err="…") and as JSON, and of logrus (time=… level=… msg="…").
func logged(line string) (said string, isError bool) {
	if strings.HasPrefix(line, "{") {
		var entry struct{ Msg, Err string }
		if json.Unmarshal([]byte(line), &entry) != nil {
			return "", false
		}
		return cmp.Or(entry.Err, entry.Msg), entry.Err != ""
	}
	if strings.HasPrefix(line, "time=") {
		return quoted(line, " msg="), strings.Contains(line, " level=fatal ") || strings.Contains(line, " level=error ")
	}
	return quoted(line, " err="), strings.HasPrefix(line, "E")
}

// quoted is the value after a key, which is quoted as Go quotes strings.
func quoted(line, key string) string {
	_, rest, _ := strings.Cut(line, key+`"`)
	prefix, err := strconv.QuotedPrefix(`"` + rest)
	if err != nil {
		return ""
	}
	value, err := strconv.Unquote(prefix)
	if err != nil {
		return ""
	}
	return value
}

// oneLine bounds a program's words, without what the kubelet appends to its own: the whole of its
// configuration.
func oneLine(words string) string {
	words, _, _ = strings.Cut(words, ", path: &")
	words = strings.TrimSuffix(strings.Join(strings.Fields(strings.ToValidUTF8(words, "?")), " "), ".")
	if len(words) <= maxWords {
		return words
	}
	cut := maxWords
	for cut > 0 && !utf8.RuneStart(words[cut]) {
		cut--
	}
	return words[:cut] + "..."
}
