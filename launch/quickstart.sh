#!/usr/bin/env bash
# The main job, small enough for a laptop: build a corpus from the embedded web, train on it, evaluate, report.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/quickstart.sh [--workdir DIR] [--dry-run]

Trains a small Flamingo on the CPU in minutes, without network. It writes a small web of pages, captioned images and
captioned clips, builds the three datasets from it, trains gin/runs/quickstart.gin, evaluates on held-out pages,
and writes DIR/report.html. What an earlier call has done is not done again.

  --workdir DIR  the folder to write (default: runs/quickstart in the checkout)
  --dry-run      print the commands instead of running them
  --help         print this

PYTHON in the environment names the interpreter (default: .venv/bin/python in the checkout, which `make env` makes).
END
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
workdir="$root/runs/quickstart"
dry_run=false
taken=1
# shellcheck source=/dev/null
. "$root/launch/lib/common.sh"

while (($#)); do
  case "$1" in
    --workdir | --workdir=*) option workdir "a folder" "$@"; shift $((taken - 1)) ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument: $1" ;;
  esac
  shift
done
[[ "$workdir" != *://* ]] || fail "--workdir $workdir: the quickstart writes to a local folder"

# The gin files are found from the checkout, so everything runs there.
python="$(interpreter)"
workdir="$(local_folder "$workdir")"
cd -- "$root"
need_python "$python" env
trap on_interrupt INT

web="$workdir/web"
corpus="$workdir/corpus"
bindings=()
if [[ "$workdir" != runs/quickstart ]]; then
  bindings+=("$(bind m3w interleaved.InterleavedConfig "$corpus")" "$(bind pairs pairs.PairsConfig "$corpus")")
  bindings+=("$(bind clips pairs.VideoConfig "$corpus")")
fi

stage "embedded web" "$python" -m data_pipelines.embedded_web "--output=$web"
stage "pages" "$python" -m data_pipelines.m3w "--input=$web/site" "--output=$corpus"
stage "pairs" "$python" -m data_pipelines.convert pairs "--input=$web/pairs" "--output=$corpus"
stage "clips" "$python" -m data_pipelines.convert clips "--input=$web/clips/clips.json" "--output=$corpus"
stage "training" "$python" -m flamingo_jax.train --gin_file=gin/runs/quickstart.gin "--workdir=$workdir" \
  ${bindings[@]+"${bindings[@]}"}
stage "evaluation" "$python" -m flamingo_jax.evaluate "--workdir=$workdir" --dataset=m3w "--truth=$web/truth.json" \
  "--corpora=$corpus" --max_cases=64
$dry_run && exit 0

echo
print_times
echo "report: $workdir/report.html"
