#!/usr/bin/env bash
# Puts etcd and the Kubernetes components into bin/components/KEY and links bin/components/current to
# it. What is there already is not fetched or built again.
#
#   hack/components.sh [--from DIR | --build]
#
#   --from DIR  use the programs in DIR: etcd, kube-apiserver and kubectl, and the others where they
#               are there (also: SEEDBED_COMPONENTS=DIR)
#   --build     build them all, without looking for downloads first
#
# Without either: envtest's binaries where the internet can be reached (no controller-manager, no
# scheduler, no kubelet and no kube-proxy among them), else a build from Go modules. SETUP_ENVTEST
# names a setup-envtest to use.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
components=$root/bin/components
source_module=$root/hack/seed
programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl)
needed=(etcd kube-apiserver kubectl)
download_seconds=15
label=components
# shellcheck source=hack/building.sh
. "$root/hack/building.sh"

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$0"; }

# Links current to a folder, which is named by its key or, when it is the user's own, by its path. The
# rename makes it one step: whoever looks finds the old or the new.
use() {
  ln -sfn "$1" "$components/.current.$$"
  mv -T "$components/.current.$$" "$components/current"
  say "bin/components/current is $1"
}

complete() {
  local p
  for p in "${needed[@]}"; do
    [ -x "$1/$p" ] && [ -f "$1/$p" ] || return 1
  done
}

use_folder() {
  local dir p
  dir=$(cd "$1" 2>/dev/null && pwd) || die "$1: not a folder that can be read"
  for p in "${needed[@]}"; do
    [ -e "$dir/$p" ] || die "$dir/$p: no such file; the folder must hold ${needed[*]}"
    if [ ! -f "$dir/$p" ] || [ ! -x "$dir/$p" ]; then die "$dir/$p: not an executable file"; fi
  done
  # The link may be what was given (SEEDBED_COMPONENTS=bin/components/current): it is right already.
  [ "$(cd "$components/current" 2>/dev/null && pwd -P)" = "$(cd "$dir" && pwd -P)" ] || use "$dir"
}

# fetch gets envtest's binaries for the Kubernetes version, any patch of it. It fails quickly where
# the internet is not there.
fetch() {
  local key=$1 minor=$2 tool=${SETUP_ENVTEST:-} found
  if [ -z "$tool" ]; then
    tool=$root/bin/tools/setup-envtest
    go -C "$root/hack/tools" build -trimpath -o "$tool" sigs.k8s.io/controller-runtime/tools/setup-envtest 9>&-
  fi
  temp=$components/.$key.$$
  if ! found=$(timeout "$download_seconds" "$tool" use "$minor.x" --bin-dir "$temp" --print path 2>/dev/null 9>&-) || ! complete "$found"; then
    rm -rf "$temp"
    temp=
    say "no envtest binaries for $minor to download from here; building instead"
    return 1
  fi
  # setup-envtest makes its folders and files read-only.
  chmod -R u+w "$temp"
  mv -T "$found" "$components/$key"
  rm -rf "$temp"
  temp=
  say "envtest's binaries have no kube-controller-manager, no kube-scheduler and nothing of a node; --build makes those too"
}

# build makes one binary with all programs in it, and a link to it for each.
build() {
  local key=$1 version=$2 minor p package flags='-s -w'
  minor=${version#v1.}
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}"
  done
  temp=$components/.$key.$$
  mkdir -p "$temp"
  say "building etcd and Kubernetes $version from Go modules: about 7 minutes on 2 cores the first time, once"
  building env CGO_ENABLED=0 go -C "$source_module" build -trimpath -ldflags "$flags" -o "$temp/control-plane" .
  for p in "${programs[@]}"; do
    ln -s control-plane "$temp/$p"
  done
  mv -T "$temp" "$components/$key"
  temp=
  say "built in ${SECONDS} s"
}

main() {
  local from=${SEEDBED_COMPONENTS:-} only_build='' version built fetched
  while [ $# -gt 0 ]; do
    case $1 in
      --from)
        from=${2:-}
        [ -n "$from" ] || die "--from needs a folder"
        shift 2
        ;;
      --build) only_build=yes from='' && shift ;;
      -h | --help) usage && exit 0 ;;
      *) die "unknown argument $1; try --help" ;;
    esac
  done
  lock "$components"
  rm -rf "$components"/.[a-z]*-*.[0-9]*  # Left behind by one that was killed; the lock is ours.
  if [ -n "$from" ]; then
    use_folder "$from"
    return
  fi
  command -v go >/dev/null || die "go is not installed: install Go 1.26 or later, or give a folder with the programs by --from"
  version=$(go -C "$source_module" list -m -f '{{.Version}}' k8s.io/kubernetes)
  built=built-$version-$(content_key "$source_module")
  fetched=envtest-$version
  if complete "$components/$built"; then
    use "$built"
  elif [ -z "$only_build" ] && { complete "$components/$fetched" || fetch "$fetched" "$(echo "${version#v}" | cut -d. -f1,2)"; }; then
    use "$fetched"
  else
    build "$built" "$version"
    use "$built"
  fi
}

main "$@"
