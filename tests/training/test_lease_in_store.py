"""Leases in an object store, which can fail and hang, and has neither locks nor links."""

import os
import threading
import time

import pytest

from flamingo_jax.training.lease import FILE, LeaseError
from tests.patience import until
from tests.training.leases import Store, is_lost, lease


def test_in_an_object_store(caplog):
    store = Store()
    with lease(store) as held:
        held.check()
        before = store.text
        until(lambda: store.text != before)
        assert len(store.text) == len(before)  # what a stale listing says of the size stays true
        with pytest.raises(LeaseError, match=f"store://bucket/run .*process {os.getpid()}"), lease(store):
            pass
        held.check()
        text = store.text
    assert store.objects == {}
    store.objects[f"{store.name}/{FILE}"] = text  # as if its holder, which is alive, had forgotten it
    with lease(store, 0.3) as held:
        held.check()
    assert any("taking over" in record.getMessage() for record in caplog.records)


def test_exactly_one_of_many_wins_in_an_object_store():
    for slow in (0.0, 0.02, 0.05):
        store, barrier, winners = Store(), threading.Barrier(5), []
        store.slow = slow

        def take(store=store, barrier=barrier, winners=winners):
            barrier.wait()
            try:
                with lease(store, 4, settle=1) as held:
                    winners.append(held)
                    barrier.wait()
            except LeaseError:
                barrier.wait()

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        barrier.wait()
        barrier.wait()
        for thread in threads:
            thread.join()
        assert len(winners) == 1 and store.objects == {}


def test_a_short_failure_is_survived_and_a_long_one_is_not(caplog):
    store = Store()
    with lease(store, 3) as held:
        store.broken = True
        time.sleep(1.2)
        held.check()
        store.broken = False
        before = store.text
        until(lambda: store.text != before)
        held.check()
        store.broken = True
        until(lambda: is_lost(held))
        with pytest.raises(LeaseError, match=r"could not be renewed for .* the store is away"):
            held.check()
        store.broken = False
        before = store.text
        time.sleep(0.3)
        assert is_lost(held) and store.text == before  # for good
    warnings = [record for record in caplog.records if "trying again" in record.getMessage()]
    assert 1 <= len(warnings) <= 2  # one for each failure, not for each attempt


def test_check_does_not_wait_for_ever_for_a_store_that_hangs(monkeypatch):
    monkeypatch.setattr("flamingo_jax.training.lease._LINGER", 0.1)
    store = Store()
    with lease(store, 0.4) as held:
        store.answers.clear()
        time.sleep(0.6)
        with pytest.raises(LeaseError, match=r"could not be renewed for .* cannot be reached"):
            held.check()
    store.answers.set()


def test_errors_of_a_store_on_taking_are_os_errors():
    store = Store()
    store.broken = True
    with pytest.raises(OSError, match=f"{store.name}/{FILE}: the store is away"), lease(store):
        pass


def test_an_interrupt_while_the_claim_settles_withdraws_it(monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    store = Store()
    store._do = lambda: None
    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt), lease(store):
        pass
    assert store.objects == {}
