package linux

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// downloadTimeout bounds one download, stallTimeout the time in which nothing arrives.
	downloadTimeout = 30 * time.Minute
	stallTimeout    = time.Minute
	// headerTimeout bounds the wait for a server's answer.
	headerTimeout = 30 * time.Second
)

// fetcher opens URLs. Those of files are paths of the host.
type fetcher struct {
	tree   *tree
	client *http.Client
	stall  time.Duration
}

func newFetcher(t *tree) fetcher {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTimeout
	transport.DisableCompression = true // the hash is of the program itself
	transport.DisableKeepAlives = true  // downloads are days apart
	return fetcher{tree: t, client: &http.Client{Transport: transport}, stall: stallTimeout}
}

func (f fetcher) open(ctx context.Context, address string) (io.ReadCloser, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("not a URL")
	}
	switch parsed.Scheme {
	case "file":
		return f.local(parsed.Path)
	case "http", "https":
		return f.download(ctx, address)
	}
	return nil, fmt.Errorf("scheme %q: want https, http or file", parsed.Scheme)
}

func (f fetcher) local(p string) (io.ReadCloser, error) {
	dir, base, info, err := f.tree.follow(p)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	return openRegular(dir, base, info)
}

func (f fetcher) download(ctx context.Context, address string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, downloadTimeout, fmt.Errorf("not complete after %s", downloadTimeout))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		cancel()
		return nil, err
	}
	request.Header.Set("User-Agent", "seedbed")
	response, err := f.client.Do(request) //nolint:bodyclose // the download that is returned closes it
	if err != nil {
		cancel()
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the caller names the URL
		}
		return nil, err
	}
	d := &download{body: response.Body, cancel: cancel, stall: f.stall}
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, errors.Join(fmt.Errorf("the server answers %s", response.Status), d.Close())
	case response.ContentLength > MaxBinaryBytes:
		return nil, errors.Join(fmt.Errorf("has %d bytes, and at most %d are downloaded", response.ContentLength, int64(MaxBinaryBytes)), d.Close())
	}
	d.timer = time.AfterFunc(f.stall, cancel)
	return d, nil
}

// download is the body of an answer, given up when nothing arrives for a while.
type download struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
	stall  time.Duration
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	if n > 0 {
		d.timer.Reset(d.stall)
	}
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("nothing arrived for %s, or it was cancelled", d.stall)
	}
	return n, err
}

func (d *download) Close() error {
	if d.timer != nil {
		d.timer.Stop()
	}
	d.cancel()
	return d.body.Close()
}

// mismatchError says that content is not what was asked for.
type mismatchError struct{ got, want string }

func (e *mismatchError) Error() string {
	return fmt.Sprintf("has sha256 %s, want %s: correct the checksum or the URL", e.got, e.want)
}

// readError is a failure of the source, and not of the host's disk.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// noteRead marks errors of a source.
type noteRead struct{ from io.Reader }

func (r noteRead) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &readError{err: cause(err)}
	}
	return n, err
}

// stream makes base in dir a regular file with the content of source, which must have the hash,
// atomically and not before it is on disk. finish sets mode and owner on the open temporary file, and
// accept looks at it once it is closed. On an error, base is as it was and the temporary file is gone.
func stream(dir *os.Root, base string, source io.Reader, hash string, finish func(*os.File) error, accept func(name string) error) (err error) {
	temp := newTempName()
	file, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return cause(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard(dir, temp))
		}
	}()
	if err := errors.Join(pour(file, source, hash, finish), cause(file.Close())); err != nil {
		return err
	}
	if err := accept(temp); err != nil {
		return err
	}
	writes.Add(1)
	return cause(dir.Rename(temp, base))
}

func pour(file *os.File, source io.Reader, hash string, finish func(*os.File) error) error {
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(file, sum), noteRead{source}); err != nil {
		return cause(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != hash {
		return &mismatchError{got: got, want: hash}
	}
	if err := finish(file); err != nil {
		return err
	}
	fsyncs.Add(1)
	return cause(file.Sync())
}
