#!/usr/bin/env bash
# What launch/tpu_vm.sh calls on each worker of a TPU slice.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/tpu_worker.sh [--dry-run] COMMAND

Holds one detached training on one worker. Everything is beside the checkout: venv/, train.log, and job.* about the job.

  idle                      fail if a job is running
  setup                     make venv/, or leave it if nothing that it depends on has changed
  start CHIP ARGUMENT...    start `python -m flamingo_jax.train ARGUMENT...` with the XLA flags of CHIP, and return
  status                    print "flamingo-job STATE": running, exit N, lost (ended without a status) or none
  logs [LINES [--follow]]   print the last lines of the log (default: 100)
  stop [SECONDS]            ask the job to save and end; kill it if it has not after SECONDS (default: 600)

  --dry-run  print the commands that change something instead of running them
  --help     print this

FLAMINGO_PYTHON in the environment names the Python to make venv/ with (default: the first of 3.12, 3.13 and 3.11 that
is there; if there is none, uv fetches 3.12).
END
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
dry_run=false
# shellcheck source=/dev/null
. "$root/launch/lib/common.sh"
home="$(dirname -- "$root")"

# alive: whether the job's holder is running. Process numbers are used again, so its name is looked at too.
alive() {
  local pid
  [[ -r "$home/job.pid" ]] || return 1
  pid="$(<"$home/job.pid")"
  [[ -r "/proc/$pid/cmdline" ]] && grep -qz tpu_worker.sh "/proc/$pid/cmdline"
}

idle() {
  ! alive || fail "$(hostname): a job is running here already; launch/tpu_vm.sh stop ends it"
}

# version_of PYTHON: prints "312" for Python 3.12.
version_of() {
  "$1" -c 'import sys; print("%d%d" % sys.version_info[:2])'
}

make_environment() {
  local name python="${FLAMINGO_PYTHON:-}"
  for name in python3.12 python3.13 python3.11; do
    [[ -z "$python" ]] || break
    ! command -v "$name" >/dev/null || python="$name"
  done
  run rm -rf -- "$home/venv"
  # The images of TPU VMs have an older Python, or one without venv.
  if [[ -z "$python" ]] || ! run "$python" -m venv "$home/venv"; then
    run python3 -m pip install --quiet --user uv
    run python3 -m uv venv --seed --python "${python:-3.12}" "$home/venv"
  fi
}

setup() {
  local version=312 stamp
  stamp="$(cat -- "$root/setup.py" "$root"/constraints/py*.txt | cksum) $root"
  if [[ -x "$home/venv/bin/python" && "$(cat -- "$home/venv/ready" 2>/dev/null)" == "$stamp" ]]; then
    echo "$(hostname): the environment is ready"
    return
  fi
  make_environment
  $dry_run || version="$(version_of "$home/venv/bin/python")"
  [[ -r "$root/constraints/py$version.txt" ]] ||
    fail "$(hostname): there is no constraints/py$version.txt for this Python"
  run "$home/venv/bin/python" -m pip --disable-pip-version-check --quiet install \
    --constraint "$root/constraints/py$version.txt" --editable "${root}[tpu,gcs]"
  $dry_run || echo "$stamp" >"$home/venv/ready"
}

start() {
  local command=("$root/launch/tpu_worker.sh" hold "$@")
  idle
  (($# > 1)) || fail "start needs a chip and the arguments of the training"
  if $dry_run; then
    print_command setsid "${command[@]}"
    return
  fi
  rm -f -- "$home/job.status" "$home/job.pid"
  # Detached: the job goes on when the connection that started it is closed.
  setsid "${command[@]}" </dev/null >>"$home/train.log" 2>&1 &
  # The holder notes its own number: until its program is loaded, /proc shows it without a name, as if it were gone.
  until [[ -e "$home/job.pid" ]]; do
    kill -0 "$!" 2>/dev/null || [[ -e "$home/job.pid" ]] || fail "$(hostname): the job cannot be started; see the log"
    sleep 0.1
  done
  echo "$(hostname): started"
}

# hold CHIP ARGUMENT...: runs the training, passes SIGTERM on, and notes how it ends.
hold() {
  local chip="$1" status=0
  shift
  echo "$$" >"$home/job.pid.new"
  mv -- "$home/job.pid.new" "$home/job.pid"
  cd -- "$root"
  echo "== $(date --utc +%FT%TZ) $(hostname): $(quoted python -m flamingo_jax.train "$@")"
  launch/with_xla_flags.sh "$chip" "$home/venv/bin/python" -m flamingo_jax.train "$@" &
  child=$!
  trap 'signalled=true; kill -TERM "$child" 2>/dev/null || true' TERM INT HUP
  status_of "$child" || status=$?
  echo "== $(date --utc +%FT%TZ) $(hostname): ended with status $status"
  echo "$status" >"$home/job.status.new"
  mv -- "$home/job.status.new" "$home/job.status"
}

status() {
  if alive; then
    echo "flamingo-job running"
  elif [[ -r "$home/job.status" ]]; then
    echo "flamingo-job exit $(<"$home/job.status")"
  elif [[ -e "$home/job.pid" ]]; then
    echo "flamingo-job lost"
  else
    echo "flamingo-job none"
  fi
}

logs() {
  local follow=()
  must_be_number "the number of lines" "${1:-100}"
  [[ "${2:-}" != --follow ]] || follow=(--follow)
  [[ -r "$home/train.log" ]] || fail "$(hostname): there is no log yet"
  exec tail --lines="${1:-100}" ${follow[@]+"${follow[@]}"} -- "$home/train.log"
}

stop() {
  local seconds="${1:-600}" pid end
  must_be_number "the number of seconds" "$seconds"
  if ! alive; then
    status
    return
  fi
  pid="$(<"$home/job.pid")"
  run kill -TERM "$pid"
  end=$((SECONDS + seconds))
  while ! $dry_run && alive; do
    if ((SECONDS >= end)); then
      # The whole session: the holder cannot pass this signal on.
      run kill -KILL -- "-$pid"
      echo "$(hostname): killed, not saved in $seconds s" >&2
      break
    fi
    sleep 0.2
  done
  status
}

while (($#)); do
  case "$1" in
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    idle | setup | start | hold | status | logs | stop) "$@"; exit ;;
    *) usage >&2; fail "unknown argument: $1" ;;
  esac
  shift
done
usage >&2
fail "say what to do; --help says more"
