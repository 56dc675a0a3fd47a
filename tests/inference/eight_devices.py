"""Answers and scores of the tiny model on meshes of 8 simulated devices, beside those of one.

Run by test_sharding.py in a process of its own, with the gin file, ways of decoding and sets of rules as arguments.
Prints one JSON line: for one device, and for each set, what it answers and how it scores.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from flamingo_jax import config as config_lib
from flamingo_jax.data.document import Image
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.session import Session, trained_pixels
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig, run_tokenizer
from tests import tiny
from tests.data.samples import noise_bytes
from tests.parallel.eight_devices import BINDINGS, MESHES, SHARDING

PICTURES = [Image(noise_bytes(seed, (32, 32), "PNG")) for seed in range(3)]
PROMPTS = [
    ("<image>Output:", PICTURES[:1]),
    ("<image>Output: a red star.<EOC><image>Output:", PICTURES[:2]),
    ("Hello", []),
    ("<image>x<EOC><image>y<EOC><image>Output:", PICTURES),
    *((f"<image>Output: {number}", PICTURES[2:]) for number in range(5)),
]
DECODINGS = {
    "greedy": Decoding(max_new_tokens=4),
    "beam": Decoding("beam", 4),
    "sample": Decoding("sample", 4, temperature=0.5),
}
CANDIDATES = ["a cat", "dog", "a blue ring", "x"]


def main(gin_file: str, decodings: str, *names: str) -> None:
    chosen = {name: DECODINGS[name] for name in decodings.split(",")}
    report = {"alone": told(session(gin_file, [], {"data": 1}, jax.devices()[:1]), chosen)}
    for name in names:
        here = session(gin_file, [str(SHARDING / f"{name}.gin")], MESHES[name], jax.devices())
        report[name] = told(here, chosen) | {"shards": shards(here)}
    print(json.dumps(report))


def session(gin_file: str, rules: list[str], sizes: dict[str, int], devices: Sequence[jax.Device]) -> Session:
    """The tiny model with drawn weights, each where the mesh's rules have it."""
    found = config_lib.resolve(RunConfig, [gin_file, *rules], BINDINGS)
    datasets = tuple((name, dataclasses.replace(each, batch_size=8)) for name, each in found.mixture.datasets)
    mixture = dataclasses.replace(found.mixture, datasets=datasets)
    run = dataclasses.replace(found, mixture=mixture, mesh=dataclasses.replace(found.mesh, **sizes))
    design = Design.make(run, devices)

    def place(path: tuple, leaf: np.ndarray) -> jax.Array:
        return jax.device_put(leaf, design.shardings[jax.tree_util.keystr(path, simple=True, separator="/")])

    params = jax.tree_util.tree_map_with_path(place, tiny.init(design.model))
    return Session(design, params, run_tokenizer(run), 0, trained_pixels(run.mixture))


def told(here: Session, decodings: Mapping[str, Decoding]) -> dict:
    """Answers by decoding, and scores."""
    scores = here.score_candidates(PROMPTS, CANDIDATES)
    answers = {name: here.answer(PROMPTS, decoding) for name, decoding in decodings.items()}
    answers["stream"] = streamed(here, [Sampling(4), Sampling(4, temperature=0.5, top_k=7, seed=3)] * 4)
    return answers | {"scores": [each.log_likelihoods.tolist() for each in scores]}


def streamed(here: Session, samplings: Sequence[Sampling]) -> list[str]:
    """The answers to the first prompts."""
    texts = [""] * len(samplings)
    for pieces in here.stream(PROMPTS[: len(samplings)], samplings):
        for piece in pieces:
            texts[piece.place] += piece.text
    return texts


def shards(here: Session) -> dict[str, list[int]]:
    """What of the prompts' cache a device holds: shapes of arrays and of their shards."""
    _, batch = next(iter(here._batches(PROMPTS[:8], 1, False)))
    _, prefix = here._programs.prefill(here.params, batch)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): [leaf.shape, leaf.addressable_shards[0].data.shape]
        for path, leaf in jax.tree_util.tree_leaves_with_path(prefix.cache)
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
