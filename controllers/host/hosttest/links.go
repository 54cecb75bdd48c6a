package hosttest

import (
	"context"
	"fmt"
	"maps"

	"seedbed.dev/seedbed/controllers/host"
	"seedbed.dev/seedbed/controllers/state"
)

var (
	_ host.Links      = fakeLinks{}
	_ host.Containers = fakeContainers{}
	_ host.Health     = fakeHealth{}
)

// container is one that exists, and maybe runs.
type container struct {
	state.Container
	running bool
	// ended is how often it was stopped, or ended with docker.
	ended int
	// revived is how often somebody starts it again at once when it is stopped.
	revived int
	// port is its link on docker0.
	port string
	mtu  int
}

func (c *container) end() {
	if c.running {
		c.running, c.ended = false, c.ended+1
	}
}

// SetLink makes a network interface as it is given.
func (f *Fake) SetLink(name string, link state.Link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.links[name] = link
}

// DeleteLink takes a network interface away.
func (f *Fake) DeleteLink(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.world.links, name)
}

// Link returns a network interface.
func (f *Fake) Link(name string) (state.Link, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.world.link(name)
}

// RunContainer starts a container on docker0. Its port has docker0's MTU.
func (f *Fake) RunContainer(id string, c state.Container) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.world
	w.containers[id] = &container{Container: c, running: true, port: "veth" + id[:6], mtu: w.links[docker0].MTU}
}

// ReviveContainer makes somebody start a container again as soon as it was stopped, so many times.
func (f *Fake) ReviveContainer(id string, times int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.containers[id].revived = times
}

// Running lists the IDs of the containers that run, sorted.
func (f *Fake) Running() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for _, id := range state.SortedKeys(f.world.containers) {
		if f.world.containers[id].running {
			ids = append(ids, id)
		}
	}
	return ids
}

// Ended is how often a container was stopped, or ended with docker.
func (f *Fake) Ended(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.world.containers[id].ended
}

// Answer makes a probe fail with a cause; "" makes it answer well again.
func (f *Fake) Answer(probe, failure string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.world.failures[probe] = failure
}

// link returns a link with the ports of the containers that run on it.
func (w *world) link(name string) (state.Link, bool) {
	link, there := w.links[name]
	if !there || link.Kind != "bridge" {
		return link, there
	}
	link.Ports = maps.Clone(link.Ports)
	if link.Ports == nil {
		link.Ports = map[string]state.Port{}
	}
	if name == docker0 {
		for _, c := range w.containers {
			if c.running {
				link.Ports[c.port] = state.Port{MTU: c.mtu, Hairpin: w.hairpin[c.port]}
			}
		}
	}
	return link, true
}

type fakeLinks struct{ fake *Fake }

func (p fakeLinks) Get(name string) (link state.Link, found bool, err error) {
	if err := host.CheckLink(name); err != nil {
		return state.Link{}, false, err
	}
	err = p.fake.read(func(w *world) error {
		link, found = w.link(name)
		return nil
	})
	return link, found, err
}

func (p fakeLinks) SetPromiscuous(name string, on bool) error {
	return p.change("SetPromiscuous", name, fmt.Sprint(on), func(w *world, link state.Link) {
		link.Promiscuous = &on
		w.links[name] = link
	})
}

func (p fakeLinks) SetHairpin(bridge string, on bool) error {
	return p.change("SetHairpin", bridge, fmt.Sprint(on), func(w *world, _ state.Link) {
		link, _ := w.link(bridge)
		for name, port := range link.Ports {
			w.hairpin[name] = on
			if _, plain := w.links[bridge].Ports[name]; plain {
				port.Hairpin = on
				w.links[bridge].Ports[name] = port
			}
		}
	})
}

// change refuses links that are not there.
func (p fakeLinks) change(op, name, args string, do func(*world, state.Link)) error {
	if err := host.CheckLink(name); err != nil {
		return err
	}
	return p.fake.change("links."+op, name+" "+args, func(w *world) error {
		link, there := w.links[name]
		if !there {
			return fmt.Errorf("link %s: no such network interface", name)
		}
		do(w, link)
		return nil
	})
}

func (p fakeLinks) Delete(name string) error {
	if err := host.CheckLink(name); err != nil {
		return err
	}
	return p.fake.change("links.Delete", name, func(w *world) error {
		link, there := w.links[name]
		if there && link.Kind != "bridge" {
			return fmt.Errorf("link %s: is a %s; only bridges are deleted", name, link.Kind)
		}
		delete(w.links, name)
		return nil
	})
}

type fakeContainers struct{ fake *Fake }

func (p fakeContainers) Running(ctx context.Context) (running map[string]state.Container, err error) {
	err = p.fake.read(func(w *world) error {
		if w.get(dockerUnit).Activity != state.Active {
			return errNoDocker
		}
		running = map[string]state.Container{}
		for id, c := range w.containers {
			if c.running {
				running[id] = c.Container
			}
		}
		return ctx.Err()
	})
	return running, err
}

func (p fakeContainers) Stop(_ context.Context, id string) error { return p.do("Stop", id, false) }

func (p fakeContainers) Start(_ context.Context, id string) error { return p.do("Start", id, true) }

func (p fakeContainers) LiveRestore(ctx context.Context) (lives bool, err error) {
	err = p.fake.read(func(w *world) error {
		if w.get(dockerUnit).Activity != state.Active {
			return errNoDocker
		}
		lives = !w.ends
		return ctx.Err()
	})
	return lives, err
}

func (p fakeContainers) do(op, id string, run bool) error {
	if err := host.CheckContainer(id); err != nil {
		return err
	}
	return p.fake.change("containers."+op, id, func(w *world) error {
		if w.get(dockerUnit).Activity != state.Active {
			return errNoDocker
		}
		if c := w.containers[id]; c != nil {
			if !run {
				c.end()
			}
			c.running, c.mtu = run || c.revived > 0, w.links[docker0].MTU
			c.revived = max(c.revived-1, 0)
		}
		return nil
	})
}

type fakeHealth struct{ fake *Fake }

func (p fakeHealth) Ask(_ context.Context, probes map[string]state.Probe) map[string]state.Probe {
	answers := maps.Clone(probes)
	err := p.fake.read(func(w *world) error {
		for name, probe := range answers {
			probe.Answer, probe.Failure = probe.Want, w.failures[name]
			answers[name] = probe
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return answers
}
