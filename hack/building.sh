# shellcheck shell=bash
# What the scripts that build components once have in common: a lock, progress, and leaving nothing
# behind. A script that sources it sets `label` first, and names what it is building by `temp`, a path
# that is removed when the script ends; of a file "log" in it the end is shown when it fails.
# shellcheck disable=SC2154  # label is set by who sources this.

progress_seconds=20
temp='' ticker=''

say() { echo "$label: $*" >&2; }
die() {
  say "$@"
  exit 1
}

# shellcheck disable=SC2317,SC2329  # The trap calls it.
cleanup() {
  local status=$?
  [ "$status" -eq 0 ] || [ ! -f "$temp/log" ] || tail -n 30 "$temp/log" >&2
  [ -z "$ticker" ] || kill "$ticker" 2>/dev/null || true
  [ -z "$temp" ] || rm -rf "$temp"
}

# tick says how long the build has taken so far. It ends with the script, however that ends.
tick() {
  local waited=0
  while kill -0 $$ 2>/dev/null; do
    sleep 1
    waited=$((waited + 1))
    [ $((waited % progress_seconds)) -ne 0 ] || say "still building, ${waited} s so far"
  done
}

# building COMMAND... runs a build and shows its progress. 9 is the lock: only this shell holds it,
# whatever go leaves running behind.
building() {
  tick 9>&- &
  ticker=$!
  local status=0
  "$@" 9>&- || status=$?
  kill "$ticker" 2>/dev/null || true
  ticker=
  [ "$status" -eq 0 ] || die "that failed: $*"
}

# lock FOLDER: two at once would do the work twice; the second waits for the first and finds it done.
lock() {
  trap cleanup EXIT
  trap 'exit 130' INT TERM
  mkdir -p "$1"
  exec 9>"$1/.lock"
  flock -n 9 && return
  say "another build is at work in $1; waiting for it"
  flock 9
}

# content_key MODULE...: a hash of what the Go modules in these folders build, and of what builds it.
content_key() {
  local module
  {
    for module in "$@"; do
      find "$module" -type f \( -name '*.go' -o -name 'go.*' \) -print0 | LC_ALL=C sort -z | xargs -0 cat
    done
    go env GOVERSION GOOS GOARCH
  } | sha256sum | cut -c1-12
}
