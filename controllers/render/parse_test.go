package render

import (
	"errors"
	"fmt"
	"strings"
)

// The parsers in this file are ports of systemd's, from its documentation, for the property that
// what is parsed is what was written.

// splitExec splits the value of ExecStart= as systemd.service(5) says: words by systemd.syntax(7),
// then %% and $$. A word that is a variable alone is looked up in env and split at blanks; any
// other specifier or variable is an error, since nothing here writes one.
func splitExec(value string, env map[string]string) ([]string, error) {
	words, err := splitWords(strings.ReplaceAll(value, "\\\n", " "))
	if err != nil {
		return nil, err
	}
	var argv []string
	for _, w := range words {
		if name, is := strings.CutPrefix(w, "$"); is && env[name] != "" {
			argv = append(argv, strings.Fields(env[name])...)
			continue
		}
		arg, err := undouble(w)
		if err != nil {
			return nil, err
		}
		argv = append(argv, arg)
	}
	return argv, nil
}

// undouble turns %% into % and $$ into $.
func undouble(text string) (string, error) {
	for _, char := range []byte{'%', '$'} {
		var out strings.Builder
		for i := 0; i < len(text); i++ {
			if text[i] == char {
				if i+1 >= len(text) || text[i+1] != char {
					return "", fmt.Errorf("%q has a single %c", text, char)
				}
				i++
			}
			out.WriteByte(text[i])
		}
		text = out.String()
	}
	return text, nil
}

// splitWords is systemd's extract_first_word with EXTRACT_UNQUOTE and EXTRACT_CUNESCAPE.
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '\\':
			if i+1 >= len(line) || !strings.ContainsRune(`\"'`, rune(line[i+1])) {
				return nil, fmt.Errorf("escape at byte %d of %q", i, line)
			}
			i++
			word.WriteByte(line[i])
			in = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case strings.IndexByte(" \t\n\r", c) >= 0:
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}

// parseEnv is systemd's parse_env_file, by systemd.exec(5): lines NAME=VALUE, comments with # and
// ;, values unquoted, in single or double quotes.
func parseEnv(text string) (map[string]string, error) {
	env := map[string]string{}
	for i := 0; i < len(text); {
		switch {
		case strings.IndexByte("\n \t\r", text[i]) >= 0:
			i++
			continue
		case text[i] == '#' || text[i] == ';':
			// A comment goes on after a backslash at the end of its line.
			for i < len(text) && text[i] != '\n' {
				if text[i] == '\\' {
					i++
				}
				i++
			}
			continue
		}
		eq := strings.IndexByte(text[i:], '=')
		if eq < 0 {
			return nil, fmt.Errorf("no = after byte %d", i)
		}
		name := text[i : i+eq]
		if !variableName.MatchString(name) {
			return nil, fmt.Errorf("name %q", name)
		}
		value, next, err := envValue(text, i+eq+1)
		if err != nil {
			return nil, err
		}
		env[name], i = value, next
	}
	return env, nil
}

func envValue(text string, i int) (string, int, error) {
	var value strings.Builder
	quote := byte(0)
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case quote == 0 && c == '\n':
			return value.String(), i + 1, nil
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote == '"':
			i++
			switch {
			case i >= len(text):
				return "", 0, errors.New("backslash at the end")
			case strings.IndexByte("\"\\`$", text[i]) >= 0:
				value.WriteByte(text[i])
			case text[i] == '\n':
			default:
				value.WriteByte('\\')
				value.WriteByte(text[i])
			}
		case c == '\\' && quote == 0:
			i++
			if i < len(text) && text[i] != '\n' {
				value.WriteByte(text[i])
			}
		default:
			value.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", 0, errors.New("a quote is not closed")
	}
	return value.String(), i, nil
}
