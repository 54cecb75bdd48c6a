#!/usr/bin/env bash
# Makes what the lab's hosts boot from, once for its content, in bin/lab/root-KEY, and prints that path:
#
#   root/   a Debian root with systemd and what a Kubernetes node's programs call, and no docker
#   repo/   an apt repository with docker, bound into each host as /srv/repo, so that Seedbed can
#           install docker on a host that reaches nothing
#   image/  the files of the test image: a shell, curl and a few more, with the libraries they need
#
# The mirror is the one that this machine's apt uses.
set -euo pipefail

suite=bookworm
# docker of the suite is 20.10, which speaks too old an API for cri-dockerd 0.4; that of the next suite
# is 26.1. A whole root of the next suite does not boot on a machine with cgroup v1.
docker_suite=trixie
packages=systemd,systemd-sysv,dbus,iproute2,iptables,nftables,procps,kmod,ca-certificates,curl,iputils-ping,conntrack,ipset,socat,ethtool
docker_packages=(docker.io docker-cli)
# What docker_packages bring along from the next suite is in the root from the start, so that installing
# docker is quick and changes nobody's libc.
docker_needs=(libc6 libc-bin base-files)
image_programs=(bash cat curl date env getent hostname ip ls ping sleep)

root=$(cd "$(dirname "$0")/../.." && pwd)
cache=$root/bin/lab
label=lab-root
# shellcheck source=hack/building.sh
. "$root/hack/building.sh"

# The first mirror of the suite that this machine's own apt has, else Debian's.
mirror() {
  local site
  site=$(apt-get indextargets --format "\$(CODENAME) \$(SITE)" 'Created-By: Packages' 2>/dev/null |
    awk -v suite="$suite" '$1 == suite { print $2; exit }')
  echo "${site:-http://deb.debian.org/debian}"
}

# What fetches packages goes the way that this machine's apt goes.
use_proxy() {
  local http_proxy_of_apt=''
  eval "$(apt-config shell http_proxy_of_apt Acquire::http::Proxy)"
  [ -z "$http_proxy_of_apt" ] || export http_proxy=$http_proxy_of_apt
}

apt_in_root() { in_root apt-get -q -y --no-install-recommends -t "$docker_suite" "$@"; }
logged() { "$@" >>"$temp/log" 2>&1 9>&-; }
in_root() { DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$temp/root" "$@"; }

# The next suite is there, and used for nothing but docker and what docker needs. Syncs are most of
# the time, and a root that is half made is thrown away anyhow.
debian() {
  local from=$1
  printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' "$docker_suite" >"$temp/preferences"
  building logged mmdebstrap --mode=root --format=directory --variant=minbase --include="$packages" \
    --dpkgopt=force-unsafe-io --setup-hook="cp '$temp/preferences' \"\$1/etc/apt/preferences.d/docker\"" \
    --skip=cleanup/apt/lists \
    "$suite" "$temp/root" "deb $from $suite main" "deb $from $docker_suite main"
}

fetch_docker() {
  mkdir "$temp/repo"
  cp /etc/resolv.conf "$temp/root/etc/resolv.conf"
  building logged apt_in_root install "${docker_needs[@]}"
  logged apt_in_root clean
  logged apt_in_root install --download-only "${docker_packages[@]}"
  mv "$temp"/root/var/cache/apt/archives/*.deb "$temp/repo/"
  rm -rf "$temp/root/etc/apt/preferences.d/docker" "$temp/root/etc/resolv.conf" "$temp/root/var/lib/apt/lists"/* \
    "$temp"/root/var/cache/apt/*.bin "$temp"/root/etc/apt/sources.list.d/*
}

# test_package VERSION is a package that does nothing, for tests of pins, holds and downgrades.
test_package() {
  local tree=$temp/package-$1
  mkdir -p "$tree/DEBIAN" "$tree/usr/share/lab-tool"
  echo "$1" >"$tree/usr/share/lab-tool/version"
  printf 'Package: lab-tool\nVersion: %s\nArchitecture: all\nMaintainer: the lab <lab@localhost>\nDescription: does nothing\n' \
    "$1" >"$tree/DEBIAN/control"
  dpkg-deb --build --root-owner-group "$tree" "$temp/repo/lab-tool_$1_all.deb" >>"$temp/log"
  rm -rf "$tree"
}

index_repo() {
  (cd "$temp/repo" && apt-ftparchive packages . >Packages && gzip -k Packages && apt-ftparchive release . >../Release && mv ../Release .)
}

settle_root() {
  : >"$temp/root/etc/machine-id"
  echo 'deb [trusted=yes] file:/srv/repo ./' >"$temp/root/etc/apt/sources.list"
  # kubelet reads the kernel's log, which a container does not have.
  echo 'L /dev/kmsg - - - - /dev/null' >"$temp/root/usr/lib/tmpfiles.d/lab.conf"
  mkdir -p "$temp/root"/{srv/repo,srv/images,opt/lab/sys,var/lib/docker,var/log/journal}
  cp -r "$root/hack/lab/root/." "$temp/root/"
  logged in_root systemctl enable lab-kernel-settings.service
}

make_image() {
  local program library
  mkdir -p "$temp/image"/{bin,etc,tmp,lib64}
  ln -s bin "$temp/image/sbin"
  for program in "${image_programs[@]}"; do
    program=$(in_root sh -c "command -v $program")
    cp -L "$temp/root$program" "$temp/image/bin/"
    for library in $(in_root ldd "$program" | grep -o '/[^ ]*'); do
      mkdir -p "$temp/image$(dirname "$library")"
      cp -L -n "$temp/root$library" "$temp/image$library"
    done
  done
  ln -s bash "$temp/image/bin/sh"
  chmod 1777 "$temp/image/tmp"
}

make_root() {
  local from
  from=$(mirror)
  mkdir -p "$temp"
  say "making a Debian root from $from: a minute or a few, once"
  debian "$from"
  fetch_docker
  test_package 1.0
  test_package 2.0
  index_repo
  make_image
  settle_root
}

main() {
  local key
  lock "$cache"
  rm -rf "$cache"/.root-*.[0-9]*  # Left behind by one that was killed; the lock is ours.
  key=root-$( (cat "$0" && cd "$root/hack/lab/root" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat) | sha256sum | cut -c1-12)
  if [ ! -d "$cache/$key" ]; then
    temp=$cache/.$key.$$
    use_proxy
    make_root
    mv -T "$temp" "$cache/$key"
    temp=
    say "made in ${SECONDS} s"
  fi
  echo "$cache/$key"
}

main
