"""A few-shot evaluation in the middle of a training run, as an entry of `RunConfig.evaluations` in gin:

run.RunConfig.evaluations = (@okvqa/in_training.InTraining(),)
okvqa/in_training.InTraining.benchmark = "okvqa"
okvqa/in_training.InTraining.data_dir = "benchmarks/okvqa"
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Mapping

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.benchmarks.catalog import find
from flamingo_jax.evaluation.fewshot.asking import Asker, prediction_of
from flamingo_jax.evaluation.fewshot.config import RANDOM, FewShotConfig
from flamingo_jax.evaluation.fewshot.frames import with_frames
from flamingo_jax.evaluation.fewshot.lengths import Prompts, check_lengths
from flamingo_jax.evaluation.fewshot.opening import most_shots, open_to_ask
from flamingo_jax.evaluation.fewshot.shown import explained
from flamingo_jax.evaluation.fewshot.splits import Split
from flamingo_jax.evaluation.fewshot.support import RandomSelection
from flamingo_jax.evaluation.fewshot.together import load_together
from flamingo_jax.inference.session import Session, trained_pixels
from flamingo_jax.training.design import Design
from flamingo_jax.training.evaluations import GiveUp
from flamingo_jax.training.run import run_tokenizer
from flamingo_jax.training.state import Params

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class InTraining:
    """Evaluates on the DEV split, with examples drawn at random.

    Attributes:
      benchmark: its name; the paper's DEV sets are COCO, VQAv2, OK-VQA, MSVD-QA, VATEX, ImageNet and Kinetics.
      data_dir: folder with the files of its release.
      shots: numbers of examples; the paper's ablations have 4.
      max_items: of the DEV queries, so many; 0: all.
      every: updates between two evaluations.
      batch_size: prompts at a time; over all devices.
      dev: False: on the split that the literature reports, for sets that are no DEV sets. Choosing anything by such
        figures spoils them.
      skip_missing: whether items whose image is not there are left out.
    """

    benchmark: str
    data_dir: str
    shots: tuple[int, ...] = (4,)
    max_items: int = 0
    every: int = 10_000
    batch_size: int = 16
    dev: bool = True
    skip_missing: bool = False

    def __post_init__(self):
        if not isinstance(self.every, int) or self.every < 1:
            raise ValueError(f"InTraining.every is a whole number from 1, got {self.every!r}")
        _ = self._config  # refuses what makes no sense

    @property
    def _config(self) -> FewShotConfig:
        return FewShotConfig(
            shots=self.shots,
            seeds=(0,),
            dev=self.dev,
            max_items=self.max_items,
            batch_size=self.batch_size,
            skip_missing=self.skip_missing,
        )

    def make(self, design: Design) -> Callable[[Params, GiveUp], Mapping[str, float]]:
        """See `training.evaluations.Evaluation`."""
        benchmark, config = find(self.benchmark), self._config
        if too_many := [count for count in self.shots if count > benchmark.max_shots]:
            raise ConfigError(
                f"InTraining.shots of {benchmark.title} has {too_many[0]}, and its prompts have at most "
                f"{benchmark.max_shots} examples"
            )
        split = open_to_ask(benchmark, epath.Path(self.data_dir), config)
        if max(self.shots) > most_shots(benchmark, split):
            raise ConfigError(
                f"InTraining.shots of {benchmark.title} has {max(self.shots)}, and {self.data_dir} has "
                f"{len(split.support)} examples"
            )
        pixels = with_frames(trained_pixels(design.config.mixture), split)
        first = Session(design, {}, run_tokenizer(design.config), 0, pixels, self.batch_size, remembered=0)
        select, load = RandomSelection(len(split.support)), functools.partial(load_together, pixels)
        prompts = [Prompts(shots, config.seeds, select) for shots in self.shots]
        check_lengths(first, benchmark, split, config, prompts, "InTraining.shots")

        def evaluate(params: Params, give_up: GiveUp) -> Mapping[str, float]:
            session = dataclasses.replace(first, params=params)
            asker = Asker(session, benchmark, split, config, RANDOM, select, load=load)
            found = {}
            for shots in self.shots:
                if (value := _value(asker, split, config, shots, give_up, benchmark)) is None:
                    return {}
                found[f"eval/{benchmark.name}/{shots}_shots"] = value
            return found

        return evaluate


def _value(asker: Asker, split: Split, config: FewShotConfig, shots: int, give_up: GiveUp, benchmark) -> float | None:
    """The score; None if it was given up, or a file is damaged: the run is worth more than the figure."""
    predictions = []
    try:
        for start in range(0, len(split.queries), config.chunk):
            if give_up():
                return None
            places = range(start, min(start + config.chunk, len(split.queries)))
            predictions += map(prediction_of, asker.ask(places, shots, seed=0))
    except (ConfigError, MediaError) as error:
        told = explained(error, benchmark.title) if isinstance(error, MediaError) else error
        _logger.error("no figures of %s this time: %s", benchmark.title, told)
        return None
    return benchmark.score(split.queries, predictions).value
