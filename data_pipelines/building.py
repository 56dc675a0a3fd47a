"""The course of every build: look whether it is done, collect, write, publish, report."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence

from etils import epath

from data_pipelines import drops as drops_lib
from data_pipelines import output as output_lib
from flamingo_jax.data.document import Document


@dataclasses.dataclass(frozen=True)
class Collected:
    """What came through the rules.

    `keys` name the documents and `load` makes the document of a key, so that media are in memory one document at a
    time; `kept` counts what they hold, by unit in the plural.
    """

    keys: Sequence[str]
    load: Callable[[str], Document]
    kept: Mapping[str, int]
    drops: drops_lib.Drops


def build(
    folder: str,
    name: str,
    identity: Mapping,
    collect: Callable[[], Collected],
    *,
    validation_fraction: float = 0.1,
    overwrite: bool = False,
) -> dict:
    """Builds the dataset `folder/name`, with its report `drops.json` in the same folder, and prints the report.

    A dataset of the same identity is left as it is, unless `overwrite` asks for another.

    Args:
      folder: the output folder; may be a `gs://` path.
      name: the dataset's name.
      identity: JSON values that tell which input and settings the dataset is made of.
      collect: reads the input and applies the rules.
      validation_fraction: the share of the validation split.
      overwrite: replace what stands there.

    Returns:
      The report, new or old.

    Raises:
      BuildError: another dataset has this name, or nothing came through the rules.
      OSError: the dataset cannot be written.
    """
    if not 0 <= validation_fraction < 1:
        raise output_lib.BuildError(f"--validation_fraction {validation_fraction}: must be at least 0 and less than 1")
    start = time.monotonic()
    # Through JSON and back, so that it can be compared with what a report holds.
    identity = json.loads(json.dumps({**identity, "validation_fraction": validation_fraction}))
    final = epath.Path(folder) / name
    report = output_lib.existing_report(epath.Path(folder), name)
    if report is not None and not overwrite:
        output_lib.check_same(final, report, identity)
        print(f"{final} exists, built from the same input with the same settings: nothing to do")
        return report
    # Late, because TFDS takes a second to import: not for --help, nor when there is nothing to do.
    from data_pipelines import datasets

    collected = collect()
    report = {
        "dataset": name,
        "kept": {**collected.kept, "documents_per_split": {}},
        "drops": collected.drops.to_json(),
        "identity": identity,
    }
    if not collected.keys:
        report["seconds"] = time.monotonic() - start
        print(drops_lib.table(report))
        raise output_lib.BuildError("nothing came through the rules; the table above says what dropped it")
    splits = datasets.split_keys(collected.keys, validation_fraction)
    with output_lib.staging(epath.Path(folder), name) as temporary:
        datasets.write(temporary, name, splits, collected.load)
        report["kept"]["documents_per_split"] = {split: len(keys) for split, keys in splits.items()}
        report["seconds"] = round(time.monotonic() - start, 3)
        (temporary / name / output_lib.REPORT).write_text(drops_lib.dump(report))
    print(drops_lib.table(report))
    return report
