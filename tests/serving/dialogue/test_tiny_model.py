"""The whole way with a model: talk through a pipe, save, and ask again."""

import json
import subprocess
import sys

import pytest

from tests import tiny_run
from tests.serving.dialogue.media import mp4, png

pytestmark = pytest.mark.slow


def _run(*command: str, given: str = "") -> subprocess.CompletedProcess:
    program = [sys.executable, "-m", *command]
    done = subprocess.run(program, input=given.encode(), capture_output=True, timeout=500, check=False)
    # Decoded here: as text, carriage returns that the model writes would be ends of lines.
    return subprocess.CompletedProcess(program, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_conversation_is_held_saved_and_asked_again(tiny_config, tmp_path):
    workdir, file, output = tmp_path / "run", tmp_path / "talk.json", tmp_path / "replayed.json"
    tiny_run.save_first(workdir, tiny_config)
    (tmp_path / "red.png").write_bytes(png())
    (tmp_path / "clip.mp4").write_bytes(mp4())
    (tmp_path / "metadata.jsonl").write_text(
        json.dumps({"file_name": "red.png", "question": "What is it?", "answer": "A red square."}) + "\n"
    )
    said = (
        f"/image {tmp_path}/red.png\nWhat is it?\n/settings shots=1\n/video {tmp_path}/clip.mp4\n\n"
        f"/settings beams=2\nAnd now?\n/settings beams=1 temperature=1\nAgain?\n/save {file}\n"
    )
    flags = ["--terminal", "--answer_tokens=6", "--window=400", f"--support={tmp_path}"]
    talked = _run("flamingo_jax.chat", f"--workdir={workdir}", *flags, given=said)
    assert talked.returncode == 0, talked.stderr
    saved = json.loads(file.read_text())
    answers = [turn["answer"] for turn in saved["turns"]]
    assert talked.stdout == "".join(f"{answer}\n" for answer in answers) and any(answers)
    assert [len(turn["asked"]["examples"]) for turn in saved["turns"]] == [0, 1, 1, 1]

    again = _run("flamingo_jax.evaluate", f"--workdir={workdir}", f"--conversation={file}", f"--output={output}")
    assert again.returncode == 0, again.stderr
    assert "4 of 4 answers are equal" in again.stdout
    replayed = json.loads(output.read_text())
    assert [(row["answer"], row["equal"]) for row in replayed["turns"]] == [(answer, True) for answer in answers]

    refused = _run("flamingo_jax.evaluate", f"--workdir={workdir}", f"--conversation={file}", "--shots=4")
    assert refused.returncode == 2 and "--shots does nothing with --conversation" in refused.stderr
