#!/usr/bin/env bash
# A training in several JAX processes on this machine: the multi-host program, without the hosts.
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/local_processes.sh N [OPTION]... [-- TRAINING ARGUMENT...]

Starts N JAX processes on this machine that train together as N hosts would, over the loopback interface:

  launch/local_processes.sh 4 --workdir runs/four -- --gin_file=gin/runs/quickstart.gin --gin="run.RunConfig.steps = 20"

What follows -- goes to each `python -m flamingo_jax.train` as it is; without a --gin_file it is
gin/runs/quickstart.gin, whose datasets `make quickstart` builds. Each process writes to DIR/logs/process_<i>.log, and
process 0 to the terminal as well. Ctrl-C or SIGTERM is passed on once, so that a checkpoint is saved; a second one
kills. The same command again, with the same or another N, resumes.

  --workdir DIR    the folder of the run, may be gs:// (default: runs/local in the checkout)
  --logs DIR       the folder of the logs (default: DIR/logs of the workdir, or runs/local/logs if that is remote)
  --devices K      simulate K CPU devices in each process (default: 1)
  --threads T      CPU threads of each process (default: the cores divided among the processes)
  --port PORT      the port on which process 0 coordinates (default: a free one)
  --grace SECONDS  when a process has failed, how long the others may take to stop by themselves (default: 60)
  --dry-run        print the commands instead of running them
  --help           print this

Exit status: 0 if all processes end well, 130 if stopped, otherwise that of the process that failed first. PYTHON in the
environment names the interpreter (default: .venv/bin/python in the checkout); JAX_PLATFORMS what it runs on (default:
cpu).
END
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
workdir="$root/runs/local"
logs=""
processes=""
devices=1
threads=""
port=""
grace=60
dry_run=false
taken=1
# shellcheck source=/dev/null
. "$root/launch/lib/common.sh"

while (($#)); do
  case "$1" in
    --workdir | --workdir=*) option workdir "a folder" "$@"; shift $((taken - 1)) ;;
    --logs | --logs=*) option logs "a folder" "$@"; shift $((taken - 1)) ;;
    --devices | --devices=*) option devices "a number" "$@"; shift $((taken - 1)) ;;
    --threads | --threads=*) option threads "a number" "$@"; shift $((taken - 1)) ;;
    --port | --port=*) option port "a number" "$@"; shift $((taken - 1)) ;;
    --grace | --grace=*) option grace "a number of seconds" "$@"; shift $((taken - 1)) ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    -*) usage >&2; fail "unknown argument: $1 (what is for the training comes after --)" ;;
    *)
      [[ -z "$processes" ]] || fail "unexpected argument: $1 (what is for the training comes after --)"
      processes="$1"
      ;;
  esac
  shift
done
training=("$@")
[[ -n "$processes" ]] || fail "say how many processes; --help says more"
must_be_number "N" "$processes"
must_be_number --devices "$devices"
must_be_number --grace "$grace"
[[ -z "$threads" ]] || must_be_number --threads "$threads"
[[ -z "$port" ]] || must_be_number --port "$port"
! has_flag workdir "$@" || fail "give --workdir before the --: the logs go there too"
has_flag gin_file "$@" || training=(--gin_file=gin/runs/quickstart.gin "$@")

python="$(interpreter)"
if [[ "$workdir" == *://* ]]; then
  logs="${logs:-$root/runs/local/logs}"
else
  workdir="$(local_folder "$workdir")"
fi
[[ -z "$logs" ]] || logs="$(local_folder "$logs")"
logs="${logs:-$workdir/logs}"
cd -- "$root"
need_python "$python" env
need_program setsid "install util-linux"

# Below the ports that the kernel gives to outgoing connections, so that none of those takes it in between.
while [[ -z "$port" ]]; do
  port=$((20000 + RANDOM % 12000))
  if (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then port=""; fi
done
if [[ -z "$threads" ]]; then
  threads=$(($(nproc) / processes))
  ((threads)) || threads=1
fi

# command_of PROCESS: sets `command`. PJRT_NPROC is the size of the thread pool of XLA's CPU client.
command_of() {
  command=(env "FLAMINGO_COORDINATOR=127.0.0.1:$port" "FLAMINGO_NUM_PROCESSES=$processes" "FLAMINGO_PROCESS_ID=$1")
  command+=("JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}" "PJRT_NPROC=$threads" "OMP_NUM_THREADS=$threads")
  command+=("XLA_FLAGS=${XLA_FLAGS:+$XLA_FLAGS }--xla_force_host_platform_device_count=$devices")
  command+=("$python" -m flamingo_jax.train "--workdir=$workdir" "${training[@]}")
}

if $dry_run; then
  for ((i = 0; i < processes; i++)); do
    command_of "$i"
    print_command "${command[@]}"
  done
  exit 0
fi

stops=0
# stop: told by the trap. The first time each process is asked to save and end, the second time it is killed.
# shellcheck disable=SC2317
stop() {
  stops=$((stops + 1))
  if ((stops == 1)); then
    echo "stopping: waiting for the processes to save (again to kill them)" >&"$errors"
    signal_all TERM
  else
    signal_all KILL
  fi
}

pids=()
statuses=()
# signal_all SIGNAL: to every process that has not ended.
signal_all() {
  local i
  for i in "${!pids[@]}"; do
    [[ -n "${statuses[i]}" ]] || kill -s "$1" "${pids[i]}" 2>/dev/null || true
  done
}

exec {errors}>&2
trap stop INT TERM HUP
trap 'signal_all KILL' EXIT
mkdir -p -- "$logs"
# The terminal's Ctrl-C reaches every process of this group. Sessions of their own keep the processes, and the copy of
# process 0's output, out of it: they hear of it once, from here.
exec {terminal}> >(exec setsid tee -a -- "$logs/process_0.log")
tee_pid=$!
for ((i = 0; i < processes && stops == 0; i++)); do
  command_of "$i"
  if ((i)); then
    setsid "${command[@]}" </dev/null >>"$logs/process_$i.log" 2>&1 {terminal}>&- {errors}>&- &
  else
    setsid "${command[@]}" </dev/null >&"$terminal" 2>&1 {terminal}>&- {errors}>&- &
  fi
  pids+=("$!")
  statuses+=("")
done
exec {terminal}>&-

# outcome PROCESS: what became of it, in words.
outcome() {
  local status="${statuses[$1]}" how=""
  ((status <= 128 || status == 130)) || how=" (signal $((status - 128)))"
  echo "status $status$how; its log: $logs/process_$1.log"
}

first=""
deadline=""
killed=()
running=${#pids[@]}
while ((running)); do
  rest 0.2 2>/dev/null  # bash reports there who was killed; so do we, below
  for i in "${!pids[@]}"; do
    [[ -z "${statuses[i]}" ]] || continue
    ! kill -0 "${pids[i]}" 2>/dev/null || continue
    status=0
    wait "${pids[i]}" 2>/dev/null || status=$?
    statuses[i]=$status
    running=$((running - 1))
    if ((status)) && [[ -z "$first" ]]; then
      first=$i
      # Saving takes as long as it takes: only a failure sets a limit.
      if ((stops == 0 && status != 130)); then
        deadline=$((SECONDS + grace))
        echo "error: process $i ended with $(outcome "$i"). The others have $grace s to stop by themselves" >&2
      fi
    fi
  done
  if ((running && stops == 0 && ${#killed[@]} == 0 && SECONDS >= ${deadline:-SECONDS + 1})); then
    for i in "${!pids[@]}"; do
      [[ -n "${statuses[i]}" ]] || killed+=("$i")
    done
    signal_all KILL
  fi
done
wait "$tee_pid" 2>/dev/null || true

[[ -n "$first" ]] || exit 0
if ((stops > 1)); then
  echo "killed; what was not saved is lost" >&2
  exit 130
fi
# Those that were told to stop have saved (130), ended all the same (0) or were not yet listening (143).
stopped=true
for i in "${!statuses[@]}"; do
  [[ "${statuses[i]}" =~ ^(0|130|143)$ ]] || stopped=false
  if ((statuses[i] == 143)) && ! ((stops)); then stopped=false; fi
done
if $stopped; then
  echo "stopped; call the same command again to go on from the newest checkpoint" >&2
  exit 130
fi
# Two ends may be seen at once; 3 says that another process was the first (flamingo_jax/parallel/watch.py).
for i in "${!statuses[@]}"; do
  if ((statuses[first] == 3 && statuses[i] != 0 && statuses[i] != 3)) && [[ " ${killed[*]-} " != *" $i "* ]]; then
    first=$i
  fi
done
((${#killed[@]} == 0)) || echo "error: killed after $grace s: process ${killed[*]}" >&2
for i in "${!statuses[@]}"; do
  ((i == first || statuses[i] == 0)) || [[ " ${killed[*]-} " == *" $i "* ]] ||
    echo "process $i ended with $(outcome "$i")" >&2
done
echo "error: process $first died first, with $(outcome "$first")" >&2
exit "${statuses[first]}"
