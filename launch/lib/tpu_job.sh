# shellcheck shell=bash
# The training on the workers of a queued resource. Sourced by launch/tpu_vm.sh, whose variables it uses.
# shellcheck disable=SC2154  # the variables are set from the arguments of launch/tpu_vm.sh

# On each worker, below the home folder: checkout/ and, beside it, what launch/tpu_worker.sh --help lists.
remote=flamingo-jax
worker_script="$remote/checkout/launch/tpu_worker.sh"

# install: puts the checkout on all workers, from here or from `tarball`, and makes the environment there.
install() {
  local bundle="$root/runs/launch/$name.tar.gz" unpack
  # A running job is never replaced under its feet.
  on_workers all all "mkdir -p $remote && { [ ! -x $worker_script ] || $worker_script idle; }" || return 1
  if [[ -n "$tarball" ]]; then
    on_workers all all "gcloud storage cp $(quoted "$tarball") $remote/checkout.tar.gz" || return 1
  else
    run mkdir -p -- "$root/runs/launch" || return 1
    run tar --create --gzip "--file=$bundle" "--directory=$root" --exclude=__pycache__ "${parts[@]}" || return 1
    run gcloud compute tpus queued-resources scp "$bundle" "$name:$remote/checkout.tar.gz" "${gcloud_place[@]}" \
      --node=all --worker=all || return 1
  fi
  unpack="rm -rf $remote/checkout && mkdir $remote/checkout"
  unpack+=" && tar --extract --gzip --file=$remote/checkout.tar.gz --directory=$remote/checkout"
  on_workers all all "$unpack && $worker_script setup"
}

# What a training needs of the checkout.
parts=(LICENSE README.md pyproject.toml setup.py constraints data_pipelines flamingo_jax gin launch)

start_job() {
  on_workers all all "$worker_script start $chip $(quoted "${training[@]}")"
}

stop_job() {
  on_workers all all "$worker_script stop $grace"
}

# job_state: prints what all workers together say: running, done, stopped, refused (all say that the user must mend
# something), failed, failing (on some workers only, so far) or unreachable.
job_state() {
  local said word code running=false stopped=false refused=false failed=false
  if ! said="$(on_workers all all "$worker_script status" 2>/dev/null)" || [[ "$said" != *flamingo-job* ]]; then
    echo unreachable
    return
  fi
  while read -r _ word code; do
    case "$word $code" in
      "running ") running=true ;;
      "exit 0") ;;
      "exit 130") stopped=true ;;
      "exit 2") refused=true ;;
      *) failed=true ;;
    esac
  done < <(grep -o 'flamingo-job .*' <<<"$said")
  case "$running $failed $refused $stopped" in
    "true false false "*) echo running ;;
    true*) echo failing ;;
    "false false true false") echo refused ;;
    "false false false true") echo stopped ;;
    "false false false false") echo "done" ;;
    *) echo failed ;;
  esac
}

# watch_job: follows the job until it ends, and prints nothing but changes. Returns 0 when it is done, 1 when it failed
# or its resource is gone, 2 when the user must mend something, 130 when it was stopped.
watch_job() {
  local state said="" strikes=0 resource
  while :; do
    rest "$poll"
    state="$(job_state)"
    if [[ "$state" != "$said" ]]; then
      echo "$(date --utc +%T) the training on $name is $state"
      said="$state"
    fi
    case "$state" in
      running) strikes=0 ;;
      done) return 0 ;;
      stopped) return 130 ;;
      refused) return 2 ;;
      failed) return 1 ;;
      failing | unreachable)
        resource="$(resource_state)"
        if is_gone "$resource" || [[ "$resource" == ABSENT || "$resource" == DELETING ]]; then
          echo "$(date --utc +%T) $name is $resource"
          return 1
        fi
        # The others stop by themselves when a host dies, and a host may be out of reach for a moment.
        strikes=$((strikes + 1))
        ((strikes < 5)) || return 1
        ;;
    esac
  done
}

# settled_state: prints the state, once it is no longer on the way to another in which the name is free or can be freed.
settled_state() {
  local state tries=0
  state="$(resource_state)"
  while [[ "$state" =~ ^(SUSPENDING|DELETING)$ ]] && ((tries < 60)); do
    rest "$poll"
    tries=$((tries + 1))
    state="$(resource_state)"
  done
  echo "$state"
}

# ensure_resource: makes the resource ACTIVE, by creating it or by replacing one that is gone. 1 if that cannot be.
ensure_resource() {
  local state
  state="$(settled_state)"
  if is_gone "$state"; then
    echo "$(date --utc +%T) $name is $state: it is deleted and created again"
    delete_resource || return 1
    state="$(settled_state)"
  fi
  [[ "$state" != ABSENT ]] || create_resource || return 1
  wait_until_active
}

# attempt: once through everything. Returns as watch_job does.
attempt() {
  ensure_resource || return 1
  case "$(job_state)" in
    # This is how a call that was cut off, or is made a second time, finds its job again.
    running) echo "the training on $name is running already; it is only watched" ;;
    *)
      # What an attempt before has left over on some workers.
      stop_job >/dev/null 2>&1 || true
      install && start_job || return 1
      ;;
  esac
  watch_job
}

# run_with_retries: attempts until the training is done, at most `retry` more times after the first.
run_with_retries() {
  local tries=0 status delay="$backoff"
  while :; do
    status=0
    attempt || status=$?
    case "$status" in
      0) echo "the training on $name is done"; return 0 ;;
      2) echo "error: the training refused its arguments: launch/tpu_vm.sh logs $name tells why" >&2; return 2 ;;
      130) echo "the training on $name was stopped, and has saved" >&2; return 130 ;;
    esac
    if ((tries == retry)); then
      echo "error: given up on $name after $retry retries; launch/tpu_vm.sh logs $name says more" >&2
      return 1
    fi
    tries=$((tries + 1))
    echo "$(date --utc +%T) retry $tries of $retry in $delay s"
    rest "$delay"
    delay=$((delay * 2 < 900 ? delay * 2 : 900))
  done
}
