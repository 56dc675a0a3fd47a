"""Keys that a user presses in a real terminal, and errors of the command line."""

import os
import pty
import select
import subprocess
import sys
import time

import pytest

from tests.patience import PATIENCE


def _until(terminal: int, text: str, press: bytes = b"") -> str:
    """What the terminal shows, up to this text.

    Args:
      press: keys that are pressed every five seconds till then: Python shows its prompt before it heeds a Ctrl-C.
    """
    shown, again, end = "", 0.0, time.monotonic() + PATIENCE
    while text not in shown:
        assert time.monotonic() < end, shown
        if press and time.monotonic() >= again:
            again = time.monotonic() + 5
            os.write(terminal, press)
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096).decode()
    return shown


def test_ctrl_c_stops_the_answer_and_ctrl_d_leaves():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tests.serving.terminal.program"]
    program = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        _until(ours, "> ")
        os.write(ours, b"What?\n")
        _until(ours, "word word")
        os.write(ours, b"\x03")
        assert "stopped" in _until(ours, "> ")
        assert "Ctrl-C stops an answer" in _until(ours, "leaves\r\n> ", press=b"\x03")
        os.write(ours, b"\x04")
        assert program.wait(PATIENCE) == 0
    finally:
        program.kill()
        os.close(ours)


@pytest.mark.parametrize(
    "given, reason",
    [
        (["--terminal", "--port=3"], "--port does nothing with --terminal"),
        pytest.param(["--beams=2", "--temperature=1"], "beam search draws nothing", marks=pytest.mark.slow),
        pytest.param(["--shots=2"], "--shots needs --support", marks=pytest.mark.slow),
        pytest.param(["--max_file_mb=0"], "--max_file_mb must be a positive number", marks=pytest.mark.slow),
        (["--host=192.0.2.1"], "--host=192.0.2.1 --port=7860 cannot be listened at"),
        (["--terminal"], "no config.json"),
    ],
)
def test_errors_of_the_command_line(tmp_path, given, reason):
    command = [sys.executable, "-m", "flamingo_jax.chat", f"--workdir={tmp_path}", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == ""
    assert reason in done.stderr and "Traceback" not in done.stderr
