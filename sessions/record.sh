#!/usr/bin/env bash
# Records the worked sessions of this folder anew, on the demo LM: `make sessions`.
# Their sources are the scripts beside this one. The last cell of the first one
# fails on purpose, so its exit code is 1.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
program=$(realpath "${1:?usage: record.sh PATH-TO-DSPEX-TUI}")
# A session remembers where it was made: make it where that tells nothing.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd /tmp
record() {
  "$program" run "$here/$1" --new "$2" --sessions-dir "$place" || [ "$2" = first-steps ]
  rm -rf "${here:?}/$2"
  cp -r "$place/$2" "$here/$2"
  rm -f "$here/$2"/lock "$here/$2"/*.idx
}
record first-steps.py first-steps
record optimise-tickets.dspex optimise-tickets
