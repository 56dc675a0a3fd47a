#!/usr/bin/env bash
# Trainings on TPU slices of a GKE cluster, through xpk.
# shellcheck disable=SC2034,SC2154  # launch/lib reads some of the variables and sets others
set -euo pipefail

usage() {
  cat <<'END'
usage: launch/gke_xpk.sh create NAME --cluster CLUSTER --tpu-type TYPE --image IMAGE [OPTION]... -- TRAINING ARGUMENT...
       launch/gke_xpk.sh list --cluster CLUSTER
       launch/gke_xpk.sh logs NAME [--slice N] [--worker N] [--lines N] [--follow]
       launch/gke_xpk.sh delete NAME --cluster CLUSTER [--yes]

create  starts `python -m flamingo_jax.train TRAINING ARGUMENT...` with the XLA flags of the chip on every VM of the
        slices, in IMAGE (launch/Dockerfile, stage tpu). The arguments need a --gin_file and a --workdir on gs://: when
        a host dies the others stop, the workload is restarted, and the training resumes from the workdir
list    lists the workloads of the cluster
logs    prints the end of a worker's log (kubectl must point to the cluster)
delete  deletes this workload (never all of them), after a question; its processes are told first, and save

  --zone ZONE        zone or region of the cluster (default: that of gcloud's configuration)
  --project PROJECT  the project (default: that of gcloud's configuration)
  --tpu-type TYPE    v4-N and v5p-N for N cores, v5e-N (v5litepod-N) and v6e-N for N chips, as v5p-128
  --num-slices N     so many slices of that type, joined by the slower network (default: 1)
  --image IMAGE      the Docker image, as it was pushed
  --max-restarts N   how often a failed workload is started again (default: 20)
  --grace SECONDS    how long saving may take when the workload is deleted or its VMs are taken away (default: 600; spot
                     VMs have 30 s whatever this says)
  --priority P       very-low, low, medium, high or very-high (default: medium)
  --xpk-argument A   for `xpk workload create`, as --env=NAME=VALUE; may be repeated
  --slice N, --worker N, --lines N, --follow
                     logs: of which slice and worker (default: 0 and 0), how much (default: 100), and whether to go on
  --yes              delete: ask no question
  --dry-run          print the commands instead of running them
  --help             print this
END
}

root="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
what="" name="" cluster="" zone="" project="" type="" slices=1 image="" restarts=20 grace=600 priority=medium
slice=0 worker=0 lines=100 follow="" yes=false dry_run=false taken=1
xpk_arguments=()
for part in common chips; do
  # shellcheck source=/dev/null
  . "$root/launch/lib/$part.sh"
done

while (($#)); do
  [[ "$1" != --?* ]] || given+=("${1%%=*}")
  case "$1" in
    --cluster | --cluster=*) option cluster "a cluster" "$@"; shift $((taken - 1)) ;;
    --zone | --zone=*) option zone "a zone" "$@"; shift $((taken - 1)) ;;
    --project | --project=*) option project "a project" "$@"; shift $((taken - 1)) ;;
    --tpu-type | --tpu-type=*) option type "a type" "$@"; shift $((taken - 1)) ;;
    --num-slices | --num-slices=*) option slices "a number" "$@"; shift $((taken - 1)) ;;
    --image | --image=*) option image "an image" "$@"; shift $((taken - 1)) ;;
    --max-restarts | --max-restarts=*) option restarts "a number" "$@"; shift $((taken - 1)) ;;
    --grace | --grace=*) option grace "a number of seconds" "$@"; shift $((taken - 1)) ;;
    --priority | --priority=*) option priority "a priority" "$@"; shift $((taken - 1)) ;;
    --xpk-argument | --xpk-argument=*)
      option argument "an argument" "$@"
      xpk_arguments+=("$argument")
      shift $((taken - 1))
      ;;
    --slice | --slice=*) option slice "a number" "$@"; shift $((taken - 1)) ;;
    --worker | --worker=*) option worker "a number" "$@"; shift $((taken - 1)) ;;
    --lines | --lines=*) option lines "a number" "$@"; shift $((taken - 1)) ;;
    --follow) follow="$1" ;;
    --yes) yes=true ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    -*) usage >&2; fail "unknown argument: $1 (what is for the training comes after --)" ;;
    *)
      if [[ -z "$what" ]]; then
        what="$1"
      elif [[ -z "$name" && -n "$1" && "$what" != list ]]; then
        name="$1"
      else
        fail "unexpected argument: '$1'"
      fi
      ;;
  esac
  shift
done
training=("$@")

[[ "$what" =~ ^(create|list|logs|delete)$ ]] ||
  { usage >&2; fail "say what to do: create, list, logs or delete, not '$what'"; }
# Without a name xpk would delete every workload of the cluster.
if [[ "$what" != list ]]; then
  [[ -n "$name" ]] || fail "$what needs the name of the workload"
  must_be_name "$name"
  ((${#name} <= 28)) || fail "the name $name is longer than 28 characters: Kubernetes adds to it"
fi
case "$what" in
  create)
    takes_only create --cluster --zone --project --tpu-type --num-slices --image --max-restarts --grace --priority \
      --xpk-argument
    ;;
  list) takes_only list --cluster --zone --project ;;
  logs) takes_only logs --slice --worker --lines --follow ;;
  delete) takes_only delete --cluster --zone --project --yes ;;
esac
[[ "$what" == logs || -n "$cluster" ]] || fail "$what needs --cluster"
[[ "$what" == create ]] || ((${#training[@]} == 0)) || fail "$what takes no arguments after --"
must_be_number --num-slices "$slices"
must_be_number --lines "$lines"
must_be_number --grace "$grace"
for number in slice worker; do must_be_number "--$number" "${!number}" 0; done
must_be_number --max-restarts "$restarts" 0
[[ "$priority" =~ ^(very-low|low|medium|high|very-high)$ ]] ||
  fail "--priority $priority: very-low, low, medium, high or very-high"

place=()
[[ -z "$zone" ]] || place+=("--zone=$zone")
[[ -z "$project" ]] || place+=("--project=$project")

create() {
  local chip command
  [[ -n "$type" ]] || fail "create needs --tpu-type"
  [[ -n "$image" ]] || fail "create needs --image, built from launch/Dockerfile and pushed"
  type="$(cloud_type "$type")"
  chip="$(chip_of "$type")"
  [[ -n "$(flag_value gin_file "${training[@]}")" ]] || fail "give --gin_file after the --"
  [[ "$(flag_value workdir "${training[@]}")" == gs://* ]] ||
    fail "give a --workdir on gs:// after the --: the disks of the VMs go with them"
  # xpk runs this in a shell in the background and signals that shell: exec puts the training in its place.
  command="exec launch/with_xla_flags.sh $chip $(quoted python -m flamingo_jax.train "${training[@]}")"
  run xpk workload create "--workload=$name" "--cluster=$cluster" "--tpu-type=$type" "--num-slices=$slices" \
    "--docker-image=$image" "--command=$command" "--max-restarts=$restarts" --restart-on-user-code-failure \
    "--termination-grace-period-seconds=$grace" "--priority=$priority" ${place[@]+"${place[@]}"} \
    ${xpk_arguments[@]+"${xpk_arguments[@]}"}
}

logs() {
  local labels="xpk.google.com/workload=$name,jobset.sigs.k8s.io/job-index=$slice"
  labels+=",batch.kubernetes.io/job-completion-index=$worker"
  run kubectl logs "--selector=$labels" "--tail=$lines" ${follow:+"$follow"}
}

delete() {
  $yes || $dry_run || confirm "Delete the workload $name of the cluster $cluster?"
  run xpk workload delete "--workload=$name" "--cluster=$cluster" ${place[@]+"${place[@]}"} --force
}

if [[ "$what" == logs ]]; then
  need_program kubectl "install it, and call gcloud container clusters get-credentials CLUSTER"
else
  need_program xpk "install it with: pip install xpk"
fi
case "$what" in
  list) run xpk workload list "--cluster=$cluster" ${place[@]+"${place[@]}"} ;;
  *) "$what" ;;
esac
