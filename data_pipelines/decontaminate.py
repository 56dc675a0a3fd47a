"""Checks a finished dataset against the images of evaluations: `python -m data_pipelines.decontaminate --help`.

Nothing is changed: as the paper did, it only says what is there.
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from etils import epath

from data_pipelines import command_line, output, progress
from data_pipelines.copies import decontamination_report
from data_pipelines.copies.decontamination import Decontamination, EvaluationImages, processes
from data_pipelines.copies.decontamination_report import Pair
from data_pipelines.output import BuildError
from data_pipelines.pipeline import references
from flamingo_jax.data.document import Document, Image
from flamingo_jax.data.duplicates import MAY_BE_EXACT, Fingerprint, Likeness, fingerprint, is_exact
from flamingo_jax.data.sources import open_source

JSON, HTML = "decontamination.json", "decontamination.html"
_BATCH = 512  # images fingerprinted at once, and in memory


@dataclasses.dataclass(frozen=True, slots=True)
class _Picture:
    record: int
    document: str
    number: int
    source: str
    encoded: bytes


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags, checks, and writes the report."""
    flags = _flags()
    values = flags.parse_args(arguments)
    config = command_line.configure(values, Decontamination)
    if values.evaluation:
        config = dataclasses.replace(config, evaluation=tuple(values.evaluation))
    if not config.evaluation:
        raise BuildError("name the evaluation's images by --evaluation FOLDER, or bind Decontamination.evaluation")
    final = _check_output(values.output, [values.input, *config.evaluation], values.overwrite)
    documents = open_source(values.input, values.split)
    with processes(values.processes) as workers:
        images = EvaluationImages.load(config.evaluation, workers)
        checked = {
            "dataset": str(documents),
            "documents": len(documents),
            "damaged_documents": 0,
            "images": 0,
            "undecodable_images": 0,
            "evaluation": list(config.evaluation),
            "evaluation_images": len(images),
            "unreadable_evaluation_images": len(images.unreadable),
            "unreadable_examples": list(images.unreadable[:8]),
            "likeness": dataclasses.asdict(config.likeness),
        }
        found = list(_check(documents, images, config.likeness, workers, checked))
    _write(final, checked, found, documents, images)


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="python -m data_pipelines.decontaminate",
        description="Looks for the images of evaluations in a finished dataset, and writes a report.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument("--input", required=True, help="the dataset's folder, as a builder has written it")
    flags.add_argument("--split", default="all", help="the split to check")
    flags.add_argument(
        "--evaluation", nargs="+", default=[], metavar="FOLDER", help="folders or tars with the evaluation's images"
    )
    flags.add_argument("--output", required=True, help="the report's folder, made anew")
    flags.add_argument("--processes", type=int, default=os.cpu_count(), help="that decode images")
    flags.add_argument("--overwrite", action="store_true", help="replace a report that stands there")
    command_line.add_gin_flags(flags, "decontaminate")
    return flags


def _check_output(folder: str, inputs: Iterable[str], overwrite: bool) -> epath.Path:
    final = epath.Path(folder)
    for source in inputs:
        output.check_apart(Path(source), folder)
    if final.exists() and not (final / JSON).exists():
        raise BuildError(f"--output {final} exists and is not a report of this program; choose another")
    if final.exists() and not overwrite:
        raise BuildError(f"--output {final} has a report already; choose another, or pass --overwrite to replace it")
    return final


def _check(
    documents: Sequence[Document],
    images: EvaluationImages,
    likeness: Likeness,
    workers: concurrent.futures.Executor,
    checked: dict,
) -> Iterator[tuple[Pair, int, int]]:
    """(pair, its record, its evaluation image) of each candidate; counts images in `checked`."""
    numbers = {image.reference: number for number, image in enumerate(images.images)}
    pictures = _pictures(documents, checked)
    for batch in iter(lambda: list(itertools.islice(pictures, _BATCH)), []):
        prints = list(workers.map(_fingerprint, [picture.encoded for picture in batch], chunksize=16))
        known = [(picture, one) for picture, one in zip(batch, prints, strict=True) if one is not None]
        checked["images"] += len(batch)
        checked["undecodable_images"] += len(batch) - len(known)
        for (picture, _), hits in zip(known, images.match([one for _, one in known], likeness), strict=True):
            for hit in hits:
                exact = hit.distance <= MAY_BE_EXACT and is_exact(picture.encoded, references.read(hit.image.reference))
                pair = Pair(picture.document, picture.number, picture.source, hit.image.name, hit.distance, exact)
                yield pair, picture.record, numbers[hit.image.reference]


def _pictures(documents: Sequence[Document], checked: dict) -> Iterator[_Picture]:
    for record in progress.bar(range(len(documents)), "checking", "documents"):
        try:
            document = documents[record]
        except ValueError:  # a damaged record; what the file system refuses ends the check
            checked["damaged_documents"] += 1
            continue
        pictures = (item for item in document.items if isinstance(item, Image))
        for number, image in enumerate(pictures):
            yield _Picture(record, document.key, number, image.source, image.encoded)


def _fingerprint(encoded: bytes) -> Fingerprint | None:
    try:
        return fingerprint(encoded)
    except ValueError:
        return None


def _write(
    final: epath.Path,
    checked: dict,
    found: Sequence[tuple[Pair, int, int]],
    documents: Sequence[Document],
    images: EvaluationImages,
) -> None:
    places = {pair: (record, number) for pair, record, number in found}
    pairs = list(places)

    def pictures(pair: Pair) -> tuple[bytes, bytes]:
        record, number = places[pair]
        ours = [item for item in documents[record].items if isinstance(item, Image)][pair.picture]
        return ours.encoded, references.read(images.images[number].reference)

    with output.staging(final.parent, final.name) as temporary:
        folder = temporary / final.name
        folder.mkdir()
        (folder / JSON).write_text(decontamination_report.to_json(checked, pairs))
        (folder / HTML).write_text(decontamination_report.render(checked, pairs, pictures))
    count = decontamination_report.counts(pairs)
    print(
        f"{checked['images']:,} images against {checked['evaluation_images']:,}: {count['candidate_images']:,} are "
        f"candidates, {count['exact_images']:,} of them exact copies; see {final / HTML}"
    )


if __name__ == "__main__":
    sys.exit(command_line.run(main))
