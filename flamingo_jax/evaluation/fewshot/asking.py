"""Puts few-shot prompts to a model, a chunk of items at a time, and gives the rows of what it says."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from flamingo_jax.data.document import Image
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction
from flamingo_jax.evaluation.confidence.evidence import gather
from flamingo_jax.evaluation.confidence.ranked import ranked_evidence
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.prompts import cut_answer, few_shot_prompt, plain, zero_shot_prompt
from flamingo_jax.evaluation.fewshot.shown import Load, ShownMedia
from flamingo_jax.evaluation.fewshot.splits import Split
from flamingo_jax.evaluation.fewshot.support import RandomSelection, Selection, permuted
from flamingo_jax.inference.decoding import BEAM, Decoding
from flamingo_jax.inference.media import Medium
from flamingo_jax.inference.session import Session

_LISTED = 5  # candidates that a row shows
_UNSEEN = Image(b"", "an image that is not seen")


def decoding_of(benchmark: Benchmark, config: FewShotConfig) -> Decoding:
    """How open-ended answers are found: as the user says, or as the paper does."""
    return config.decoding or Decoding(method=BEAM, max_new_tokens=benchmark.max_new_tokens)


class Asker:
    """Asks about the items of one benchmark."""

    def __init__(
        self,
        session: Session,
        benchmark: Benchmark,
        split: Split,
        config: FewShotConfig,
        selection: str,
        select: Selection,
        blind: bool = False,
        load: Load | None = None,
    ):
        """
        Args:
          session: see `ShownMedia`.
          selection: its name, for the rows.
          select: chooses examples. Those of 0 shots, whose images are not shown, are always drawn at random.
          blind: whether the model sees no image, though the prompts are the same. Its answers get no evidence.
          load: see `ShownMedia`.
        """
        self._session = session
        self._benchmark, self._split, self._config = benchmark, split, config
        self._selection, self._select = selection, select
        self._draw = RandomSelection(len(split.support))
        self._examples = ShownMedia(session, split.support, load)
        self._blind, self._load = blind, load
        self._decoding = decoding_of(benchmark, config)
        self._gathering = None if blind else config.confidence

    def ask(self, places: Sequence[int], shots: int, seed: int) -> list[dict[str, Any]]:
        """The rows of some queries, in order."""
        queries = [self._split.queries[place] for place in places]
        shown = ShownMedia(self._session, queries, self._load)
        chosen = [self._chosen(query, place, shots, seed) for query, place in zip(queries, places, strict=True)]
        closed = bool(queries[0].candidates)
        orders = self._orders(closed) if shots else 1
        prompts, texts = [], []
        for place, (query, examples) in enumerate(zip(queries, chosen, strict=True)):
            for number in range(orders):
                order = permuted(examples, query, seed, number)
                items = [self._split.support[example] for example in order]
                texts.append(few_shot_prompt(query, items) if shots else zero_shot_prompt(query, items))
                prompts.append((texts[-1], self._media(order if shots else (), place, shown)))
        said = self._scores(queries, prompts, orders) if closed else self._answers(queries, prompts, orders)
        return [
            self._row(query, examples, text, shots, seed) | answer
            for query, examples, text, answer in zip(queries, chosen, texts[::orders], said, strict=True)
        ]

    def _orders(self, closed: bool) -> int:
        """In how many orders the examples are shown: to average candidates over, and to see whether answers change."""
        averaged = self._config.permutations if closed else 1
        return averaged if self._gathering is None else max(averaged, self._gathering.permutations)

    def _chosen(self, query: Item, place: int, shots: int, seed: int) -> list[int]:
        if shots:
            return self._select(query, place, shots, seed)
        return self._draw(query, place, self._benchmark.text_examples, seed)

    def _media(self, order: Sequence[int], place: int, shown: ShownMedia) -> list[Medium]:
        if self._blind:
            return [_UNSEEN] * (len(order) + 1)
        return [*map(self._examples, order), shown(place)]

    def _answers(self, queries: Sequence[Item], prompts, orders: int) -> list[dict[str, Any]]:
        """What the model writes after each query's first prompt; the others have its examples in other orders."""
        firsts = prompts[::orders]
        answers = self._session.answers(firsts, self._decoding, blind=self._blind)
        rows = []
        for text, *_ in answers:
            answer = self._cut(text)
            rows.append({"answer": answer} | ({"answer_uncut": text} if answer != text else {}))
        if self._gathering is None:
            return rows
        found = gather(
            self._session,
            firsts,
            answers,
            self._gathering,
            [prompts[start + 1 : start + orders] for start in range(0, len(prompts), orders)] if orders > 1 else None,
            decoding=self._decoding,
            cut=self._cut,
            names=[query.key for query in queries],
        )
        return [row | {"evidence": evidence.to_dict()} for row, evidence in zip(rows, found, strict=True)]

    def _cut(self, text: str) -> str:
        return cut_answer(text, self._benchmark.keywords)

    def _scores(self, queries: Sequence[Item], prompts, orders: int) -> list[dict[str, Any]]:
        """Log-likelihoods of the candidates, the mean over orders of the examples."""
        averaged = min(self._config.permutations, orders)
        lists = [[f" {plain(text)}" for text in query.candidates] for query in queries for _ in range(orders)]
        found = self._session.score_candidates(prompts, lists, blind=self._blind)
        values = [each.means if self._config.per_token else each.log_likelihoods for each in found]
        if self._gathering is not None:
            blind = self._session.score_candidates(prompts[::orders], lists[::orders], blind=True)
            unseen = [each.means if self._config.per_token else each.log_likelihoods for each in blind]
        rows = []
        for place, query in enumerate(queries):
            # Six digits: the order of what is nearly equal is the same in the row and in the score.
            own = np.array(values[place * orders : (place + 1) * orders])
            scores = [float(f"{value:.6g}") for value in own[:averaged].mean(axis=0)]
            rows.append(
                {
                    "scores": scores,
                    "candidates": _listed(query, scores),
                    "candidates_total": len(scores),
                }
            )
            if self._gathering is not None:
                rows[-1]["evidence"] = ranked_evidence(own, unseen[place], averaged).to_dict()
        return rows

    def _row(self, query: Item, examples: Sequence[int], text: str, shots: int, seed: int) -> dict[str, Any]:
        return {
            "key": query.key,
            "shots": shots,
            "selection": self._selection,
            "seed": seed,
            "support": [self._split.support[example].key for example in examples],
            "support_shown": shots > 0,
            "prompt": text,
            "references": list(query.references),
            "share": None,
            "media": medium_facts(query),
        } | ({"kind": query.details["kind"]} if "kind" in query.details else {})


def prediction_of(row: dict[str, Any]) -> Prediction:
    """What a row says, for the score."""
    return Prediction(row.get("answer", ""), np.asarray(row.get("scores", ()), np.float64))


def medium_facts(item: Item) -> dict[str, Any]:
    """Where an item's picture or clip is, as JSON has it."""
    span = item.medium.span
    return {"path": str(item.medium.path), "video": item.medium.video, "span": list(span) if span else None}


def _listed(query: Item, scores: Sequence[float]) -> list[dict[str, Any]]:
    """The likeliest candidates, and the true one wherever it is."""
    order = np.argsort(-np.asarray(scores), kind="stable").tolist()
    true = query.label if query.label >= 0 else None
    if true is None and query.answer in query.candidates:
        true = query.candidates.index(query.answer)
    ranks = {place: rank for rank, place in enumerate(order, 1)}
    shown = order[:_LISTED] + ([true] if true is not None and ranks[true] > _LISTED else [])
    return [
        {"text": query.candidates[place], "score": scores[place], "rank": ranks[place], "true": place == true}
        for place in shown
    ]
