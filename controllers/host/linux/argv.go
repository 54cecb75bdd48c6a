package linux

import (
	"errors"
	"strconv"
	"strings"
)

// splitCommand splits an ExecStart= value into arguments by the rules of systemd.service(5),
// "COMMAND LINES": quotes around whole arguments, C escapes, no expansion. Prefixes of the program
// ("-", "@", ":", "+", "!") are dropped, and with "@" the argument after it, the program's argv[0].
// Environment variables and specifiers stay as written. Of several commands separated by " ; ",
// the first counts.
func splitCommand(command string) ([]string, error) {
	var argv []string
	for rest := strings.TrimLeft(command, " \t\n"); rest != ""; {
		word, quoted, left, err := nextWord(rest)
		if err != nil {
			return nil, err
		}
		rest = strings.TrimLeft(left, " \t\n")
		if word == ";" && !quoted {
			break
		}
		argv = append(argv, word)
	}
	if len(argv) == 0 {
		return nil, nil
	}
	program := strings.TrimLeft(argv[0], "-@:+!|")
	prefixes := argv[0][:len(argv[0])-len(program)]
	argv[0] = program
	if strings.Contains(prefixes, "@") && len(argv) > 1 {
		argv = append(argv[:1], argv[2:]...)
	}
	return argv, nil
}

// joinLines turns line continuations into spaces, as systemd does; the parser keeps them.
func joinLines(value string) string { return strings.ReplaceAll(value, "\\\n", " ") }

// nextWord reads one argument. As in systemd, a quote may begin in the middle of a word.
func nextWord(s string) (word string, quoted bool, rest string, err error) {
	var out strings.Builder
	var quote byte
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\':
			if i+1 >= len(s) {
				return "", false, "", errors.New("ends in a backslash")
			}
			text, used, err := unescape(s[i+1:])
			if err != nil {
				return "", false, "", err
			}
			out.WriteString(text)
			quoted = true
			i += used
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, quoted = c, true
		case quote == 0 && strings.IndexByte(" \t\n", c) >= 0:
			return out.String(), quoted, s[i:], nil
		default:
			out.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", false, "", errors.New("has a quote that is not closed")
	}
	return out.String(), quoted, "", nil
}

// escapes of systemd.syntax(7), "QUOTING", with one character.
var escapes = map[byte]string{
	'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
	'\\': "\\", '"': "\"", '\'': "'", 's': " ", ';': ";",
}

// numeric escapes: digits they have and their base.
var numericEscapes = map[byte]struct{ digits, base int }{'x': {2, 16}, 'u': {4, 16}, 'U': {8, 16}}

// unescape reads what follows a backslash and says how many bytes it took.
func unescape(s string) (text string, used int, err error) {
	if text, ok := escapes[s[0]]; ok {
		return text, 1, nil
	}
	number, ok := numericEscapes[s[0]]
	skip := 1
	if s[0] >= '0' && s[0] <= '7' {
		number.digits, number.base, ok, skip = 3, 8, true, 0
	}
	if !ok || len(s) < skip+number.digits {
		return "", 0, errors.New(`has an unknown escape \` + s[:1])
	}
	value, err := strconv.ParseUint(s[skip:skip+number.digits], number.base, 32)
	if err != nil || value == 0 {
		return "", 0, errors.New(`has a bad escape \` + s[:skip+number.digits])
	}
	if number.digits <= 3 {
		return string([]byte{byte(value)}), skip + number.digits, nil
	}
	return string(rune(value)), skip + number.digits, nil
}
