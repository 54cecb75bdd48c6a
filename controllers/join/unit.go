package join

import "seedbed.dev/seedbed/controllers/resolve"

// unitMark begins the agent's unit, by which it is told from one that an administrator wrote.
const unitMark = "# Written by seedbed join, and removed by seedbed leave.\n"

// unitFile is the agent's unit. Nothing in it names docker, flannel or the network, so that none of
// them can take the agent down, and the agent is there at boot before any of them.
//
// Hardening: an agent installs packages, loads modules, writes sysctls, units and files anywhere in
// /etc and has package scripts run, so it stays root, in the host's namespaces and with a writable
// file system. What none of that needs is taken away: the clock, process accounting, a reboot of its
// own, real-time priority, other personalities and exotic sockets. NoNewPrivileges would keep
// package scripts from their SELinux domains, RestrictSUIDSGID dpkg from unpacking set-uid programs.
//
// KillMode=mixed: a stop asks the agent alone, which ends its step, so that dpkg is not killed in
// the middle of one. OOMScoreAdjust is that of other services without which a node is lost.
func unitFile(node string) []byte {
	return []byte(unitMark + `[Unit]
Description=Seedbed agent, which keeps this node as its NodeState says
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=` + resolve.PathSeedbed + ` agent --kubeconfig=` + resolve.PathAgentKubeconfig + ` --node-name=` + node + `
Restart=always
RestartSec=5
KillMode=mixed
TimeoutStopSec=150
OOMScoreAdjust=-900
UMask=0077
CapabilityBoundingSet=~CAP_SYS_TIME CAP_SYS_PACCT CAP_SYS_BOOT CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_SYS_TTY_CONFIG
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=multi-user.target
`)
}
