# shellcheck shell=bash
# Queued resources of Cloud TPU: create, wait, look, delete. Sourced by launch/tpu_vm.sh, whose variables it uses.
# States: https://cloud.google.com/tpu/docs/queued-resources
# shellcheck disable=SC2154  # the variables are set from the arguments of launch/tpu_vm.sh

# place: sets `gcloud_place`, the arguments that say where the resource is.
place() {
  gcloud_place=("--zone=$zone")
  [[ -z "$project" ]] || gcloud_place+=("--project=$project")
}

# runtime_of CHIP: prints the software of the chip's VMs (https://cloud.google.com/tpu/docs/runtimes).
runtime_of() {
  case "$1" in
    tpu_v4) echo tpu-ubuntu2204-base ;;
    tpu_v5e) echo v2-alpha-tpuv5-lite ;;
    tpu_v5p) echo v2-alpha-tpuv5 ;;
    tpu_v6e) echo v2-alpha-tpuv6e ;;
  esac
}

create_resource() {
  local command=(gcloud)
  if [[ -z "$topology" ]]; then
    command+=(compute tpus queued-resources create "$name" "--accelerator-type=$accelerator")
  else
    # A type and a shape exclude each other, and only the alpha track knows the shapes of chips after v4.
    [[ "$chip" == tpu_v4 ]] || command+=(alpha)
    command+=(compute tpus queued-resources create "$name" "--type=${accelerator%-*}" "--topology=$topology")
  fi
  command+=("--runtime-version=$runtime" "${gcloud_place[@]}")
  if ((slices == 1)); then
    command+=("--node-id=$name")
  else
    command+=("--node-count=$slices" "--node-prefix=$name")
  fi
  [[ -z "$tier" ]] || command+=("$tier")
  run "${command[@]}" ${gcloud_arguments[@]+"${gcloud_arguments[@]}"} --quiet
}

# delete_resource: this resource and its VMs.
delete_resource() {
  run gcloud compute tpus queued-resources delete "$name" "${gcloud_place[@]}" --force --quiet
}

# resource_state: prints the state, ABSENT if there is no such resource, or UNKNOWN if it cannot be told.
resource_state() {
  local said
  if said="$(gcloud compute tpus queued-resources describe "$name" "${gcloud_place[@]}" '--format=value(state.state)' \
    2>&1)"; then
    # gcloud may put remarks before it.
    said="${said##*$'\n'}"
    echo "${said:-UNKNOWN}"
  elif [[ "$said" == *NOT_FOUND* ]]; then
    echo ABSENT
  else
    echo "$said" >&2
    echo UNKNOWN
  fi
}

# is_gone STATE: whether a resource in this state will never run again, and must be deleted before its name is free.
is_gone() {
  [[ "$1" =~ ^(FAILED|SUSPENDING|SUSPENDED)$ ]]
}

# wait_until_active: returns 0 when the resource is ACTIVE, 1 when it never will be or `max_wait` seconds have passed.
wait_until_active() {
  local state said="" start=$SECONDS unknown=0
  while :; do
    state="$(resource_state)"
    if [[ "$state" != "$said" ]]; then
      echo "$(date --utc +%T) $name is $state"
      said="$state"
    fi
    case "$state" in
      ACTIVE) return 0 ;;
      UNKNOWN)
        unknown=$((unknown + 1))
        if ((unknown == 5)); then
          echo "error: gcloud cannot tell the state of $name: see above" >&2
          return 1
        fi
        ;;
      ABSENT) echo "error: there is no queued resource $name" >&2; return 1 ;;
      *)
        unknown=0
        if is_gone "$state"; then
          echo "error: $name is $state; launch/tpu_vm.sh status $name says more" >&2
          return 1
        fi
        ;;
    esac
    if ((max_wait && SECONDS - start >= max_wait)); then
      echo "error: $name is not ACTIVE after $max_wait s; it stays in the queue" >&2
      return 1
    fi
    rest "$poll"
  done
}

# on_workers NODE WORKER COMMAND...: runs a command on workers, each "all" or a number.
on_workers() {
  local node="$1" worker="$2"
  shift 2
  run gcloud compute tpus queued-resources ssh "$name" "${gcloud_place[@]}" "--node=$node" "--worker=$worker" \
    "--command=$*"
}
