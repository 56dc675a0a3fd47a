import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from flamingo_jax.data import stream as stream_module
from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import RecordError, SkipRateError
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from flamingo_jax.data.stream import BatchStream
from tests.data.samples import WordTokenizer, clip, clip_bytes, noise_bytes, page, pair
from tests.data.stored import write
from tests.patience import until, within

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mixture():
    """Three datasets, with undecodable records in each."""
    clips = [clip("good", clip_bytes(3)), clip("short", clip_bytes(3)[:700])]
    pages = [page(f"p{place}", "3i4i5" * (place % 4 + 1), noise_bytes(place)) for place in range(7)]
    pages.append(page("broken", "2i", noise_bytes(0)[:500]))
    pairs = [pair(f"k{place}", encoded=noise_bytes(place)) for place in range(20)]
    pairs.append(Document("no caption", pairs[0].items[:1]))
    shape = {"path": "", "image_size": 160}  # so large that images go through shared memory
    datasets = (
        ("m3w", InterleavedConfig(**shape, batch_size=4, length=24)),
        ("pairs", PairsConfig(**shape, batch_size=8, length=16)),
        ("clips", VideoConfig(**shape, batch_size=2, length=16, num_frames=3)),
    )
    config = MixtureConfig(datasets=datasets, seed=3, max_skip_rate=1.0)
    return Mixture(config, WordTokenizer(), {"m3w": pages, "pairs": pairs, "clips": clips})


def with_config(mixture, **changes):
    return Mixture(dataclasses.replace(mixture.config, **changes), mixture.tokenizer, mixture._sources)


def assert_same(one, other):
    assert list(one) == list(other)
    for name in one:
        assert list(one[name]) == list(other[name])
        for key, value in one[name].items():
            assert type(value) is np.ndarray
            assert value.dtype == other[name][key].dtype and value.tobytes() == other[name][key].tobytes()


@pytest.mark.parametrize(
    ("workers", "threads", "prefetch"), [(0, 0, 1), (0, 1, 1), (0, 3, 5), (1, 1, 1), (2, 2, 2), (3, 0, 3)]
)
def test_batches_are_the_same_however_they_are_made(mixture, workers, threads, prefetch):
    several = with_config(mixture, workers=workers, threads=threads, prefetch=prefetch)
    with BatchStream(several, 7) as stream:
        for step in range(7, 12):
            assert stream.step == step
            assert_same(next(stream), mixture.batch(step))


@pytest.mark.slow
def test_hosts_and_restarts(mixture):
    """One host without workers, then two with; the second pair begins where the first stopped."""
    several = with_config(mixture, workers=1)
    for start in (0, 3):
        with BatchStream(several, start, (0, 2)) as first, BatchStream(several, start, (1, 2)) as second:
            for step in range(start, start + 3):
                parts = next(first), next(second)
                joined = {
                    name: {key: np.concatenate([part[name][key] for part in parts]) for key in parts[0][name]}
                    for name in parts[0]
                }
                assert_same(joined, mixture.batch(step))


@pytest.mark.slow
def test_workers_read_stored_datasets(mixture, tmp_path):
    pairs = {document.key: document for document in mixture._sources["pairs"]}
    write(epath.Path(tmp_path), "pairs", {"train": sorted(pairs)}, pairs.__getitem__)
    dataset = dataclasses.replace(mixture.datasets["pairs"], path=str(tmp_path / "pairs"))
    stored = Mixture(MixtureConfig(datasets=(("pairs", dataset),), workers=2), mixture.tokenizer)
    with BatchStream(stored) as stream:
        for step in range(4):
            assert_same(next(stream), stored.batch(step))


def test_batches_may_be_kept(mixture):
    with BatchStream(with_config(mixture, workers=1)) as stream:
        kept = [next(stream) for _ in range(6)]
    for step, batch in enumerate(kept):
        assert_same(batch, mixture.batch(step))


def test_too_little_shared_memory_is_no_problem(mixture, monkeypatch):
    several = with_config(mixture, workers=2)
    assert stream_module._shared_memory_suffices(several, None)
    monkeypatch.setattr(stream_module.shutil, "disk_usage", lambda path: type("", (), {"free": 1 << 20}))
    assert not stream_module._shared_memory_suffices(several, None)
    stream = BatchStream(several)
    assert_same(next(stream), mixture.batch(0))
    with within(30):
        stream.close()
    assert not multiprocessing.active_children()


def test_workers_share_the_datasets_evenly(mixture):
    """With as many workers as datasets, each must meet all of them."""
    for workers in (2, 3, 6):
        elements = stream_module._SubBatches(with_config(mixture, workers=workers), 0, None)
        mine = [elements[index][0] for index in range(0, 9 * workers, workers)]
        assert set(mine) == {"m3w", "pairs", "clips"}


def test_prefetch_is_counted_in_sub_batches_not_in_datasets(mixture):
    """What lies ready does not grow with the number of datasets: memory stays what it is with one."""
    made = []
    counting = with_config(mixture, prefetch=3, threads=1)
    sub_batch = counting.sub_batch
    counting.sub_batch = lambda *arguments: made.append(arguments[0]) or sub_batch(*arguments)
    with BatchStream(counting) as stream:
        next(stream)
        until(lambda: len(made) >= 3 + 3)
        time.sleep(0.5)
        assert len(made) == 3 + 3


def test_closing_ends_all_processes_and_threads(mixture):
    stream = BatchStream(with_config(mixture, workers=2))
    next(stream)
    assert len(multiprocessing.active_children()) == 2
    stream.close()
    stream.close()
    assert not multiprocessing.active_children()
    with pytest.raises(StopIteration):
        next(stream)
    with BatchStream(with_config(mixture, threads=3)) as stream:
        next(stream)
    until(lambda: not any(thread.name.startswith("grain-prefetch") for thread in threading.enumerate()))


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_arrive_and_end_the_stream(mixture, workers):
    spoilt = [Document(f"d{place}", ()) for place in range(5)]
    config = dataclasses.replace(mixture.config, datasets=mixture.config.datasets[1:2], workers=workers)
    stream = BatchStream(Mixture(config, mixture.tokenizer, {"pairs": spoilt}))
    with pytest.raises(RecordError, match="dataset 'pairs': 16 records tried for slot 0"):
        next(stream)
    assert not multiprocessing.active_children()


def test_too_many_unusable_records_stop_the_stream(mixture):
    with BatchStream(with_config(mixture, max_skip_rate=0.01)) as stream:
        stream.skips._AFTER = 30
        with pytest.raises(SkipRateError, match=r"max_skip_rate = 0\.01"):
            for _ in range(30):
                next(stream)


def start_program(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.data.stream_program", *arguments],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def pids(program):
    line = program.stdout.readline().split()
    assert line[:1] == ["workers"], (line, program.stderr.read() if program.poll() is not None else "")
    return [int(pid) for pid in line[1:]]


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_program_that_never_closes_its_stream_ends():
    program = start_program("2", "leave")
    workers = pids(program)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 0 and "Traceback" not in errors, errors
    assert len(workers) == 2
    until(lambda: not any(map(running, workers)))


def test_interrupt_of_the_whole_group_is_handled_by_the_caller_alone():
    """As a terminal's Ctrl-C: every process of the group gets the signal."""
    program = start_program("2")
    workers = pids(program)
    os.killpg(program.pid, signal.SIGINT)
    output, errors = program.communicate(timeout=60)
    assert program.returncode == 0 and "interrupted" in output and "Traceback" not in errors, errors
    until(lambda: not any(map(running, workers)))


def test_workers_of_a_killed_program_end():
    program = start_program("2")
    workers = pids(program)
    program.kill()
    program.communicate(timeout=60)
    assert len(workers) == 2
    until(lambda: not any(map(running, workers)))


def test_nothing_imports_jax_or_tensorflow_before_the_stream():
    code = (
        "import sys; import flamingo_jax.data.mixture, flamingo_jax.data.sources;"
        "print([name for name in ('jax', 'tensorflow', 'grain', 'tensorflow_datasets') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"
