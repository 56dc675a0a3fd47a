"""The report of an evaluation: `report.json` with all figures, `report.html` to read."""

import json
import math
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.social.annotations import attributes, read_annotations
from flamingo_jax.evaluation.social.captions import Evaluation, check_shares
from flamingo_jax.evaluation.social.groups import compare
from flamingo_jax.evaluation.social.matching import check_keys
from flamingo_jax.evaluation.social.page import render
from flamingo_jax.evaluation.social.scores import read_scores
from flamingo_jax.evaluation.social.toxicity import THRESHOLD, tally
from flamingo_jax.html.files import write_whole

JSON, HTML = "report.json", "report.html"


def write_report(
    evaluation: Evaluation,
    output: epath.PathLike,
    *,
    shots: int,
    support: str,
    seed: int,
    groups: epath.PathLike = "",
    toxicity: epath.PathLike = "",
    threshold: float = THRESHOLD,
    skip_unknown: bool = False,
) -> dict[str, Any]:
    """Compares groups, tallies toxicity, and writes the report.

    Args:
      evaluation: see `read_evaluation`; `shots`, `support` and `seed` say which of its rows these are.
      output: folder of the report, made if need be; a report that stands there is replaced when the new one is done.
      groups: see `read_annotations`; empty: no groups.
      toxicity: see `read_scores`; empty: no scores.
      threshold: from which score on a caption is flagged, 0 to 1.
      skip_unknown: keys of these files that no row has are left out.

    Returns:
      What `report.json` holds; CIDEr as in table 12 of the paper, shares 0 to 1.

    Raises:
      ConfigError: neither file is given, or a file and the evaluation do not go together.
      OSError: the report cannot be written.
    """
    if not groups and not toxicity:
        raise ConfigError("there is nothing to report: give --groups=FILE, --toxicity=FILE, or both")
    captions, facts, unknown = evaluation.captions, evaluation.facts, {}
    compared: list[dict[str, Any]] = []
    if groups:
        check_shares(evaluation)
        annotations = read_annotations(groups)
        rows = f"{evaluation.folder}/rows/{evaluation.rows}"
        unknown["groups"] = check_keys(annotations, [one.key for one in captions], str(groups), rows, skip=skip_unknown)
        named = attributes(annotations)
        compared = [compare(captions, annotations, name, str(groups), facts.get("benchmark", "")) for name in named]
    tallied = None
    if toxicity:
        scores, unknown["toxicity"] = read_scores(toxicity, evaluation, skip=skip_unknown)
        tallied = tally(captions, scores, threshold)
    found = {
        "evaluation": {
            "folder": evaluation.folder,
            "rows": evaluation.rows,
            "benchmark": facts.get("benchmark"),
            "title": facts.get("title"),
            "split": facts.get("split"),
            "model": (facts.get("model") or {}).get("name"),
            "step": facts.get("step"),
            "shots": shots,
            "support": support,
            "seed": seed,
            "captions": len(captions),
            "cider": math.fsum(one.cider for one in captions) / len(captions) if groups else None,
        },
        "unknown_keys": unknown,
        "attributes": compared,
        "toxicity": tallied,
    }
    text, html = json.dumps(found, indent=1) + "\n", render(found)
    folder = epath.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / JSON, text)
    write_whole(folder / HTML, html)
    return found
