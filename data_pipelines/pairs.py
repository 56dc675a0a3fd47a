"""Builds an image-text dataset from a folder of images with captions: `python -m data_pipelines.pairs --help`.

The caption of `a/b.png` is the first line of `a/b.txt`.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from data_pipelines import building, command_line, inputs, output, progress
from data_pipelines.drops import Drops
from data_pipelines.m3w import encoding, image_rules
from flamingo_jax.data.document import Document, Image, Text

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


def caption(encoded: bytes) -> str | None:
    """The first line of a caption file with its white space normalised ("" if blank), or None if it is not text."""
    text = encoding.decode(encoded)
    return None if text is None else " ".join(text.strip("\ufeff").partition("\n")[0].split())


def collect(root: Path, files: Sequence[str], rules: image_rules.ImageRules) -> building.Collected:
    """Applies the rules to the images among `files`, which lie below `root`.

    Raises:
      BuildError: there is no image among them.
    """
    images = [name for name in files if name.lower().endswith(_SUFFIXES)]
    if not images:
        raise output.BuildError(f"--input {root} has no image: no file ends in {', '.join(_SUFFIXES)}")
    drops, captions = Drops(), {}
    for name in progress.bar(images, "checking pairs", "pairs"):
        rule, text = _judge(root, name, rules)
        if rule:
            drops.add(rule, "pair", name)
        else:
            captions[name] = text

    def load(key: str) -> Document:
        return Document(key, (Image((root / key).read_bytes(), key), Text(captions[key])))

    return building.Collected(sorted(captions), load, {"pairs": len(captions)}, drops)


def _judge(root: Path, name: str, rules: image_rules.ImageRules) -> tuple[str, str]:
    """(the rule that drops a pair or "", its caption)."""
    image, text_file = root / name, root / PurePosixPath(name).with_suffix(".txt")
    if not text_file.is_file():
        return "caption_missing", ""
    if not (inputs.is_inside(root, image) and inputs.is_inside(root, text_file)):
        return "outside_input", ""
    try:
        text = caption(text_file.read_bytes())
        if not text:
            return "caption_empty" if text == "" else "caption_undecodable", ""
        if rule := image_rules.bad_bytes(image.stat().st_size, rules):
            return rule, ""
        return image_rules.reason(image.read_bytes(), rules) or "", text
    except OSError:
        return "unreadable", ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags and builds."""
    flags = command_line.parser("pairs", "Images with captions to documents of one image and its caption.", "pairs")
    command_line.add_flags(flags, image_rules.ImageRules)
    values = flags.parse_args(arguments)
    rules = command_line.from_flags(values, image_rules.ImageRules)
    root = Path(values.input)
    files = inputs.list_files(root)
    output.check_apart(root, values.output)
    identity = {
        "builder": "pairs",
        "settings": dataclasses.asdict(rules),
        "input": {"files": len(files), "hash": inputs.fingerprint(root, files)},
    }
    building.build(
        values.output,
        values.name,
        identity,
        lambda: collect(root, files, rules),
        validation_fraction=values.validation_fraction,
        overwrite=values.overwrite,
    )


if __name__ == "__main__":
    sys.exit(command_line.run(main))
