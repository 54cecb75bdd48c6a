package lab

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Images of the lab: there is no registry, so each is an archive in /srv/images on every host, to be
// loaded with `docker load`.
const (
	// PauseImage is the image of pods' own containers; pause.tar.
	PauseImage = "registry.k8s.io/pause:3.10"
	// TestImage has the programs of Kubernetes' own test image (agnhost), a shell, curl, ping and ip; test.tar.
	TestImage = "seedbed.dev/lab/test:1"
	// CoreDNSImage is CoreDNS; coredns.tar.
	CoreDNSImage = "registry.k8s.io/coredns/coredns:v1.14.2"
)

// image is an image to be made: a name, what its container starts, and its files by their place in it.
// A folder is taken with all that is in it.
type image struct {
	archive, name string
	entrypoint    []string
	files         map[string]string
	own           string // the one of the files that is built at each start
}

func (s *starter) images() error {
	certificates := filepath.Join(s.lab.Root, "root/etc/ssl/certs/ca-certificates.crt")
	for _, i := range []image{
		{archive: "pause.tar", name: PauseImage, entrypoint: []string{"/pause"}, own: "pause", files: map[string]string{
			"pause": filepath.Join(s.lab.Work(), "pause"),
		}},
		{archive: "coredns.tar", name: CoreDNSImage, entrypoint: []string{"/coredns"}, files: map[string]string{
			"coredns": s.programs["coredns"], "etc/ssl/certs/ca-certificates.crt": certificates,
		}},
		{archive: "test.tar", name: TestImage, entrypoint: []string{"/agnhost"}, files: map[string]string{
			"agnhost": s.programs["agnhost"], ".": filepath.Join(s.lab.Root, "image"),
		}},
	} {
		if err := s.provide(i); err != nil {
			return fmt.Errorf("image %s: %w", i.name, err)
		}
	}
	return nil
}

// provide puts an image's archive where hosts find it, and makes it if no lab before has made it.
func (s *starter) provide(i image) error {
	key, err := i.key()
	if err != nil {
		return err
	}
	cached := filepath.Join(s.lab.Cache, "images", key+"-"+i.archive)
	if _, err := os.Stat(cached); errors.Is(err, fs.ErrNotExist) {
		temporary := fmt.Sprintf("%s.%d", cached, os.Getpid())
		err := os.MkdirAll(filepath.Dir(cached), 0o755)
		if err == nil {
			err = i.write(temporary)
		}
		if err == nil {
			err = os.Rename(temporary, cached)
		}
		if err != nil {
			return errors.Join(err, os.RemoveAll(temporary))
		}
	}
	// A link that is no symbolic one: hosts see this folder and not the cache.
	return os.Link(cached, filepath.Join(s.lab.Served(), "images", i.archive))
}

// key changes with what the image is made of. Files in the cache have their content's key in their
// path; only the others are read.
func (i image) key() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, i.name, i.entrypoint)
	for _, target := range slices.Sorted(maps.Keys(i.files)) {
		if target != i.own {
			fmt.Fprintln(hash, target, i.files[target])
			continue
		}
		content, err := os.ReadFile(i.files[target])
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, target, len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil)[:6]), nil
}

// write makes an archive as `docker save` does: one layer, a configuration and a manifest.
func (i image) write(file string) error {
	layer, err := os.Create(file + ".layer")
	if err != nil {
		return err
	}
	defer func() {
		_ = layer.Close()
		_ = os.Remove(layer.Name())
	}()
	hash := sha256.New()
	if err := i.writeLayer(io.MultiWriter(layer, hash)); err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"Entrypoint": i.entrypoint, "Env": []string{"PATH=/bin"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(hash.Sum(nil))}},
	})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(config)
	configName := hex.EncodeToString(sum[:]) + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{i.name}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	archive, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	size, err := layer.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = layer.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	out := tar.NewWriter(archive)
	err = addContent(out, configName, int64(len(config)), bytes.NewReader(config))
	if err == nil {
		err = addContent(out, "layer.tar", size, layer)
	}
	if err == nil {
		err = addContent(out, "manifest.json", int64(len(manifest)), bytes.NewReader(manifest))
	}
	if err == nil {
		err = out.Close()
	}
	return err
}

func addContent(out *tar.Writer, name string, size int64, content io.Reader) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(out, content)
	return err
}

func (i image) writeLayer(w io.Writer) error {
	out := tar.NewWriter(w)
	for target, source := range i.files {
		source, err := filepath.EvalSymlinks(source)
		if err == nil {
			err = filepath.WalkDir(source, func(path string, _ fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				return addFile(out, filepath.Join(target, strings.TrimPrefix(path, source)), path)
			})
		}
		if err != nil {
			return err
		}
	}
	return out.Close()
}

func addFile(out *tar.Writer, name, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name = name
	if err := out.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	_, err = io.Copy(out, file)
	return err
}
