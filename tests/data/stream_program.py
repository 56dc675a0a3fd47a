"""A program as users write them, for test_stream.py: `python -m tests.data.stream_program WORKERS [leave]`.

Prints the workers' process ids, then reads on slowly until it is interrupted; with `leave` it ends at once and never
closes its stream.
"""

import multiprocessing
import sys
import time

from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.stream import BatchStream
from tests.data.samples import WordTokenizer, pair


def mixture(workers):
    dataset = PairsConfig(path="", batch_size=4, length=12, image_size=16)
    config = MixtureConfig(datasets=(("pairs", dataset),), workers=workers, threads=1)
    return Mixture(config, WordTokenizer(), {"pairs": [pair(f"k{place}") for place in range(9)]})


def main():
    workers, leave = int(sys.argv[1]), "leave" in sys.argv[2:]
    stream = BatchStream(mixture(workers))
    next(stream)
    try:
        print("workers", *[child.pid for child in multiprocessing.active_children()], flush=True)
        if leave:
            return
        for _ in stream:
            time.sleep(0.05)
    except KeyboardInterrupt:
        stream.close()
        print("interrupted", flush=True)


if __name__ == "__main__":
    main()
