"""VisDial 1.0: questions in a dialogue about a picture, whose 100 answer options are ranked.

The caption of the picture comes first, without a template, then the rounds before in the template of questions, parted
by spaces (the paper does not say by what). A query is the round of a dialogue that has dense annotations: people's
judgements of each option. An example is a whole dialogue of train, its last answer the one after the prompt. The 8,000
dialogues of test end in the round that is asked about; what is relevant in it is kept back.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import coco_images, templates
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.benchmarks.scores import mean_score
from flamingo_jax.evaluation.benchmarks.visdial_files import Dialogue, Round, read_dense, read_dialogues
from flamingo_jax.evaluation.metrics import visdial

_TITLE = "VisDial"
_DENSE = ReleaseFile(
    "visdial_1.0_val_dense_annotations.json", "dense answer annotations of val, of visualdialog.org's data page"
)


def read(folder: epath.Path, split: str) -> list[Item]:
    """The dialogues of the split; keys are the image ids.

    Items of train have no candidates: they are examples.
    """
    path = folder / _dialogues(split).path
    if split == "train":
        return _examples(folder, path)
    name = _images(split).path.rstrip("/")
    dense = read_dense(folder / _DENSE.path) if split == "val" else {}
    items = []
    for dialogue in read_dialogues(path, options=True):
        if split == "val" and dialogue.image_id not in dense:
            continue
        number, relevance = dense.get(dialogue.image_id, (len(dialogue.rounds), None))
        picture = f"{folder}/{name}/{name}_{dialogue.image_id:012d}.jpg"
        items.append(_item(dialogue, number, picture, path, relevance))
    return items


def _examples(folder: epath.Path, path: epath.Path) -> list[Item]:
    """The whole dialogues of train; COCO's ids do not say which of its two folders a picture is in."""
    val = {entry.name for entry in (folder / coco_images.VAL.path).iterdir()}
    items = []
    for dialogue in read_dialogues(path, options=False):
        picture = coco_images.picture(folder, coco_images.VAL, dialogue.image_id)
        if picture.rpartition("/")[2] not in val:
            picture = coco_images.picture(folder, coco_images.TRAIN, dialogue.image_id)
        items.append(_item(dialogue, len(dialogue.rounds), picture, path))
    return items


def _item(
    dialogue: Dialogue, number: int, picture: str, path: epath.Path, relevance: tuple[float, ...] | None = None
) -> Item:
    """The item that asks about round `number`, counted from 1."""
    if not 1 <= number <= len(dialogue.rounds):
        raise ConfigError(f"{path}, image {dialogue.image_id}: there is no round {number} of {len(dialogue.rounds)}")
    asked = dialogue.rounds[number - 1]
    details: dict[str, Any] = {"image_id": dialogue.image_id, "round_id": number}
    if relevance is not None:
        if len(relevance) != len(asked.options):
            raise ConfigError(
                f"{path}, image {dialogue.image_id}: round {number} has {len(asked.options)} answer options, "
                f"but the dense annotations judge {len(relevance)}. Are both files of one release?"
            )
        if not 0 <= asked.true < len(asked.options):
            raise ConfigError(
                f'{path}, image {dialogue.image_id}, round {number}: "gt_index" is no place of an answer option'
            )
        details |= {"gt_index": asked.true, "relevance": relevance}
    return Item(
        key=str(dialogue.image_id),
        medium=MediaFile(picture),
        prompt=_prompt(dialogue.caption, dialogue.rounds[: number - 1], asked.question),
        answer=asked.answer,
        references=() if relevance is None else (asked.answer,),
        candidates=asked.options,
        details=details,
    )


def _prompt(caption: str, before: Sequence[Round], question: str) -> str:
    rounds = [f"{templates.question(one.question)} {one.answer}" for one in before]
    return " ".join([caption.strip(), *rounds, templates.question(question)])


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """NDCG in percent, and how the true answers rank (r@1, r@5 and r@10 in percent, mean rank, MRR) as parts.

    Raises:
      ConfigError: items have no dense annotations.
    """
    if bare := [item.key for item in items if "relevance" not in item.details]:
        raise ConfigError(
            f"{_TITLE}: {len(bare):,} of {len(items):,} items, such as {bare[0]}, have no dense annotations, which "
            "NDCG needs. Choose the val split, or send the file of answers to the benchmark's evaluation server."
        )
    scores = np.array([one.scores for one in predictions], np.float64)
    gains = visdial.ndcg(scores, np.array([item.details["relevance"] for item in items], np.float64))
    ranks = visdial.ranks(scores, np.array([item.details["gt_index"] for item in items]))
    result = mean_score([None if np.isnan(gain) else float(gain) for gain in gains])
    parts = {name: 100 * value if name.startswith("r@") else value for name, value in visdial.retrieval(ranks).items()}
    return Score(result.value, result.per_item, parts)


def server_answers(items: Sequence[Item], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """What the VisDial challenge's server takes: the rank of each option, 1 for the likeliest, of each round."""
    answers = []
    for item, prediction in zip(items, predictions, strict=True):
        order = np.argsort(-np.array(prediction.scores), kind="stable")
        ranks = np.empty(len(order), int)
        ranks[order] = np.arange(1, len(order) + 1)
        place = {"image_id": item.details["image_id"], "round_id": item.details["round_id"]}
        answers.append(place | {"ranks": ranks.tolist()})
    return answers


def _dialogues(split: str) -> ReleaseFile:
    return ReleaseFile(
        f"visdial_1.0_{split}.json",
        f"visdial_1.0_{split}.zip of visualdialog.org's data page",
        archive=f"visdial_1.0_{split}.zip",
    )


def _images(split: str) -> ReleaseFile:
    name = f"VisualDialog_{split}2018"
    return ReleaseFile(f"{name}/", f"pictures: {name}.zip of visualdialog.org's data page")


BENCHMARK = Benchmark(
    name="visdial",
    title=_TITLE,
    metric="NDCG",
    read=read,
    score=score,
    files={
        "train": (_dialogues("train"), coco_images.TRAIN, coco_images.VAL),
        "val": (_dialogues("val"), _DENSE, _images("val")),
        "test": (_dialogues("test"), _images("test")),
    },
    query_split="val",
    max_shots=16,
    text_examples=0,
    server_answers=server_answers,
)
