"""Loads a language model cut over all processes' devices, and prints what that took, as JSON.

Usage: load_program.py FOLDER. Keys: `held` (bytes of this process's shards), `grown` (by how many bytes the peak of
memory lies over what was there before), `fingerprint`.
"""

import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp

from flamingo_jax.interop import pretrained
from flamingo_jax.interop.pretrained import PretrainedConfig, Sharing, given, load_pretrained
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.parallel import distributed
from flamingo_jax.parallel.hosts import sum_tables
from flamingo_jax.parallel.mesh import MeshConfig, make_mesh
from flamingo_jax.parallel.rules import REPLICATED, param_shardings
from flamingo_jax.training.state import abstract_params, flat_shapes
from tests import tiny
from tests.interop.test_host_memory import LANGUAGE

RULES = (*REPLICATED, *((axis, "tensor") for axis in ("heads", "kv_heads", "mlp", "vocab")))


def peak() -> int:
    """Bytes of memory at the highest. Not ru_maxrss: that begins with what the parent had."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def main(folder: str) -> None:
    pretrained._THREADS = 1  # each holds a tensor or two, and machines differ in how many there are
    with distributed.joined(lambda error: print(repr(error), file=sys.stderr) or 1):
        model, config = tiny.config(language=LANGUAGE), PretrainedConfig(language=folder)
        mesh = make_mesh(MeshConfig(data=1, tensor=-1, rules=RULES))
        params = abstract_params(Flamingo(model))
        shapes, shardings = flat_shapes(params), flat_shapes(param_shardings(params, mesh, RULES))
        leaves = {
            path: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16, sharding=shardings[path])
            for path, leaf in shapes.items()
        }
        sharing = Sharing(jax.process_index(), jax.process_count(), sum_tables)
        sum_tables(jnp.zeros(8, jnp.uint8))  # JAX itself, and its connections
        before = peak()
        loaded, fingerprint = load_pretrained(config, model, leaves, sharing)
        grown = peak() - before
        assert loaded.keys() == given(config, model, {path: leaf.shape for path, leaf in shapes.items()})
        held = sum(shard.data.nbytes for leaf in loaded.values() for shard in leaf.addressable_shards)
        print(json.dumps({"held": held, "grown": grown, "fingerprint": fingerprint}))


if __name__ == "__main__":
    main(sys.argv[1])
