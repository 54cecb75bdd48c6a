package hosttest

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"seedbed.dev/seedbed/controllers/dockeropts"
	"seedbed.dev/seedbed/controllers/state"
)

// Names that the fake's docker has.
const (
	docker0     = "docker0"
	dockerUnit  = "docker.service"
	optionsUnit = "seedbed-docker-opts.service"
	flannelUnit = "flanneld.service"
	daemonJSON  = "/etc/docker/daemon.json"
)

// Paths that the fake's docker and docker-opts read and write.
const (
	LeasePath   = "/run/flannel/subnet.env"
	OptionsPath = "/run/seedbed/docker-opts.env"
)

var errNoDocker = errors.New("docker: dial unix /run/docker.sock: connect: no such file or directory")

// Lease is what flanneld writes when it starts.
const Lease = "FLANNEL_NETWORK=172.30.0.0/16\nFLANNEL_SUBNET=172.30.38.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"

// SetLease makes flanneld have another lease, which it writes at once.
func (f *Fake) SetLease(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.lease = text
	f.world.writeLease()
	f.world.makeTunnel()
}

// NextLease makes flanneld have another lease when it starts again.
func (f *Fake) NextLease(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.lease = text
}

func (w *world) writeLease() {
	w.files.makeParents(LeasePath)
	w.files[LeasePath] = state.File{Content: []byte(w.lease), Mode: 0o644, Owner: "root", Group: "root"}
}

// started does what the programs of some units do when they start: flanneld writes its lease, docker-opts turns the lease into
// options, and docker makes docker0 of them, unless a container still runs (moby,
// initNetworkController).
func (w *world) started(unit string) {
	switch unit {
	case flannelUnit:
		w.writeLease()
		w.makeTunnel()
	case optionsUnit:
		if lease, err := dockeropts.Parse(w.files[LeasePath].Content); err == nil {
			w.files.makeParents(OptionsPath)
			w.files[OptionsPath] = state.File{Content: lease.EnvFile(), Mode: 0o644, Owner: "root", Group: "root"}
		}
	case dockerUnit:
		w.deaf = false
		w.reloaded(unit)
		w.stopped(unit)
		for _, c := range w.containers {
			if c.running {
				return
			}
		}
		w.makeBridge()
	}
}

// stopped ends docker's containers with it if it has no live-restore. One that starts without ends
// those that go on as well (moby, daemon.restore).
func (w *world) stopped(unit string) {
	if unit != dockerUnit || !w.ends {
		return
	}
	for _, c := range w.containers {
		c.end()
	}
}

// reloaded reads live-restore from daemon.json, unless docker's command line keeps it from that.
func (w *world) reloaded(unit string) {
	if unit != dockerUnit || w.deaf {
		return
	}
	var config struct {
		LiveRestore *bool `json:"live-restore"`
	}
	if json.Unmarshal(w.files[daemonJSON].Content, &config) == nil && config.LiveRestore != nil {
		w.ends = !*config.LiveRestore
	}
}

// EndContainers makes the docker that runs end its containers when it stops, as it does without
// live-restore; a deaf one does not take that over by a reload.
func (f *Fake) EndContainers(deaf bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.ends, f.world.deaf = true, deaf
}

var publicIP = regexp.MustCompile(`--public-ip=([0-9.]+)`)

// makeTunnel makes flannel.1, which sends from the address that flanneld is told.
func (w *world) makeTunnel() {
	lease, err := dockeropts.Parse([]byte(w.lease))
	if err != nil {
		return
	}
	definition, _ := w.definition(flannelUnit)
	off := false
	link := state.Link{Kind: "vxlan", MTU: lease.MTU, Addresses: []string{lease.Bridge.Masked().Addr().String() + "/32"}, Promiscuous: &off}
	if found := publicIP.FindStringSubmatch(definition); found != nil {
		link.Local = found[1]
	}
	w.links["flannel.1"] = link
}

// makeBridge keeps a bridge that is there, as docker does, and gives it the address.
func (w *world) makeBridge() {
	link, there := w.links[docker0]
	if !there {
		off := false
		link = state.Link{Kind: "bridge", MTU: 1500, Addresses: []string{"172.17.0.1/16"}, Promiscuous: &off}
	}
	for word := range strings.FieldsSeq(strings.Trim(string(w.files[OptionsPath].Content), "\"\n")) {
		if bip, ok := strings.CutPrefix(word[strings.IndexByte(word, '"')+1:], "--bip="); ok && !w.stubborn {
			link.Addresses = []string{bip}
		}
		if mtu, ok := strings.CutPrefix(word, "--mtu="); ok && !w.stubborn {
			link.MTU, _ = strconv.Atoi(mtu)
		}
	}
	w.links[docker0] = link
}

// StubbornDocker makes docker give docker0 the address it always had, whatever its options say.
func (f *Fake) StubbornDocker() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.stubborn = true
}

// ClearRuntime takes away what programs leave behind until the next boot: files below /run, and links.
func (f *Fake) ClearRuntime() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.world.files {
		if strings.HasPrefix(p, "/run/") {
			delete(f.world.files, p)
		}
	}
	f.world.links = map[string]state.Link{}
}
