"""What a benchmark is: items that are asked about or shown as examples, and the score of what was predicted."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float

from flamingo_jax.data.document import Image, Video
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile


@dataclasses.dataclass(frozen=True, slots=True)
class MediaFile:
    """A picture or clip of a release, read when it is needed.

    Attributes:
      path: of the file.
      video: whether it is a clip.
      span: seconds of the clip that are meant, from and to; None: all of it.
    """

    path: str
    video: bool = False
    span: tuple[float, float] | None = None

    def load(self) -> Image | Video:
        """The file's bytes.

        Raises:
          OSError: it cannot be read.
        """
        encoded = epath.Path(self.path).read_bytes()
        return Video(encoded, self.path, self.span) if self.video else Image(encoded, self.path)


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One picture or clip with what is asked about it.

    Attributes:
      key: unique in its split and the same in every run: the release's own number where it has one.
      medium: what is shown.
      prompt: all text between the image and the answer, such as "Question: What is it? Answer:"; see `templates`.
      answer: what stands after the prompt where the item is an example of a few-shot prompt.
      references: the answers or captions that predictions are compared with; empty where the release keeps them back.
      candidates: what is ranked in close-ended tasks; empty: the model writes its answer.
      label: of classification, place of the true candidate; support sets are balanced over labels. -1: none.
      details: what the score needs beside these, as JSON has it.
    """

    key: str
    medium: MediaFile
    prompt: str
    answer: str
    references: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    label: int = -1
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the model says of one item.

    Attributes:
      text: its answer, cut at the prompt's keywords (open-ended tasks).
      scores: the log-likelihood of each candidate, in nats (close-ended tasks).
    """

    text: str = ""
    scores: Sequence[float] | Float[np.ndarray, " candidates"] = ()


@dataclasses.dataclass(frozen=True)
class Score:
    """A figure as papers print it.

    Attributes:
      value: the metric: percent, and CIDEr times 100.
      per_item: each item's share on the same scale, so that their mean is `value` (None: the metric leaves the item
        out); empty where the metric is no mean over items, such as ROC AUC.
      parts: further figures by name, such as the accuracy of each type of answer.
    """

    value: float
    per_item: tuple[float | None, ...] = ()
    parts: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A benchmark: where its files are, how they are read, asked and scored.

    Attributes:
      name: on the command line, such as "vqav2".
      title: in tables, as in the paper, such as "VQAv2".
      metric: name of the score, such as "VQA accuracy".
      read: (folder of the release, split) -> its items, in the release's order. `release.require` has passed.
      score: (items, predictions in the same order) -> the score.
      files: split -> what must be in the folder for it.
      query_split: the split that is asked about unless the user names another.
      support_split: the split that examples are drawn from.
      sizes: split -> how many items the release has, where that is sure; a summary tells where as many were not read.
      dev_queries: how many items the DEV query set has, cut from the support split; 0: not a DEV set of the paper.
      support_size: how many items the support set has (with labels: how many of each).
      keywords: prompt words at which an answer is cut when the model goes on without `<EOC>`.
      max_new_tokens: of an answer.
      max_shots: the most examples that the paper shows.
      text_examples: how many examples, without their images, a prompt of 0 shots begins with (paper: 2, and none in
        close-ended tasks).
      partial: clips of it have gone from the web since its release, so missing ones are no mistake of the user.
      note: what a reader of the figures must know, such as that published ones are of another split.
      server_answers: (items, predictions) -> what the evaluation server takes as a JSON file, for splits whose
        references are kept back; None: there is no such split.
      write: (folder, split) -> draws the split's media there, before `read`; what is there already stays. Its folder
        need not exist (`generated`). None: the release is downloaded.
      probe: whether it is asked blind, too, unless the user says otherwise, and its parts are told with intervals.
    """

    name: str
    title: str
    metric: str
    read: Callable[[epath.Path, str], Sequence[Item]]
    score: Callable[[Sequence[Item], Sequence[Prediction]], Score]
    files: Mapping[str, tuple[ReleaseFile, ...]]
    query_split: str
    support_split: str = "train"
    sizes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    dev_queries: int = 0
    support_size: int = 2048
    keywords: tuple[str, ...] = ()
    max_new_tokens: int = 20
    max_shots: int = 32
    text_examples: int = 2
    partial: bool = False
    note: str = ""
    server_answers: Callable[[Sequence[Item], Sequence[Prediction]], Any] | None = None
    write: Callable[[epath.Path, str], None] | None = None
    probe: bool = False
