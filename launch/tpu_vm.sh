#!/usr/bin/env bash
# Cloud TPU slices as queued resources: create one, train on all its workers, look, stop, delete.
# shellcheck disable=SC2034,SC2154  # launch/lib reads some of the variables and sets others
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/tpu_vm.sh create NAME --accelerator-type TYPE --zone ZONE [OPTION]...
       launch/tpu_vm.sh run NAME --accelerator-type TYPE --zone ZONE [OPTION]... -- TRAINING ARGUMENT...
       launch/tpu_vm.sh status NAME --zone ZONE
       launch/tpu_vm.sh logs NAME --zone ZONE [--node N] [--worker N] [--lines N] [--follow]
       launch/tpu_vm.sh stop NAME --zone ZONE [--grace SECONDS]
       launch/tpu_vm.sh delete NAME --zone ZONE [--yes]

create  asks for a queued resource and waits until it is ACTIVE
run     copies this checkout to all workers, makes the environment, and starts there, detached and with the XLA flags of
        the chip, `python -m flamingo_jax.train TRAINING ARGUMENT...`, which need a --gin_file and a --workdir, gs://
        or absolute. With --retry it watches the training, and after a pre-emption or a failure it deletes and creates
        this resource (no other) as needed and runs the same command, which resumes from the workdir. Call it again to
        watch again.
status  prints the state of the resource, and of the training on each worker
logs    prints the end of a worker's log
stop    tells the training on all workers to save and end
delete  deletes the resource with its VMs, after a question; a run on it is not saved, so stop it first

  --project PROJECT        the project (default: that of gcloud's configuration)
  --accelerator-type TYPE  v4-N and v5p-N for N cores, v5e-N (v5litepod-N) and v6e-N for N chips, as v5p-128
  --topology AxB[xC]       the shape of a slice, where that type has several (default: the cloud's choice)
  --slices N               so many slices of that type, joined by the slower network (default: 1)
  --runtime-version NAME   software of the VMs (default: the one for JAX on that chip)
  --spot, --reserved       spot capacity, or that of a reservation (default: on demand)
  --gcloud-argument ARG    for `gcloud compute tpus queued-resources create`, as --network=NAME; may be repeated
  --max-wait SECONDS       how long to wait for ACTIVE (default: for ever)
  --tarball gs://FILE      run: workers fetch the checkout from this tar.gz, which is faster on many hosts
  --retry N                run: watch, and try again up to N times; the workdir must be gs://
  --backoff SECONDS        run: wait so long before the first retry, then twice as long each time, up to 15 minutes (60)
  --delete-when-done       run --retry: delete the resource when the training is done
  --poll SECONDS           how often to look (default: 30)
  --grace SECONDS          how long saving may take before the training is killed (default: 600)
  --node N, --worker N     logs: of which slice and worker (default: 0 and 0)
  --lines N, --follow      logs: how many lines (default: 100), and whether to go on as they come
  --yes                    delete: ask no question
  --dry-run                print the commands instead of running them
  --help                   print this
END
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
what="" name="" zone="" project="" accelerator="" topology="" slices=1 runtime="" tier="" tarball="" retry="" backoff=60
max_wait=0 poll=30 grace=600 node=0 worker=0 lines=100 follow="" yes=false delete_when_done=false dry_run=false taken=1
gcloud_arguments=()
for part in common chips queued_resource tpu_job; do
  # shellcheck source=/dev/null
  . "$root/launch/lib/$part.sh"
done

while (($#)); do
  [[ "$1" != --?* ]] || given+=("${1%%=*}")
  case "$1" in
    --zone | --zone=*) option zone "a zone" "$@"; shift $((taken - 1)) ;;
    --project | --project=*) option project "a project" "$@"; shift $((taken - 1)) ;;
    --accelerator-type | --accelerator-type=*) option accelerator "a type" "$@"; shift $((taken - 1)) ;;
    --topology | --topology=*) option topology "a shape" "$@"; shift $((taken - 1)) ;;
    --slices | --slices=*) option slices "a number" "$@"; shift $((taken - 1)) ;;
    --runtime-version | --runtime-version=*) option runtime "a name" "$@"; shift $((taken - 1)) ;;
    --gcloud-argument | --gcloud-argument=*)
      option argument "an argument" "$@"
      gcloud_arguments+=("$argument")
      shift $((taken - 1))
      ;;
    --max-wait | --max-wait=*) option max_wait "a number of seconds" "$@"; shift $((taken - 1)) ;;
    --tarball | --tarball=*) option tarball "a gs:// path" "$@"; shift $((taken - 1)) ;;
    --retry | --retry=*) option retry "a number" "$@"; shift $((taken - 1)) ;;
    --backoff | --backoff=*) option backoff "a number of seconds" "$@"; shift $((taken - 1)) ;;
    --poll | --poll=*) option poll "a number of seconds" "$@"; shift $((taken - 1)) ;;
    --grace | --grace=*) option grace "a number of seconds" "$@"; shift $((taken - 1)) ;;
    --node | --node=*) option node "a number" "$@"; shift $((taken - 1)) ;;
    --worker | --worker=*) option worker "a number" "$@"; shift $((taken - 1)) ;;
    --lines | --lines=*) option lines "a number" "$@"; shift $((taken - 1)) ;;
    --spot | --reserved)
      [[ -z "$tier" || "$tier" == "$1" ]] || fail "--spot and --reserved exclude each other"
      tier="$1"
      ;;
    --follow) follow="$1" ;;
    --yes) yes=true ;;
    --delete-when-done) delete_when_done=true ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    -*) usage >&2; fail "unknown argument: $1 (what is for the training comes after --)" ;;
    *)
      if [[ -z "$what" ]]; then
        what="$1"
      elif [[ -z "$name" && -n "$1" ]]; then
        name="$1"
      else
        fail "unexpected argument: '$1'"
      fi
      ;;
  esac
  shift
done
training=("$@")

[[ "$what" =~ ^(create|run|status|logs|stop|delete)$ ]] ||
  { usage >&2; fail "say what to do: create, run, status, logs, stop or delete, not '$what'"; }
[[ -n "$name" ]] || fail "$what needs the name of the queued resource"
must_be_name "$name"
creation=(--accelerator-type --topology --slices --runtime-version --spot --reserved --gcloud-argument --max-wait)
creation+=(--poll)
case "$what" in
  create) takes_only create --zone --project "${creation[@]}" ;;
  run)
    if [[ -n "$retry" ]]; then
      takes_only run --zone --project --tarball --retry --backoff --delete-when-done --grace "${creation[@]}"
    else
      takes_only "run without --retry" --zone --project --accelerator-type --tarball
    fi
    ;;
  status) takes_only status --zone --project ;;
  logs) takes_only logs --zone --project --node --worker --lines --follow ;;
  stop) takes_only stop --zone --project --grace ;;
  delete) takes_only delete --zone --project --yes ;;
esac
[[ -n "$zone" ]] || fail "$what needs --zone"
for number in slices poll grace lines; do must_be_number "--${number}" "${!number}"; done
for number in node worker backoff; do must_be_number "--$number" "${!number}" 0; done
must_be_number --max-wait "$max_wait" 0
if [[ "$what" == create || "$what" == run ]]; then
  [[ -n "$accelerator" ]] || fail "$what needs --accelerator-type"
  accelerator="$(cloud_type "$accelerator")"
  chip="$(chip_of "$accelerator")"
  [[ -z "$topology" ]] || must_fit "$accelerator" "$topology"
  runtime="${runtime:-$(runtime_of "$chip")}"
fi
[[ "$what" == run ]] || ((${#training[@]} == 0)) || fail "$what takes no arguments after --"
place

# check_training: errors that would otherwise show only on the workers.
check_training() {
  local workdir
  workdir="$(flag_value workdir "${training[@]}")"
  [[ -n "$(flag_value gin_file "${training[@]}")" ]] || fail "give --gin_file after the --"
  [[ -n "$workdir" ]] || fail "give --workdir after the --"
  [[ -z "$tarball" || "$tarball" == gs://* ]] || fail "--tarball $tarball: must be a gs:// path"
  if [[ -n "$retry" ]]; then
    must_be_number --retry "$retry" 0
    [[ "$workdir" == gs://* ]] ||
      fail "--retry needs a gs:// workdir: $workdir is on the workers' own disks, which go with the resource"
  fi
  # The training runs in the checkout.
  [[ "$workdir" =~ ^(/|[a-z][-+.a-z0-9]*://) ]] ||
    fail "--workdir $workdir: on the workers this lies in the checkout, which the next run deletes; give a gs:// path," \
      "or an absolute one"
}

run_training() {
  if [[ -n "$retry" ]] && ! $dry_run; then
    trap 'echo "no longer watched; the training goes on: launch/tpu_vm.sh stop $name ends it" >&2; exit 130' INT TERM
    run_with_retries || exit
  else
    [[ -z "$retry" ]] || create_resource
    install || exit
    start_job || exit
    $dry_run || echo "started; see launch/tpu_vm.sh status and logs" >&2
  fi
  ! $delete_when_done || delete_resource
}

show_status() {
  run gcloud compute tpus queued-resources describe "$name" "${gcloud_place[@]}"
  echo "the training, a line a worker:"
  on_workers all all "$worker_script status"
}

[[ "$what" != run ]] || check_training
need_program gcloud "install the Google Cloud CLI, version 528 or later"
case "$what" in
  create)
    create_resource
    $dry_run || wait_until_active
    ;;
  run) run_training ;;
  status) show_status ;;
  logs) on_workers "$node" "$worker" "$worker_script logs $lines $follow" ;;
  stop) stop_job ;;
  delete)
    $yes || $dry_run || confirm "Delete the queued resource $name in $zone, with all its VMs?"
    delete_resource
    ;;
esac
