"""Writes the captioned pictures."""

import pathlib
from collections.abc import Callable

from data_pipelines.embedded_web.images import encode_scene, write_file
from data_pipelines.embedded_web.seeding import Stream, generator
from data_pipelines.embedded_web.truth import Truth
from flamingo_jax.data.scenes.scene import sample_scene, sample_size
from flamingo_jax.data.scenes.words import NUM_STILL_SENTENCES, Attributes, describe_still

_IN_A_FOLDER = 250


def write_pairs(folder: pathlib.Path, seed: int, num_pairs: int, truth: Truth, advance: Callable[[], object]) -> None:
    """Writes `num_pairs` pictures with a `.txt` beside each below `folder`; calls `advance` after each pair.

    The caption is the first line of the `.txt`; one in four has a second line that is no part of it. Each folder has
    one more picture, without a caption.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(num_pairs):
        rng = generator(seed, Stream.PAIR, number)
        attributes = Attributes.sample(rng)
        caption = describe_still(attributes, int(rng.integers(NUM_STILL_SENTENCES)))
        scene = sample_scene(rng, attributes, size=sample_size(rng))
        suffix = "png" if rng.random() < 0.5 else "jpg"
        stem = f"set-{number // _IN_A_FOLDER:02d}/{number:05d}"
        content = encode_scene(scene, suffix)
        write_file(folder / f"{stem}.{suffix}", content)
        note = "Drawn for the picture rooms; free to use.\n" if rng.random() < 0.25 else ""
        write_file(folder / f"{stem}.txt", f"{caption}\n{note}".encode())
        truth.add("pairs", f"{stem}.{suffix}", caption, attributes)
        if number % _IN_A_FOLDER == 7:
            write_file(folder / f"{stem}-draft.{suffix}", content)
            truth.noise_images[f"pairs/{stem}-draft.{suffix}"] = "no caption"
        advance()
