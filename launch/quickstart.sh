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

fail() {
  echo "error: $*" >&2
  exit 2
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
workdir="$root/runs/quickstart"
dry_run=false
while (($#)); do
  case "$1" in
    --workdir) (($# > 1)) || fail "--workdir needs a folder"; workdir="$2"; shift ;;
    --workdir=*) workdir="${1#*=}" ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument: $1" ;;
  esac
  shift
done
[[ -n "$workdir" ]] || fail "--workdir is empty"
[[ "$workdir" != *://* ]] || fail "--workdir $workdir: the quickstart writes to a local folder"

# The gin files are found from the checkout, so everything runs there; the caller's relative paths must survive that.
python="${PYTHON:-$root/.venv/bin/python}"
[[ "$workdir" == /* ]] || workdir="$PWD/$workdir"
[[ "$python" != */* || "$python" == /* ]] || python="$PWD/$python"
cd -- "$root"
workdir="${workdir%/}"
workdir="${workdir#"$root/"}"
$dry_run || command -v -- "$python" >/dev/null || fail "cannot run $python: call \`make env\`, or set PYTHON to an interpreter"

on_interrupt() {
  echo >&2
  echo "stopped; call the same command again to go on from here" >&2
  exit 130
}
trap on_interrupt INT

names=()
seconds=()

# stage NAME COMMAND...: runs one command, and remembers how long it took.
stage() {
  local name="$1" start=$SECONDS status=0
  shift
  if $dry_run; then
    printf '%q ' "$@"
    echo
    return
  fi
  echo "== $name"
  "$@" || status=$?
  # A command that Ctrl-C ends may do so with its own status.
  ((status != 130)) || on_interrupt
  if ((status)); then
    echo "error: \"$name\" ended with status $status; mend what it says above, then call the same command again" >&2
    exit "$status"
  fi
  names+=("$name")
  seconds+=("$((SECONDS - start))")
}

# bind DATASET CLASS: the argument that points a dataset of the gin file to this corpus.
bind() {
  local path="$corpus/$1"
  path="${path//\\/\\\\}"
  echo "--gin=$1/$2.path = \"${path//\"/\\\"}\""
}

web="$workdir/web"
corpus="$workdir/corpus"
bindings=()
if [[ "$workdir" != runs/quickstart ]]; then
  bindings=("$(bind m3w interleaved.InterleavedConfig)" "$(bind pairs pairs.PairsConfig)" "$(bind clips pairs.VideoConfig)")
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
total=0
for i in "${!names[@]}"; do
  printf '%-14s %5d s\n' "${names[i]}" "${seconds[i]}"
  total=$((total + seconds[i]))
done
printf '%-14s %5d s\n' "together" "$total"
echo "report: $workdir/report.html"
