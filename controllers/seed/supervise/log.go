package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// maxLogSize bounds a log file, in bytes. With the one before it, a child's logs take twice this.
const maxLogSize = 16 << 20

// logFile is a bounded log: at the bound, and when it is opened, it becomes NAME.1 and starts anew.
type logFile struct {
	path string
	max  int64

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLog(path string, maxSize int64) (*logFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l := &logFile{path: path, max: maxSize}
	if err := l.rotate(); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return l, nil
}

// Write never fails: a full disk must not end the child, which would follow from an error here since
// nobody would empty its pipe any more. What does not fit is lost.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		// A failure leaves file nil; the next write tries again.
		_ = l.rotate()
	}
	if l.file == nil {
		l.size = l.max
		return len(p), nil
	}
	n, _ := l.file.Write(p)
	l.size += int64(n)
	return len(p), nil
}

func (l *logFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

func (l *logFile) rotate() error {
	if l.file != nil {
		_ = l.file.Close()
		l.file = nil
	}
	if err := os.Rename(l.path, l.path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	l.file, l.size = f, 0
	return nil
}

// lastLine is the last line of a file that is not empty, shortened to about 300 bytes; it is for
// error messages, so a file that cannot be read has none.
func lastLine(path string) string {
	const tail, most = 8 << 10, 300
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	buf := make([]byte, tail)
	n, _ := f.ReadAt(buf, max(0, info.Size()-tail))
	lines := strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	if len(line) > most {
		line = line[:most] + "…"
	}
	return line
}
