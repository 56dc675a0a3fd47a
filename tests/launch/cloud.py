"""A stand-in for gcloud whose workers are folders of this machine, to run launch/tpu_vm.sh against."""

import subprocess

from tests.launch.machine import Machine
from tests.patience import until

# One line a state in $STATES: each look takes the next, the last stays. Workers are the home folders in $WORKERS, which
# deletion empties, with their processes. The files in $BROKEN name commands that fail.
GCLOUD = """
[[ "$1" != alpha ]] || shift
verb="$4"
[[ "$*" == "compute tpus queued-resources "* ]] || exit 64
if [[ -e "$BROKEN/$verb" ]]; then echo "ERROR: the network is down" >&2; exit 1; fi
next() {
  state="$(head -n 1 "$STATES")"
  if (($(wc -l <"$STATES") > 1)); then sed -i 1d "$STATES"; fi
}
end_workers() {
  local file
  for file in "$WORKERS"/*/flamingo-jax/job.pid; do
    [[ ! -e "$file" ]] || kill -KILL -- "-$(<"$file")" 2>/dev/null || true
  done
  rm -rf -- "$WORKERS"/*/flamingo-jax
}
# A look finds no training that is only about to begin: on a busy machine that could take longer than the looks.
wait_for_begun() {
  local file pid
  for file in "$WORKERS"/*/flamingo-jax/job.pid; do
    [[ -e "$file" ]] || continue
    pid="$(<"$file")"
    until [[ -e "$BEHAVIOURS.begun.$pid" || ! -d "/proc/$pid" ]]; do /bin/sleep 0.02; done
  done
}
case "$verb" in
  describe)
    next
    if [[ "$state" == ABSENT ]]; then echo "ERROR: NOT_FOUND: Resource was not found" >&2; exit 1; fi
    echo "$state"
    ;;
  create) printf '%s\\n' ${AFTER_CREATE-ACTIVE} >"$STATES" ;;
  delete) end_workers; echo ABSENT >"$STATES" ;;
  scp) for home in "$WORKERS"/*; do cp -- "$5" "$home/${6#*:}" || exit 1; done ;;
  ssh)
    for argument in "$@"; do [[ "$argument" != --command=* ]] || command="${argument#--command=}"; done
    case "$command" in
      *" status") wait_for_begun; [[ ! -e "$WORKERS/../preempt" ]] || {
        rm "$WORKERS/../preempt"; end_workers; printf 'SUSPENDING\\nSUSPENDED\\n' >"$STATES"; } ;;
    esac
    [[ "$(head -n 1 "$STATES")" == ACTIVE ]] || { echo "ERROR: no such host" >&2; exit 255; }
    for home in "$WORKERS"/*; do (cd -- "$home" && HOME="$home" bash -c "$command") || failed=1; done
    exit "${failed:-0}"
    ;;
esac
"""
# Makes environments with itself in them, and trains as the next line of $BEHAVIOURS says.
PYTHON = """
case "$1 $2" in
  "-m venv") mkdir -p -- "$3/bin" && cp -- "$0" "$3/bin/python" ;;
  "-c import sys"*) echo 312 ;;
  "-m flamingo_jax.train")
    echo "flags: $LIBTPU_INIT_ARGS"
    echo "training in $PWD"
    exec {lock}>>"$BEHAVIOURS.lock"
    flock "$lock"  # workers train at the same time: each takes a line of its own
    behaviour="$(head -n 1 "$BEHAVIOURS")"
    if (($(wc -l <"$BEHAVIOURS") > 1)); then sed -i 1d "$BEHAVIOURS"; fi
    exec {lock}>&-
    begun() { touch "$BEHAVIOURS.begun.$PPID"; }  # named after the job's holder
    [[ "$behaviour" == *begun* ]] || begun
    eval "$behaviour"
    ;;
esac
"""
RUNS = "trap 'echo saved; exit 130' TERM; begun; while :; do sleep 0.05; done"
PLACE = ("--zone", "a zone", "--project", "it's mine")
PLACED = ["--zone=a zone", "--project=it's mine"]
TYPE = ("--accelerator-type", "v5p-16")
SOFTWARE = ["--accelerator-type=v5p-16", "--runtime-version=v2-alpha-tpuv5"]
TRAINING = ("--gin_file=a 'b\".gin", "--workdir=gs://bucket/a run", "--gin=x = '$HOME `date` \"y\"'")
QUICK = ("--poll", "1", "--backoff", "0")


class Cloud:
    """Two workers, a queued resource, and launch/tpu_vm.sh."""

    def __init__(self, machine: Machine):
        self.machine = machine
        self.workers = machine.folder / "workers"
        self.states = machine.folder / "states"
        self.behaviours = machine.folder / "behaviours"
        self.broken = machine.folder / "broken"
        self.broken.mkdir()
        for name in ("first", "second"):
            (self.workers / name).mkdir(parents=True)
        for name in ("flamingo_jax", "data_pipelines", "gin", "constraints"):
            (machine.root / name).mkdir()
        for name in ("LICENSE", "README.md", "pyproject.toml", "setup.py", "constraints/py312.txt"):
            (machine.root / name).write_text(name)
        machine.stand_in("gcloud", GCLOUD)
        machine.stand_in("python3.12", PYTHON)
        machine.stand_in("sleep", "exec /bin/sleep 0.05")  # waiting is not what is tested
        self.set(["ACTIVE"], ["exit 0"])

    def set(self, states: list[str] | None = None, behaviours: list[str] | None = None) -> None:
        for path, lines in ((self.states, states), (self.behaviours, behaviours)):
            if lines is not None:
                path.write_text("".join(f"{line}\n" for line in lines))

    @property
    def variables(self) -> dict[str, str]:
        names = {"STATES": self.states, "WORKERS": self.workers, "BEHAVIOURS": self.behaviours, "BROKEN": self.broken}
        return {name: str(path) for name, path in names.items()}

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return self.machine.call("tpu_vm.sh", *arguments, **(self.variables | environment))

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [self.machine.root / "launch" / "tpu_vm.sh", *arguments],
            env=self.machine.environment(**self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def verbs(self) -> list[str]:
        """The verbs of gcloud's calls, looks left out."""
        return [call[4] for call in self.machine.calls("gcloud") if call[4] != "describe" and "status" not in call[-1]]

    def gcloud(self, verb: str) -> list[list[str]]:
        return [call[5:] for call in self.machine.calls("gcloud") if call[4] == verb]

    def trainings(self) -> list[list[str]]:
        return [call[3:] for call in self.machine.calls("python") if call[2] == "flamingo_jax.train"]

    def wait(self, count: int) -> None:
        """Until so many trainings have begun."""
        begun = f"{self.behaviours.name}.begun.*"
        until(lambda: len(list(self.machine.folder.glob(begun))) >= count)

    def wait_for_end(self) -> None:
        """Until no worker trains any more, and what the trainings said is in their logs."""
        ends = [home / "flamingo-jax" / "job.status" for home in self.workers.iterdir()]
        until(lambda: all(end.exists() for end in ends))
