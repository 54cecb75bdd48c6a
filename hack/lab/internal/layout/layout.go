package layout

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// MaxNodes is how many hosts fit: the guide's addresses are in 10.64.3.0/26, from .7 on.
const MaxNodes = 9

// namePattern keeps a lab's name fit for a folder, a cgroup and a host name.
var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Lab is the layout of one lab. The zero value is not usable; New makes one.
type Lab struct {
	// Name tells this lab from others on the machine.
	Name string `json:"name"`
	// Cache is the folder where builds are kept and labs have their files, without symbolic links.
	Cache string `json:"cache"`
	// Nodes are the hosts, in order.
	Nodes []Node `json:"nodes"`
	// Root is what root.sh made: the Debian root, the apt repository and the test image's files.
	Root string `json:"root"`
	// Components is the folder with etcd, the programs of Kubernetes and kubectl.
	Components string `json:"components"`
	// TwoInterfaces gives each host eth0 with a "public" address and the default route, and eth1 with
	// the cluster's; else the cluster's address is on eth0.
	TwoInterfaces bool `json:"twoInterfaces"`
	// Keep leaves the lab up when whoever started it ends.
	Keep bool `json:"keep"`
}

// Node is one host.
type Node struct {
	// Name is the host's name: node-a, node-b and so on.
	Name string `json:"name"`
	// Address is its address in the cluster's network, without prefix length.
	Address string `json:"address"`
	// Public is its address in the "public" network; it has one with TwoInterfaces only.
	Public string `json:"public"`
}

const (
	// SeedAddress is the seed's address in the cluster's network.
	SeedAddress = "10.64.3.1"
	// PrefixLength is that of the cluster's network.
	PrefixLength = 26
	// PublicGateway is the seed's address in the "public" network (TEST-NET-3 of RFC 5737).
	PublicGateway = "203.0.113.1"
	// PublicPrefixLength is that of the "public" network.
	PublicPrefixLength = 24
	// FilesPort is where the seed's side serves files by HTTP.
	FilesPort = 8081
	// registry holds a folder for each lab that is up. It is the same for every checkout on the
	// machine, since cgroups are too.
	registry = "/run/seedbed-lab"
)

// New lays out a lab with that many hosts.
func New(cache, name string, nodes int) (Lab, error) {
	if !namePattern.MatchString(name) {
		return Lab{}, fmt.Errorf("lab name %q: it must be at most 32 lower-case letters, digits and dashes, and start with a letter", name)
	}
	if nodes < 1 || nodes > MaxNodes {
		return Lab{}, fmt.Errorf("%d hosts: a lab has 1 to %d", nodes, MaxNodes)
	}
	lab := Lab{Name: name, Cache: cache}
	for i := range nodes {
		lab.Nodes = append(lab.Nodes, Node{
			Name:    "node-" + string(rune('a'+i)),
			Address: fmt.Sprintf("10.64.3.%d", 7+i),
			Public:  fmt.Sprintf("203.0.113.%d", 7+i),
		})
	}
	return lab, nil
}

// Node finds a host by its name.
func (l Lab) Node(name string) (Node, error) {
	for _, n := range l.Nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return Node{}, fmt.Errorf("host %s: lab %s has %s to %s", name, l.Name, l.Nodes[0].Name, l.Nodes[len(l.Nodes)-1].Name)
}

// Registry is the lab's folder among all labs of the machine.
func (l Lab) Registry() string { return filepath.Join(registry, l.Name) }

// LockFile is held while the lab is up.
func (l Lab) LockFile() string { return filepath.Join(registry, l.Name+".lock") }

// StateFile describes the lab that is up: this layout, and the supervisor's processes.
func (l Lab) StateFile() string { return filepath.Join(l.Registry(), "state.json") }

// Socket is where the supervisor takes requests. It is below /run because a socket's path is short.
func (l Lab) Socket() string { return filepath.Join(l.Registry(), "control.sock") }

// Cgroup is the lab's cgroup, below the root of each hierarchy.
func (l Lab) Cgroup() string { return "seedbed-" + l.Name }

// Work holds the files of this run: hosts' disks, logs, what is served. It goes away with the lab.
func (l Lab) Work() string { return filepath.Join(l.Cache, "run", l.Name) }

// Program is the supervisor.
func (l Lab) Program() string { return filepath.Join(l.Work(), "supervisor") }

// Log is the supervisor's log.
func (l Lab) Log() string { return filepath.Join(l.Work(), "supervisor.log") }

// Served holds the files that the seed's side serves.
func (l Lab) Served() string { return filepath.Join(l.Work(), "served") }

// Hosts is the folder with the disks of all hosts.
func (l Lab) Hosts() string { return filepath.Join(l.Work(), "hosts") }

// Seed is a folder for the seed's files.
func (l Lab) Seed() string { return filepath.Join(l.Work(), "seed") }

// Disk is the folder with everything of one host.
func (l Lab) Disk(node string) string { return filepath.Join(l.Hosts(), node) }

// Mounted is where the host's root is mounted, seen from inside the lab.
func (l Lab) Mounted(node string) string { return filepath.Join(l.Disk(node), "root") }

// Console is what the host wrote to its console, of all boots.
func (l Lab) Console(node string) string { return filepath.Join(l.Disk(node), "console.log") }

// FilesURL is where hosts find the served files.
func FilesURL() string { return fmt.Sprintf("http://%s:%d", SeedAddress, FilesPort) }
