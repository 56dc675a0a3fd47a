# shellcheck shell=bash
# What the launch scripts share. Each sources this after it has set `root`, the checkout, and `dry_run`, true or false.
# shellcheck disable=SC2154,SC2034  # root and dry_run are set, taken is read, by the scripts

fail() {
  echo "error: $*" >&2
  exit 2
}

# option VARIABLE WHAT ARGUMENTS...: puts the value of the option that ARGUMENTS begin with, --name=value or
# --name value, into VARIABLE. `taken` is then the number of words it took.
option() {
  local -n into="$1"
  local what="$2" name="${3%%=*}"
  if [[ "$3" == *=* ]]; then
    into="${3#*=}" taken=1
  else
    (($# > 3)) || fail "$name needs $what"
    into="$4" taken=2
  fi
  [[ -n "$into" ]] || fail "$name is empty"
}

given=()

# takes_only WHAT OPTION...: an error if `given`, the options that were typed, holds another than these or those of all
# commands.
takes_only() {
  local what="$1" typed known
  shift
  for typed in ${given[@]+"${given[@]}"}; do
    for known in "$@" --dry-run; do
      [[ "$typed" != "$known" ]] || continue 2
    done
    fail "$what takes no $typed"
  done
}

# must_be_number NAME VALUE [LEAST]: an error unless it is a whole number, of at least 1 or LEAST.
must_be_number() {
  if ! [[ "$2" =~ ^(0|[1-9][0-9]{0,8})$ ]] || (($2 < ${3:-1})); then
    fail "$1 $2: must be a whole number from ${3:-1} up"
  fi
}

# must_be_name NAME: an error unless it can name a cloud resource; nothing is ever created or deleted under another.
must_be_name() {
  [[ "$1" =~ ^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$ ]] ||
    fail "the name '$1' must be of small letters, digits and hyphens, begin with a letter and not end with a hyphen"
}

# has_flag NAME ARGUMENTS...: whether --NAME is among the arguments of a training.
has_flag() {
  local name="$1" argument
  shift
  for argument in "$@"; do
    [[ "$argument" != "--$name" && "$argument" != "--$name="* ]] || return 0
  done
  return 1
}

# flag_value NAME ARGUMENTS...: prints the last value of --NAME=value or --NAME value, or nothing.
flag_value() {
  local name="$1" found=""
  shift
  while (($#)); do
    case "$1" in
      "--$name="*) found="${1#*=}" ;;
      "--$name") found="${2:-}" ;;
    esac
    shift
  done
  echo "$found"
}

print_command() {
  printf '%q ' "$@"
  echo
}

# quoted COMMAND...: the command as one string for another shell.
quoted() {
  local words
  printf -v words '%q ' "$@"
  echo "${words% }"
}

# run COMMAND...: runs it, or prints it.
run() {
  if $dry_run; then
    print_command "$@"
  else
    "$@"
  fi
}

# need_program NAME ADVICE: an error unless the program is there.
need_program() {
  $dry_run || command -v -- "$1" >/dev/null || fail "there is no $1: $2"
}

# confirm QUESTION: an error unless a person answers "yes".
confirm() {
  local answer=""
  [[ -t 0 ]] || fail "$1 Nobody is there to answer: say --yes"
  read -r -p "$1 Type yes: " answer || true
  [[ "$answer" == yes ]] || fail "nothing was deleted"
}

# interpreter [FALLBACK]: prints the Python to use: PYTHON of the environment, the checkout's, or FALLBACK without that.
interpreter() {
  local python="${PYTHON:-}"
  if [[ -z "$python" ]]; then
    python="$root/.venv/bin/python"
    [[ -x "$python" ]] || python="${1:-$python}"
  fi
  # The scripts go to the checkout; a relative path is the caller's.
  [[ "$python" != */* || "$python" == /* ]] || python="$PWD/$python"
  echo "$python"
}

# need_python PYTHON TARGET: an error that names the make target if the interpreter cannot be run.
need_python() {
  $dry_run || command -v -- "$1" >/dev/null || fail "cannot run $1: call \`make $2\`, or set PYTHON to an interpreter"
}

# local_folder PATH: prints the caller's path as one that holds from the checkout, which the scripts go to.
local_folder() {
  local path="$1"
  [[ "$path" == /* ]] || path="$PWD/$path"
  path="${path%/}"
  echo "${path#"$root/"}"
}

# bind DATASET CLASS CORPUS: prints the argument that points a dataset of the gin file to this corpus.
bind() {
  local path="$3/$1"
  path="${path//\\/\\\\}"
  echo "--gin=$1/$2.path = \"${path//\"/\\\"}\""
}

on_interrupt() {
  echo >&2
  echo "stopped; call the same command again to go on from here" >&2
  exit 130
}

stage_names=()
stage_seconds=()

# stage NAME COMMAND...: runs one command of several and remembers how long it took, or prints it.
stage() {
  local name="$1" start=$SECONDS status=0
  shift
  echo "== $name"
  run "$@" || status=$?
  # A command that Ctrl-C ends may do so with its own status.
  ((status != 130)) || on_interrupt
  if ((status)); then
    echo "error: \"$name\" ended with status $status; mend what it says above, then call the same command again" >&2
    exit "$status"
  fi
  stage_names+=("$name")
  stage_seconds+=("$((SECONDS - start))")
}

# print_times: a table of the stages and their seconds.
print_times() {
  local i total=0
  for i in "${!stage_names[@]}"; do
    printf '%-14s %5d s\n' "${stage_names[i]}" "${stage_seconds[i]}"
    total=$((total + stage_seconds[i]))
  done
  printf '%-14s %5d s\n' "together" "$total"
}

# rest SECONDS: sleeps, but a trap runs at once.
rest() {
  sleep "$1" &
  wait "$!" || true
}

signalled=false

# status_of PROCESS: waits for a child through signals, whose traps set `signalled`, and returns the child's own status.
status_of() {
  local status
  while :; do
    status=0
    wait "$1" || status=$?
    $signalled || return "$status"
    signalled=false
  done
}
