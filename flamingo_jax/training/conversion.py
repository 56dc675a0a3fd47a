"""A conversion from start to end: what the command `python -m flamingo_jax.convert` does."""

import contextlib
import os
import sys
from collections.abc import Mapping

import numpy as np
from etils import epath
from tqdm import tqdm

from flamingo_jax.data.tokenizer_files import TokenizerFiles, tokenizer_files
from flamingo_jax.interop.exports import Export, export
from flamingo_jax.interop.files.output_folder import output_folder
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.locate import locate
from flamingo_jax.interop.opening import open_model
from flamingo_jax.interop.summary import summary
from flamingo_jax.interop.vision.vit_tensors import Recipe
from flamingo_jax.training.checkpoint_file import is_run, open_run, trained


def convert(
    source: str,
    output: str,
    *,
    to: str = "native",
    part: str = "",
    language: str = "",
    vision: str = "",
    recipe: str | Recipe = "",
    dtype: str = "",
    overwrite: bool = False,
) -> str:
    """Converts a model, tensor by tensor, with a progress bar on stderr.

    Args:
      source: a file or folder of any kind that `open_model` knows, or the workdir of a training run.
      output: the folder to write. It appears when it is complete, or not at all.
      to: one of `exports.FORMATS`.
      part: "language" or "vision", for that part of the model alone.
      language, vision, recipe: as for `open_model`.
      dtype: the type in which floating-point tensors are stored; empty for that of the source.
      overwrite: whether a folder of weights at `output` may be replaced.

    Returns:
      What was mapped, and what was left behind and why.

    Raises:
      FileNotFoundError, WeightsError, CheckpointError, ConfigError: what is missing, damaged or does not fit.
    """
    target = epath.Path(output).expanduser()
    for path in filter(None, (source, language, vision)):
        _keep_apart(target, locate(path))
    with contextlib.ExitStack() as stack:
        if is_run(locate(source)):
            if language or vision or recipe:
                raise WeightsError(
                    f"{source} is a training run, which names its parts itself: leave out the flags for them"
                )
            opened = open_run(locate(source), stack)
        else:
            opened = open_model(source, stack, language=language, vision=vision, part=part, recipe=recipe)
        for found in opened.sources:  # also those that the source itself names, as a run its pretrained weights
            _keep_apart(target, found.file.path)
        if opened.tokenizer is not None:
            _keep_apart(target, opened.tokenizer)
        parameters = opened.parameters()
        with_text = opened.tokenizer is not None and part != "vision" and to != "openflamingo"
        tokenizer = tokenizer_files(opened.tokenizer) if with_text else TokenizerFiles({}, {})
        stored = np.dtype(dtype) if dtype else None
        told = {"forms": opened.forms, "token_ids": tokenizer.ids, "trained": trained(opened)}
        made = export(opened.config, parameters, to, part=part, dtype=stored, **told)
        _write(made, target, tokenizer.contents, overwrite)
    lines = [f"{opened.kind} -> {to}: {target}", summary(parameters, made.target), *made.remarks]
    return "\n".join(lines + ([f"no tokenizer: {tokenizer.note}"] if tokenizer.note else []))


def _write(made: Export, output: epath.Path, files: Mapping[str, bytes], overwrite: bool) -> None:
    size = made.target.nbytes
    with (
        output_folder(output, size, overwrite=overwrite) as folder,
        tqdm(total=size, unit="B", unit_scale=True, desc="writing", leave=False, file=sys.stderr) as bar,
    ):
        for name, content in files.items():
            if name not in made.texts:
                (folder / name).write_bytes(content)
        made.write(folder, bar.update)


def _keep_apart(output: epath.Path, source: epath.Path) -> None:
    """Refuses an output that would replace a file or folder that is read."""
    target = _real(output)
    kept = (source.resolve(), _real(source.parent) / source.name, _real(source))  # links, and what they point to
    if any(target in (path, *path.parents) for path in kept):
        raise WeightsError(f"the output {output} is, or contains, the source {source}: give another --output")


def _real(path: epath.Path) -> epath.Path:
    """The path without links, which `epath` leaves in."""
    return path if "://" in os.fspath(path) else epath.Path(os.path.realpath(path))
