package supervise

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALogIsBoundedAndTheOneBeforeIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "logs", "x.log")
	const bound = 1000
	l, err := openLog(path, bound)
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 99) + "\n"
	for range 95 {
		if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{path: 500, path + ".1": bound} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != want || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %d bytes, mode %v; want %d, 0600", name, info.Size(), info.Mode(), want)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestALogIsRotatedWhenItIsOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	for _, content := range []string{"first", "second"} {
		l, err := openLog(path, 1000)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = l.Write([]byte(content))
		_ = l.Close()
	}
	for name, want := range map[string]string{path: "second", path + ".1": "first"} {
		if got, _ := os.ReadFile(name); string(got) != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestAFullDiskDoesNotFailTheWriter(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no /dev/full: %v", err)
	}
	l := &logFile{path: filepath.Join(t.TempDir(), "gone", "x.log"), max: 10, file: full}
	for range 3 { // The third finds no folder to rotate in.
		if n, err := l.Write([]byte("0123456789abc")); n != 13 || err != nil {
			t.Fatalf("write: %d, %v; an error here would end the child", n, err)
		}
		l.size = 10
	}
}

func TestLastLineIsShortAndSkipsEmptyLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	for _, tc := range []struct{ content, want string }{
		{"", ""},
		{"\n\n", ""},
		{"one\ntwo\n\n", "two"},
		{strings.Repeat("long before\n", 5000) + "last", "last"},
		{strings.Repeat("x", 1000), strings.Repeat("x", 300) + "…"},
	} {
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastLine(path); got != tc.want {
			t.Errorf("%.20q: got %.40q, want %.40q", tc.content, got, tc.want)
		}
	}
	if got := lastLine(path + "-missing"); got != "" {
		t.Errorf("missing file: %q", got)
	}
}
