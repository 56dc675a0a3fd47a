"""Does the model look? Held-out captions under the right image, a wrong one and none, and what it says of each."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from tqdm import tqdm

from flamingo_jax.config import ConfigError
from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Document
from flamingo_jax.data.example import stack
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.sequence import plain_text
from flamingo_jax.evaluation.cases import Case, Truth, attributes_in
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.scoring import mean_over
from flamingo_jax.inference.session import Session
from flamingo_jax.training.state import Params

_ROWS = 32  # a compiled batch; the last one is filled up with its first row


@dataclasses.dataclass(frozen=True)
class Reading:
    """What came of scoring all cases one way.

    Attributes:
      nll: mean negative log-likelihood, in nats per caption token.
      nlls: the same for each case.
    """

    nll: float
    nlls: Sequence[float]


def wrong_image(cases: Sequence[Case], seed: int = 0) -> list[int]:
    """For each case another one whose picture it gets: a permutation that leaves no picture in its own document.

    Raises:
      ConfigError: all pictures are of one document.
    """
    keys = [case.document.key for case in cases]
    most = max((keys.count(key) for key in set(keys)), default=0)
    if len(cases) < 2 or most * 2 > len(cases):
        raise ConfigError(
            f"{len(cases)} held-out pictures, {most} of them in one document: too few to shuffle them apart"
        )
    # Sorted by document and shifted by the size of the largest one, no picture stays in its own.
    rng = np.random.default_rng(seed)
    order = sorted(range(len(cases)), key=lambda place: (keys[place], rng.random()))
    partner = [0] * len(cases)
    for place, case in enumerate(order):
        partner[case] = order[(place + most) % len(order)]
    return partner


class Reader:
    """Reads cases with one model: scores their captions, and lets the model caption them."""

    def __init__(self, session: Session, dataset: DatasetConfig, cases: Sequence[Case], max_new_tokens: int):
        """
        Args:
          dataset: how the model was trained to read the documents.
          cases: all that will be read: rows are as long as the longest caption needs, up to the dataset's length.
          max_new_tokens: of each caption that the model writes.
        """
        self._session, self._tokenizer = session, session.tokenizer
        self._head = 1 + len(self._tokenizer.image_tag_ids)
        longest = max(len(self._tokenizer.encode(plain_text(case.caption))) for case in cases)
        changes = {"max_images": 1} if isinstance(dataset, InterleavedConfig) else {}
        # Two places more, for the `<EOC><EOS>` of a pair.
        length = min(dataset.length, self._head + longest + 2)
        self._dataset = dataclasses.replace(dataset, length=length, **changes)
        self._decoding = Decoding(max_new_tokens=max_new_tokens)

    def caption_mask(self, case: Case) -> np.ndarray:
        """True at the caption's tokens: those right after `<BOS>` and the tag, as far as they fit."""
        mask = np.zeros(self._dataset.length, bool)
        end = self._head + len(self._tokenizer.encode(plain_text(case.caption)))
        mask[self._head : min(end, self._dataset.length - 2)] = True
        return mask

    def score(self, cases: Sequence[Case], documents: Sequence[Document], params: Params) -> Reading:
        """Scores each case's caption in the document given for it."""

        def rows(chunk: Sequence[int]) -> Mapping[str, np.ndarray]:
            examples = [self._dataset.example(documents[place], self._tokenizer) for place in chunk]
            return stack(examples, [0] * len(examples))

        session = dataclasses.replace(self._session, params=params)
        losses = np.concatenate(_in_chunks(len(cases), rows, session.losses))
        nll, nlls = mean_over(losses, np.stack([self.caption_mask(case) for case in cases]))
        return Reading(nll, nlls.tolist())

    def answer(self, documents: Sequence[Document], blind: bool = False) -> list[str]:
        """What the model says after `<BOS><image>`, up to the first full stop. `blind` hides the picture from it."""

        session = dataclasses.replace(self._session, pixels=self._dataset.at_inference, rows=_ROWS)
        texts = []
        for start in tqdm(range(0, len(documents), _ROWS), desc="captioning", leave=False):
            prompts = [("<image>", [document.media[0]]) for document in documents[start : start + _ROWS]]
            texts += session.answer(prompts, self._decoding, blind=blind)
        return [text.partition(".")[0] + "." if "." in text else text for text in texts]


def _in_chunks(count: int, rows: Callable, run: Callable) -> list[np.ndarray]:
    """Runs batches of one size, so that one program serves all, and cuts the filling off again."""
    out = []
    for start in tqdm(range(0, count, _ROWS), desc="scoring", leave=False):
        chunk = [*range(start, min(start + _ROWS, count))]
        filled = chunk + chunk[:1] * (_ROWS - len(chunk))
        out.append(run(rows(filled))[: len(chunk)])
    return out


def close_gates(params: Params) -> Params:
    """The parameters with every gate at 0: the frozen language model."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * 0 if jax.tree_util.keystr(path, simple=True).endswith("_gate") else leaf, params
    )


def accuracy(cases: Sequence[Case], answers: Sequence[str], words: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
    """Attribute -> share of the cases whose answer names the true word (the first word of its kind counts)."""
    return {
        name: float(
            np.mean(
                [
                    attributes_in(answer, words)[name] == case.attributes[name]
                    for case, answer in zip(cases, answers, strict=True)
                ]
            )
        )
        for name in words
    }


def majority(cases: Sequence[Case], training: Sequence[Mapping[str, str]], truth: Truth) -> dict[str, float]:
    """Attribute -> accuracy of always saying the word that is the most frequent in training."""
    found = {}
    for name, words in truth.words.items():
        counts = [sum(entry[name] == word for entry in training) for word in words]
        best = words[int(np.argmax(counts))]
        found[name] = float(np.mean([case.attributes[name] == best for case in cases]))
    return found
