#!/usr/bin/env bash
# Runs each fuzz target for a while: fuzz.sh TIME PACKAGE...
set -euo pipefail
cd "$(dirname "$0")/.."

time=$1
shift
count=0
while read -r package folder; do
  for target in $(sed -nE 's/^func (Fuzz[A-Za-z0-9_]*)\(.*/\1/p' "$folder"/*_test.go 2>/dev/null); do
    echo "fuzzing $target of $package for $time"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$package"
    count=$((count + 1))
  done
done < <(go list -f '{{.ImportPath}} {{.Dir}}' "$@")
echo "$count fuzz targets ran for $time each and found nothing"
