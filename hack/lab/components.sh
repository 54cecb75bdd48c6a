#!/usr/bin/env bash
# Builds what the lab's hosts run beside Kubernetes, each program once for its version and content, into
# bin/lab/components, and prints a line "NAME PATH" for each: flanneld, cri-dockerd, coredns, agnhost.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
programs=$root/bin/lab/components
modules=$root/hack/lab/components
label=lab-components
# shellcheck source=hack/building.sh
. "$root/hack/building.sh"

# once NAME MODULE-FOLDER GO-MODULE PACKAGE CGO FLAGS LDFLAGS: VERSION in LDFLAGS becomes the version.
once() {
  local name=$1 folder=$2 module=$3 package=$4 cgo=$5 flags=$6 ldflags=$7 version started=$SECONDS program
  version=$(go -C "$folder" list -m -f '{{.Version}}' "$module")
  program=$programs/$name-$version-$(content_key "$folder")
  if [ ! -x "$program" ]; then
    say "building $name $version"
    temp=$programs/.$name.$$
    # shellcheck disable=SC2086  # flags are words.
    building env CGO_ENABLED="$cgo" go -C "$folder" build -trimpath $flags \
      -ldflags "-s -w ${ldflags//VERSION/$version}" -o "$temp" "$package"
    mv -T "$temp" "$program"
    temp=
    say "built $name in $((SECONDS - started)) s"
  fi
  echo "$name $program"
}

main() {
  lock "$programs"
  rm -f "$programs"/.[a-z]*.[0-9]*  # Left behind by one that was killed; the lock is ours.
  # flannel's udp backend is in C. Static, so that it runs on a host whose libc is older than ours.
  once flanneld "$modules/flanneld" github.com/flannel-io/flannel github.com/flannel-io/flannel 1 \
    '-tags=netgo,osusergo' '-X github.com/flannel-io/flannel/pkg/version.Version=VERSION -extldflags=-static'
  once cri-dockerd "$modules/cri-dockerd" github.com/Mirantis/cri-dockerd . 0 \
    '' '-X github.com/Mirantis/cri-dockerd/cmd/version.Version=VERSION'
  once coredns "$modules/coredns" github.com/coredns/coredns . 0 '' ''
  once agnhost "$root/hack/seed" k8s.io/kubernetes k8s.io/kubernetes/test/images/agnhost 0 '' ''
}

main
