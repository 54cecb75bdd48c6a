#!/usr/bin/env bash
# Tests on real systemd hosts that it boots and takes down: e2e.sh all|short [ginkgo flags]
#   short  the lab itself; a cluster of two hosts, without what takes long
#   all    the lab itself; a cluster of three hosts with flannel's network in etcd; then one of two
#          hosts with the Kubernetes subnet manager, and a public interface with the default route
set -euo pipefail
cd "$(dirname "$0")/../.."
scope=$1
shift

go_test() { # PACKAGE [VARIABLE=VALUE ...] -- flags
  local package=$1 settings=()
  shift
  while [[ $1 != -- ]]; do settings+=("$1"); shift; done
  shift
  env "${settings[@]}" go test -json -count=1 -timeout 40m "$package" \
    -args -ginkgo.v -ginkgo.no-color -ginkgo.poll-progress-after=2m "$@"
}

run() {
  local status=0
  if [[ $scope == short ]]; then
    go_test ./hack/lab/e2e E2E_NODES=2 -- "$@" || status=$?
    go_test ./hack/lab/e2e/cluster E2E_NODES=2 E2E_SCOPE=short -- "$@" || status=$?
  else
    go_test ./hack/lab/e2e E2E_NODES=3 -- "$@" || status=$?
    go_test ./hack/lab/e2e/cluster E2E_NODES=3 E2E_SCOPE=all -- "$@" || status=$?
    go_test ./hack/lab/e2e/cluster E2E_NODES=2 E2E_SCOPE=network E2E_SUBNET_MANAGER=Kubernetes -- "$@" || status=$?
  fi
  return "$status"
}

summary=$(mktemp)
trap 'rm -f "$summary"' EXIT
CGO_ENABLED=0 go build -o "$summary" ./hack/testsummary
run "$@" | "$summary" -live
