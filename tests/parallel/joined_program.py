"""One of several processes that add numbers until told otherwise; `test_distributed.py` starts and kills them.

Usage: joined_program.py ROUNDS [FAILING_PROCESS MESSAGE]. Prints "round K SUM" after each round.
"""

import sys
import time

import jax
import numpy as np

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel import distributed
from flamingo_jax.parallel.hosts import ProcessSum
from flamingo_jax.parallel.mesh import MeshConfig, make_mesh


def main(rounds: int, failing: int = -1, message: str = "") -> int:
    with distributed.joined(report, timeout_seconds=6):
        add = ProcessSum(make_mesh(MeshConfig()))
        for number in range(rounds):
            print(f"round {number} {int(np.asarray(add(np.array([jax.process_index() + 1])))[0])}", flush=True)
            if number == 2 and failing in (jax.process_index(), jax.process_count()):
                raise ConfigError(message)
            time.sleep(0.05)
    return 0


def report(error: BaseException) -> int:
    print(f"own: {error}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *map(int, sys.argv[2:3]), *sys.argv[3:4]))
