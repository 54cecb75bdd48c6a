package host

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWords bounds what is quoted of a program, in bytes.
const maxWords = 400

// objectionIn is the line with the objection and the one before it, which says what is wrong where
// the objection itself only says that something is.
func objectionIn(output, objection string) string {
	before := ""
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, objection) {
			before = line
			continue
		}
		if said, logged := klogError(line); logged {
			return oneLine(said)
		}
		if strings.HasPrefix(line, objection) || before == "" {
			return oneLine(line)
		}
		return oneLine(before + "; " + line)
	}
	return oneLine(objection)
}

// lastWords are a program's reason for ending. Kubernetes' programs log it as err="…", or panic with
// it, with a stack after it; others end with it.
func lastWords(a Answer) string {
	last, next := "", false
	for line := range strings.Lines(a.Output) {
		line = strings.TrimSpace(line)
		if said, ok := strings.CutPrefix(line, "panic: "); ok || next {
			return oneLine(said)
		}
		// An error of several lines follows in lines of its own.
		next = strings.HasPrefix(line, "E") && strings.HasSuffix(line, " err=<")
		if said, logged := klogError(line); logged && strings.HasPrefix(line, "E") {
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

// klogError finds the error in a line of a structured log, which is quoted as Go quotes strings.
func klogError(line string) (string, bool) {
	_, quoted, ok := strings.Cut(line, ` err="`)
	if !ok {
		return "", false
	}
	prefix, err := strconv.QuotedPrefix(`"` + quoted)
	if err != nil {
		return "", false
	}
	said, err := strconv.Unquote(prefix)
	if err != nil {
		return "", false
	}
	return said, true
}

// oneLine bounds a program's words, without what the kubelet appends to its own: the whole of its
// configuration.
func oneLine(words string) string {
	words, _, _ = strings.Cut(words, ", path: &")
	words = strings.Join(strings.Fields(strings.ToValidUTF8(words, "?")), " ")
	if len(words) <= maxWords {
		return words
	}
	cut := maxWords
	for cut > 0 && !utf8.RuneStart(words[cut]) {
		cut--
	}
	return words[:cut] + "..."
}
