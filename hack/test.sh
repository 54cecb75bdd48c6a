#!/usr/bin/env bash
# Runs go test and tells what happened: test.sh [go test flags] -- PACKAGE...
# Ginkgo suites run apart from the others, since only they know the flag that makes them say why
# a spec was skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

flags=()
while [[ $# -gt 0 && $1 != -- ]]; do
  flags+=("$1")
  shift
done
shift

uses_ginkgo='{{$uses := false}}{{range .TestImports}}{{if eq . "github.com/onsi/ginkgo/v2"}}{{$uses = true}}{{end}}{{end}}{{range .XTestImports}}{{if eq . "github.com/onsi/ginkgo/v2"}}{{$uses = true}}{{end}}{{end}}{{$uses}} {{.ImportPath}}'
packages=$(go list -f "$uses_ginkgo" "$@")
mapfile -t plain < <(sed -n 's/^false //p' <<<"$packages")
mapfile -t suites < <(sed -n 's/^true //p' <<<"$packages")

run() {
  local status=0
  if [[ ${#plain[@]} -gt 0 ]]; then
    go test -json -timeout 15m "${flags[@]}" "${plain[@]}" || status=$?
  fi
  if [[ ${#suites[@]} -gt 0 ]]; then
    go test -json -timeout 15m "${flags[@]}" "${suites[@]}" -args -ginkgo.v -ginkgo.no-color || status=$?
  fi
  return "$status"
}

summary=$(mktemp)
trap 'rm -f "$summary"' EXIT
CGO_ENABLED=0 go build -o "$summary" ./hack/testsummary
run | "$summary"
