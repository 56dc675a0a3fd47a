"""One run a workdir: leases in real processes that are killed, suspended and raced."""

import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from flamingo_jax.training.lease import FILE, LeaseError
from flamingo_jax.training.lease_claim import Claim
from flamingo_jax.training.process_identity import identity, surely_dead
from tests.patience import until, within
from tests.training.leases import LONG, SHORT, claim_of, is_lost, lease, line, outcomes, program


def test_takes_renews_and_releases(tmp_path, caplog):
    workdir = tmp_path / "new" / "run"
    with lease(workdir):
        pass
    assert not workdir.exists()  # nothing was written into it
    with lease(workdir) as held:
        (workdir / "metrics.jsonl").touch()
        held.check()
        first = claim_of(workdir)
        assert (first.pid, first.process) == (os.getpid(), identity())
        until(lambda: claim_of(workdir).beat >= 2)
        assert claim_of(workdir) == dataclasses.replace(first, beat=claim_of(workdir).beat)
        held.check()
    assert [path.name for path in workdir.iterdir()] == ["metrics.jsonl"]
    assert not caplog.records
    with pytest.raises(LeaseError, match="released"):
        held.check()
    with held:  # may be used again
        held.check()
        assert claim_of(workdir).token != first.token


def test_check_is_cheap(tmp_path):
    with lease(tmp_path, LONG) as held, within(0.5):  # 0.5 ms each, on however busy a machine
        for _ in range(1000):
            held.check()


def test_an_untaken_lease_does_not_check(tmp_path):
    with pytest.raises(LeaseError):
        lease(tmp_path).check()


def test_second_run_is_refused(tmp_path):
    with program("hold", tmp_path, 2) as holder:
        assert line(holder) == "taken"
        since = claim_of(tmp_path).since
        with pytest.raises(LeaseError) as refused, lease(tmp_path, 2):
            pass
        message = str(refused.value)
        assert f"process {holder.pid}" in message and claim_of(tmp_path).host in message
        assert time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(since)) in message
        assert "another workdir" in message
        print("stop", file=holder.stdin, flush=True)
        assert line(holder) == "released"  # undisturbed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reaped", [False, True])
def test_takes_over_at_once_from_a_killed_process(tmp_path, reaped):
    with program("hold", tmp_path) as holder:
        assert line(holder) == "taken"
        holder.kill()
        if reaped:
            holder.wait()
        else:
            until(lambda: surely_dead(holder.pid, claim_of(tmp_path).process))
        with lease(tmp_path, LONG) as held:
            held.check()
            assert claim_of(tmp_path).pid == os.getpid()


def test_takes_over_when_the_holder_dies_while_it_waits(tmp_path):
    with program("hold", tmp_path) as holder:
        assert line(holder) == "taken"
        threading.Timer(0.3, holder.kill).start()
        with within(LONG / 10), lease(tmp_path, LONG):
            pass


def test_suspended_holder_loses_the_lease_and_notices(tmp_path, caplog):
    with program("hold", tmp_path, SHORT) as holder:
        assert line(holder) == "taken"
        holder.send_signal(signal.SIGSTOP)
        with lease(tmp_path) as held:
            waited = [record.getMessage() for record in caplog.records if "waiting up to" in record.getMessage()]
            assert len(waited) == 1 and f"process {holder.pid}" in waited[0]
            holder.send_signal(signal.SIGCONT)
            message = line(holder)
            assert message.startswith("lost: ") and f"taken over by process {os.getpid()}" in message
            assert holder.wait(20) == 0
            held.check()
            assert claim_of(tmp_path).pid == os.getpid()  # nor has it removed what is not its own


def test_suspended_holder_keeps_what_nobody_took(tmp_path):
    with program("hold", tmp_path, SHORT) as holder:
        assert line(holder) == "taken"
        holder.send_signal(signal.SIGSTOP)
        beat = claim_of(tmp_path).beat
        time.sleep(2 * SHORT)
        holder.send_signal(signal.SIGCONT)
        until(lambda: claim_of(tmp_path).beat > beat + 1)
        print("stop", file=holder.stdin, flush=True)
        assert line(holder) == "released"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"{")], ids=["gone", "damaged"])
def test_suspended_holder_does_not_restore_what_another_may_have_had(tmp_path, spoil):
    with program("hold", tmp_path, SHORT) as holder:
        assert line(holder) == "taken"
        holder.send_signal(signal.SIGSTOP)
        spoil(tmp_path / FILE)
        time.sleep(2 * SHORT)
        holder.send_signal(signal.SIGCONT)
        assert line(holder).startswith("lost: ")


def test_the_interpreter_can_end_without_release(tmp_path):
    with program("end", tmp_path) as holder:
        assert line(holder) == "taken"
        assert holder.wait(20) == 0
        with lease(tmp_path, LONG):
            pass


def test_a_forked_child_has_no_part_in_it(tmp_path):
    with program("fork", tmp_path, 1) as process:
        assert "belongs to process" in line(process)
        assert [line(process) for _ in range(3)] == ["over", "parent holds it", "over"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [b"", b'{"token": "ab', b"\xff\x00"])
def test_a_damaged_lease_is_watched_and_taken_over(tmp_path, text):
    (tmp_path / FILE).write_bytes(text)
    begin = time.monotonic()
    with lease(tmp_path, 0.3, settle=0.01) as held:
        assert time.monotonic() - begin > 0.3
        held.check()


def test_a_damaged_lease_that_changes_is_anothers(tmp_path):
    (tmp_path / FILE).write_bytes(b"")
    threading.Timer(0.1, (tmp_path / FILE).write_bytes, [b"{"]).start()
    with pytest.raises(LeaseError, match="damaged"), lease(tmp_path):
        pass
    assert (tmp_path / FILE).read_bytes() == b"{"


def test_an_unknown_holder_is_given_its_own_time(tmp_path):
    """One of another machine, whose renewals come more seldom than this run's timeout."""
    with lease(tmp_path):
        text = (tmp_path / FILE).read_bytes()
    fields = json.loads(text) | {"process": {}, "timeout": 4 * SHORT}
    (tmp_path / FILE).write_text(json.dumps(fields))
    threading.Timer(2 * SHORT, (tmp_path / FILE).write_text, [json.dumps(fields | {"beat": 1})]).start()
    with pytest.raises(LeaseError, match="renewed"), lease(tmp_path):
        pass


def test_a_released_lease_is_taken_by_who_waits(tmp_path):
    first = lease(tmp_path, LONG)
    first.__enter__()
    threading.Timer(0.2, first.__exit__).start()
    with lease(tmp_path, LONG) as second:
        second.check()


def test_a_removed_or_damaged_file_is_restored(tmp_path):
    with lease(tmp_path) as held:
        for spoil in (Path.unlink, lambda path: path.write_bytes(b"{")):
            spoil(tmp_path / FILE)
            until(lambda: (tmp_path / FILE).exists() and Claim.parse((tmp_path / FILE).read_bytes()))
            held.check()
            assert claim_of(tmp_path).pid == os.getpid()


def test_another_run_after_removal_by_hand_wins(tmp_path):
    with program("hold", tmp_path, SHORT) as holder:
        assert line(holder) == "taken"
        (tmp_path / FILE).unlink()
        with lease(tmp_path, LONG) as held:
            assert line(holder).startswith("lost: ")
            held.check()


def test_lost_when_the_workdir_is_gone(tmp_path):
    with lease(tmp_path / "run", 0.4) as held:
        until(lambda: claim_of(tmp_path / "run").beat)
        (tmp_path / "run").rename(tmp_path / "moved")
        held.check()
        until(lambda: is_lost(held))
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_told(tmp_path):
    with program("no_space", tmp_path) as process:
        message = line(process)
    assert message.startswith("OSError: ") and str(tmp_path / FILE) in message and "File too large" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=str(tmp_path / FILE)), lease(tmp_path):
        pass


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OSError, match=str(tmp_path / "run" / FILE)), lease(tmp_path / "run"):
        pass


def test_exactly_one_of_many_wins(tmp_path):
    """They find the lease of a dead process, or none, in turn."""
    with program("end", tmp_path) as process:
        process.wait()
    for folder, said in outcomes("race", tmp_path, 3, (tmp_path / FILE).read_bytes()):
        assert sorted(said) == ["refused"] * 3 + ["won"]
        assert [path.name for path in folder.iterdir()] == [FILE]
