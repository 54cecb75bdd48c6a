package docs

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/render"
	"seedbed.dev/seedbed/controllers/resolve"
	"seedbed.dev/seedbed/controllers/revision"
	"seedbed.dev/seedbed/controllers/schema"
)

// The tutorial's object is refused for what the guide has, and a loop there writes its last lines.
const (
	tutorial  = "docs/tutorial/from-the-guide.md"
	refused   = `"hub-mirror`
	corrected = `"https://hub-mirror`
	lastLine  = "  - {path: /usr/local/bin/kubelet, url: \"http://10.64.3.1:8081/kubelet\", sha256: 5d662e84439ff55e1dc1c8d2fccc0c1333d375dcac3a229f0c278bfc6d0276c6}\n"
)

func TestObjectsToCopyAreValid(t *testing.T) {
	checked := 0
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			if b.language != "yaml" || !strings.HasPrefix(b.text, "apiVersion: seedbed.dev/") {
				continue
			}
			checked++
			text := b.text
			if p.path == tutorial {
				text += lastLine
				_, err := schema.Load("cluster.yaml", strings.NewReader(text))
				if _, said, _ := strings.Cut(fmt.Sprint(err), ": "); !strings.Contains(p.text(), said) {
					t.Errorf("%s does not print what its object is refused with: %s", p.path, said)
				}
				text = strings.ReplaceAll(text, refused, corrected)
			}
			if _, err := schema.Load(p.path, strings.NewReader(text)); err != nil {
				t.Errorf("%s: %v", p.path, err)
			}
		}
	}
	if checked < 2 {
		t.Errorf("found %d objects only", checked)
	}
}

// text is all code of a page.
func (p page) text() string {
	var all strings.Builder
	for _, b := range p.blocks {
		all.WriteString(b.text)
	}
	return all.String()
}

// planned is what a plan says of the sample guide with another number of downloads.
var planned = regexp.MustCompile(`revision (workers-[0-9a-f]{10})(?:.*\n)+?.*daemon\.json .*, (\d+) bytes\)`)

func TestThePlansThatArePrintedAreCurrent(t *testing.T) {
	revision, size := editedSample(t)
	found := 0
	for _, p := range pages(t) {
		for _, match := range planned.FindAllStringSubmatch(p.text(), -1) {
			// The tutorial's depends on programs that are built.
			if p.path == tutorial {
				continue
			}
			found++
			if match[1] != revision || match[2] != size {
				t.Errorf("%s prints revision %s and %s bytes, and the edited sample has %s and %s", p.path, match[1], match[2], revision, size)
			}
		}
	}
	if found == 0 {
		t.Error("no page prints a plan")
	}
}

// editedSample is the name of the sample's revision, and the size of node A's daemon.json.
func editedSample(t *testing.T) (name, size string) {
	t.Helper()
	const sample = top + "/config/samples/guide/"
	var all schema.Objects
	for _, file := range []string{"00-network.yaml", "10-workers.yaml"} {
		content, err := os.ReadFile(sample + file)
		if err != nil {
			t.Fatal(err)
		}
		edited := strings.ReplaceAll(string(content), "maxConcurrentDownloads: 10", "maxConcurrentDownloads: 20")
		objects, err := schema.Load(file, strings.NewReader(edited))
		if err != nil {
			t.Fatal(err)
		}
		all.NodeConfigs = append(all.NodeConfigs, objects.NodeConfigs...)
		all.NetworkConfigs = append(all.NetworkConfigs, objects.NetworkConfigs...)
	}
	rev := revision.New(all.NodeConfigs[0].Spec, all.NetworkConfigs[0].Spec)
	_, name, err := rev.Encode(all.NodeConfigs[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := linux.FactsFile(sample + "facts/node-a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	node, err := resolve.Resolve(resolve.Input{NodeName: facts.Hostname, Revision: rev, Facts: facts, Secrets: resolve.Placeholders()})
	if err != nil {
		t.Fatal(err)
	}
	host, err := render.Render(node)
	if err != nil {
		t.Fatal(err)
	}
	return name, strconv.Itoa(len(host.Files["/etc/docker/daemon.json"].Content))
}
