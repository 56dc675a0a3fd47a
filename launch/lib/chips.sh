# shellcheck shell=bash
# Chips and what XLA is told on each. Sourced after common.sh.
# shellcheck disable=SC2154  # root is the scripts'

# chips: prints the names of the chips that have a file of flags.
chips() {
  local file names=()
  for file in "$root"/launch/xla_flags/*.env; do
    file="${file##*/}"
    names+=("${file%.env}")
  done
  echo "${names[*]}"
}

# chip_of ACCELERATOR: prints the chip of an accelerator type of Cloud TPU, such as v5p-128.
chip_of() {
  case "$1" in
    v4-*) echo tpu_v4 ;;
    v5litepod-* | v5e-*) echo tpu_v5e ;;
    v5p-*) echo tpu_v5p ;;
    v6e-*) echo tpu_v6e ;;
    *) fail "the accelerator type '$1' is none of v4-N, v5litepod-N (or v5e-N), v5p-N, v6e-N" ;;
  esac
}

# cloud_type ACCELERATOR: prints it as the cloud spells it, v5e-N as v5litepod-N. For v4 and v5p N counts cores, two a
# chip; for v5e and v6e chips (https://cloud.google.com/tpu/docs/v5p and its siblings).
cloud_type() {
  chip_of "$1" >/dev/null
  [[ "$1" =~ -[1-9][0-9]*$ ]] || fail "the accelerator type '$1' must end with a number of cores or chips, as v5p-128"
  echo "${1/#v5e-/v5litepod-}"
}

# must_fit ACCELERATOR TOPOLOGY: an error unless the shape, AxB or AxBxC, has as many chips as the accelerator type.
must_fit() {
  local chips="${1##*-}" shape
  [[ "$2" =~ ^[1-9][0-9]*(x[1-9][0-9]*){1,2}$ ]] || fail "the shape '$2' must be as 16x16, or 8x12x16"
  [[ ! "$1" =~ ^(v4|v5p)- ]] || chips=$((chips / 2))
  shape=$((${2//x/*}))
  ((chips == shape)) || fail "$1 is $chips chips, and $2 has $shape"
}

# chip_settings CHIP: prints one NAME=VALUE a line: the variables of launch/xla_flags/CHIP.env. Flags are joined by
# spaces, and what the caller's environment holds comes last, so that it wins; of other variables it wins whole.
chip_settings() {
  local file="$root/launch/xla_flags/$1.env" line name names=()
  local -A values=()
  [[ "$1" != */* && -r "$file" ]] || fail "there are no XLA flags for the chip '$1'; there are for: $(chips)"
  while IFS= read -r line || [[ -n "$line" ]]; do
    [[ -n "$line" && "$line" != "#"* ]] || continue
    name="${line%%=*}"
    [[ -v values[$name] ]] || names+=("$name")
    values[$name]="${values[$name]:+${values[$name]} }${line#*=}"
  done <"$file"
  for name in ${names[@]+"${names[@]}"}; do
    if [[ -n "${!name:-}" ]]; then
      case "$name" in
        XLA_FLAGS | LIBTPU_INIT_ARGS) values[$name]+=" ${!name}" ;;
        *) values[$name]="${!name}" ;;
      esac
    fi
    printf '%s=%s\n' "$name" "${values[$name]}"
  done
}
