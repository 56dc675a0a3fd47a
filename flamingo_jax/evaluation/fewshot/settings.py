"""What the answers in one folder have in common: the model, the items, and how they are asked."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.fewshot.asking import decoding_of
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.frames import clip_facts
from flamingo_jax.evaluation.fewshot.splits import Split
from flamingo_jax.evaluation.model_digest import parameters_digest, text_digest
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session

_FILE = "settings.json"


def settings(session: Session, benchmark: Benchmark, split: Split, config: FewShotConfig) -> dict[str, Any]:
    """As JSON has it; digests stand for what is long."""
    if split.ranked:
        decoding = {"method": "ranked candidates", "permutations": config.permutations, "per_token": config.per_token}
    else:
        decoding = dataclasses.asdict(decoding_of(benchmark, config))
    return {
        "benchmark": benchmark.name,
        "split": split.name,
        "step": session.step,
        "parameters": parameters_digest(session.params),
        "queries": len(split.queries),
        "query_keys": text_digest(item.key for item in split.queries),
        "examples": len(split.support),
        "example_keys": text_digest(item.key for item in split.support),
        "batch_size": config.batch_size,
        "decoding": decoding,
        **clip_facts(session.pixels, split),
        "confidence": None if config.confidence is None else dataclasses.asdict(config.confidence),
    }


def check(folder: epath.Path, now: Mapping[str, Any], unsaid: Mapping[str, Any]) -> None:
    """Writes the settings, or compares them with those of what is there.

    Args:
      unsaid: settings of folders from before these were written down.

    Raises:
      ConfigError: the folder holds answers of other settings.
    """
    path = folder / _FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(now, indent=1) + "\n")
        return
    try:
        before = {**unsaid, **dict(json.loads(path.read_text()))}
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} is damaged ({error}): delete {folder}, or give another --output") from error
    if changed := [name for name in now if before.get(name) != now[name]]:
        differences = ", ".join(f"{name} {before.get(name)!r}, now {now[name]!r}" for name in changed)
        raise ConfigError(f"{folder} holds an evaluation of other settings ({differences}): give another --output")
