#!/usr/bin/env bash
# Runs a command with the XLA flags of a chip.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/with_xla_flags.sh [--dry-run] CHIP COMMAND [ARGUMENT]...

Runs COMMAND with the variables of launch/xla_flags/CHIP.env, which says why each is set. What XLA_FLAGS and
LIBTPU_INIT_ARGS hold already is kept and comes last, so that it wins.

  --dry-run  print the command with its variables instead of running it
  --help     print this
END
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
dry_run=false
# shellcheck source=/dev/null
. "$root/launch/lib/common.sh"
# shellcheck source=/dev/null
. "$root/launch/lib/chips.sh"

while (($#)); do
  case "$1" in
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    -*) usage >&2; fail "unknown argument: $1" ;;
    *) break ;;
  esac
  shift
done
(($# > 1)) || fail "name a chip, one of $(chips), and a command; --help says more"
settings="$(chip_settings "$1")"
shift
variables=()
while IFS= read -r line; do
  [[ -z "$line" ]] || variables+=("$line")
done <<<"$settings"
# Not `run`: the command takes this process's place, and with it its signals.
if $dry_run; then
  print_command env ${variables[@]+"${variables[@]}"} "$@"
else
  exec env ${variables[@]+"${variables[@]}"} "$@"
fi
