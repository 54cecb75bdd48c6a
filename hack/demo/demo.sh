#!/usr/bin/env bash
# The main job of Seedbed on an embedded seed, without root: two host roots are brought to what the
# install guide's objects say, drift is repaired, a change is planned and rolled out, and a bad
# object is refused. `make demo` builds what this needs and runs it from the top of the repository.
set -euo pipefail

seedbed=bin/seedbed
components=bin/components/current
kubectl=$components/kubectl
guide=config/samples/guide
began=$(date +%s)

work=$(mktemp -d "${TMPDIR:-/tmp}/seedbed-demo.XXXXXX")
pids=()
stopping=

bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || bold='' dim='' green='' red='' plain=''

title() { printf '\n%s== %s%s\n' "$bold" "$1" "$plain"; }
say() { printf '   %s\n' "$*"; }
run() { printf '   %s$ %s%s\n' "$dim" "$*" "$plain"; "$@" 2>&1 | sed 's/^/   /'; }
now_ms() { echo $(($(date +%s%N) / 1000000)); }

# Ends the processes this script started, newest first, and waits for them.
stop_all() {
	[ -z "$stopping" ] || return 0
	stopping=yes
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill -TERM "${pids[i]}" 2>/dev/null || continue
		wait "${pids[i]}" 2>/dev/null || true
	done
}

finish() {
	status=$?
	stop_all
	if [ "$status" -ne 0 ]; then
		printf '\n%sThe demo failed (exit %d). The logs are kept in %s%s\n' "$red" "$status" "$work" "$plain"
		for log in "$work"/*.log; do
			printf '%s--- the end of %s%s\n' "$dim" "$(basename "$log")" "$plain"
			tail -n 8 "$log"
		done
		exit "$status"
	fi
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# start NAME COMMAND...: in the background, with a log.
start() {
	local name=$1
	shift
	"$@" >"$work/$name.log" 2>&1 &
	pids+=($!)
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds or a process has died.
wait_for() {
	local limit=$(($(date +%s) + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		for pid in "${pids[@]}"; do
			kill -0 "$pid" 2>/dev/null || { say "${red}a process ended while waiting for $what$plain"; return 1; }
		done
		[ "$(date +%s)" -lt "$limit" ] || { say "${red}gave up waiting for $what$plain"; return 1; }
		sleep 0.05
	done
}

for need in "$seedbed" "$kubectl" "$components/etcd" "$components/kube-apiserver"; do
	[ -x "$need" ] || { echo "demo: $need is missing: run make demo, which builds it" >&2; exit 1; }
done

printf '%sSeedbed demo%s: the install guide as two objects, on a real API server.\n' "$bold" "$plain"
say "Everything is below $work and on loopback; nothing else on this machine is touched."

title "1. The seed: etcd and kube-apiserver, with their own PKI, CRDs and RBAC"
start seed "$seedbed" seed --data-dir "$work/seed" --components "$components" --ready-file "$work/seed.ready"
wait_for 60 "the seed" test -e "$work/seed.ready"
sed 's/^/   /' "$work/seed.log"
export KUBECONFIG=$work/seed/admin.kubeconfig

title "2. The manager"
start manager "$seedbed" manager --kubeconfig "$work/seed/manager.kubeconfig" --leader-elect=false --metrics-bind-address 0 --health-probe-bind-address 0
say "started; it turns objects into revisions and assigns them to nodes"

title "3. Two nodes: an identity and an agent for each, on a host root of its own"
for node in node-a node-b; do
	root=$work/hosts/$node
	mkdir -p "$root"
	if [ -d "hack/demo/$node" ]; then cp -R "hack/demo/$node/." "$root/"; fi
	run "$seedbed" seed add-node "$node" --labels role=worker --data-dir "$work/seed" -o "$work/$node.kubeconfig"
	"$kubectl" wait --for=create "nodestate/$node" --timeout=20s >/dev/null
	start "$node" "$seedbed" agent --kubeconfig "$work/$node.kubeconfig" --node-name "$node" \
		--host-root "$root" --facts "$guide/facts/$node.yaml"
done
say "node-a has every program as a plain binary; node-b has docker and cri-dockerd from packages."

title "4. kubectl apply: the guide's values as a NetworkConfig and a NodeConfig"
run "$kubectl" apply -f "$guide"
applied=$(now_ms)
run "$kubectl" wait --for=condition=Prepared nodeconfig/workers --timeout=60s
say "${green}both hosts prepared $(($(now_ms) - applied)) ms after the apply$plain"

title "5. The fleet"
run "$seedbed" status

title "6. What was written on node-a"
(cd "$work/hosts/node-a" && find . -type f -o -type l | grep -v -e '^./var/lib/seedbed/' -e '^./run/' | sort | sed 's/^\./   /')
for file in /etc/docker/daemon.json /etc/systemd/system/docker.service; do
	printf '\n   %s%s%s\n' "$bold" "$file" "$plain"
	sed 's/^/   | /' "$work/hosts/node-a$file"
done

title "7. Somebody edits a file by hand"
target=$work/hosts/node-a/etc/docker/daemon.json
cp "$target" "$work/daemon.json"
printf '{ "registry-mirrors": ["hub-mirror.example.com"] }\n' >"$target"
edited=$(now_ms)
say "daemon.json on node-a was overwritten (with a mirror that dockerd would not start with)"
wait_for 10 "the repair" cmp -s "$target" "$work/daemon.json"
say "${green}put right after $(($(now_ms) - edited)) ms$plain"
wait_for 10 "the status" sh -c "$kubectl get nodestate node-a -o jsonpath='{.status.drift.corrected}' | grep -q 1"
run "$kubectl" get nodestate

title "8. A change, and what it will disturb"
mkdir "$work/edited"
cp "$guide"/*.yaml "$work/edited/"
sed -i.orig 's/maxConcurrentDownloads: 10/maxConcurrentDownloads: 20/' "$work/edited"/*.yaml
rm -f "$work/edited"/*.orig
say "maxConcurrentDownloads: 10 becomes 20. The plan, before anything happens:"
run "$seedbed" plan -f "$work/edited" --facts "$guide/facts/node-a.yaml" --config workers --host-root "$work/hosts/node-a"
run "$kubectl" apply -f "$work/edited"
for node in node-a node-b; do
	wait_for 30 "$node" grep -q '"max-concurrent-downloads": 20' "$work/hosts/$node/etc/docker/daemon.json"
done
run "$kubectl" wait --for=condition=Prepared nodeconfig/workers --timeout=30s
run "$kubectl" get nodestate -o custom-columns=NODE:.metadata.name,STEPS:.status.apply.steps,DEFERRED:.status.apply.deferred,DISRUPTION:.status.apply.disruption
for node in node-a node-b; do
	[ "$("$kubectl" get nodestate "$node" -o jsonpath='{.status.apply.disruption}')" = Reload ] ||
		{ say "${red}$node reports another disruption than the plan said$plain"; exit 1; }
done
say "${green}rolled out: dockerd is to reload, nothing is to restart, as the plan said$plain"

title "9. A bad object is refused, and nothing is touched"
printf '   %s$ kubectl patch nodeconfig workers ... registryMirrors: ["hub-mirror.c.163.com"]%s\n' "$dim" "$plain"
if "$kubectl" patch nodeconfig workers --type merge \
	-p '{"spec":{"docker":{"registryMirrors":["hub-mirror.c.163.com"]}}}' >"$work/refused.txt" 2>&1; then
	say "${red}it was accepted$plain"
	exit 1
fi
sed 's/^/   /' "$work/refused.txt"

title "10. What was real and what was not"
say "Real: etcd, kube-apiserver, the CRDs and their rules, the manager, both agents with a"
say "certificate and permissions of their own, every file above, inotify, the ledger."
say "Not: the hosts do not run. Sysctls, kernel modules, iptables and units are recorded as"
say "Deferred, the nodes are Prepared and never Ready, and dockerd reloaded on paper only."
say "The guide's etcd, at 10.64.3.7, is not here, so flannel's network is not published:"
run "$kubectl" get networkconfig -o custom-columns='NETWORK:.metadata.name,PUBLISHED:.status.conditions[?(@.type=="Published")].reason'

title "Stopping"
stop_all
for pid in "${pids[@]}"; do
	if kill -0 "$pid" 2>/dev/null; then say "${red}process $pid is still there$plain"; exit 1; fi
done
say "${green}everything that was started has ended; the demo took $(($(date +%s) - began)) s$plain"
