"""A trained model from its workdir, ready to answer."""

import dataclasses
import functools
import json
from collections.abc import Sequence

import jax
from etils import epath

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.tokenizer import Tokenizer
from flamingo_jax.inference.greedy import make_greedy
from flamingo_jax.inference.prompts import prompt_batch
from flamingo_jax.models.attention_kernels import runs_on
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.checkpoints import Checkpoints
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import merge
from flamingo_jax.training.run import RunConfig, run_tokenizer
from flamingo_jax.training.setup import set_up
from flamingo_jax.training.state import Params


def load_run(workdir: epath.Path) -> RunConfig:
    """The configuration that a run saved in its workdir.

    Raises:
      ConfigError: there is no run, or its configuration cannot be read.
    """
    path = epath.Path(workdir) / "config.json"
    if not path.exists():
        raise ConfigError(f"{workdir} holds no run (no {path.name}): give the --workdir of a training run")
    try:
        return config_lib.from_config_dict(json.loads(path.read_text()))
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is damaged ({error}); run the training command again to write it anew") from error


@dataclasses.dataclass(frozen=True)
class Session:
    """A model with its newest checkpoint's parameters.

    Attributes:
      run: the training run's configuration.
      step: of the checkpoint.
      params: all parameters, frozen ones included.
    """

    run: RunConfig
    model: Flamingo
    params: Params
    tokenizer: Tokenizer
    step: int
    trainable_size: int
    frozen_size: int

    @classmethod
    def open(cls, workdir: epath.Path) -> "Session":
        """Loads the frozen weights and the newest checkpoint of a workdir.

        Raises:
          ConfigError, CheckpointError, WeightsError, TokenizerError: what is missing or does not fit.
        """
        run = _for_this_machine(load_run(workdir))
        tokenizer = run_tokenizer(run)  # before the weights, which take long
        setup = set_up(Design.make(run), resumed=True)
        with Checkpoints(epath.Path(workdir), run.checkpoints, read_only=True) as checkpoints:
            step = checkpoints.latest
            if step is None:
                raise ConfigError(f"{workdir} has no complete checkpoint yet: train first")
            state = checkpoints.restore(step, setup.design.state, setup.fingerprint).state
        return cls(
            run,
            setup.design.model,
            merge(state.params, setup.frozen),
            tokenizer,
            step,
            setup.design.count(frozen=False),
            setup.design.count(frozen=True),
        )

    @property
    def pixels(self) -> DatasetConfig:
        """How images are prepared: as in the dataset of the mixture that has the most frames, so that clips fit too.

        A token sees what it saw in any of them; datasets of one image a document do not tell, nor do those of text.
        """
        datasets = [dataset for _, dataset in self.run.mixture.datasets]
        most_images = max(datasets, key=lambda dataset: dataset.images_per_row // dataset.documents_per_row)
        most_frames = max(datasets, key=lambda dataset: (dataset.images_per_row > 0, dataset.num_frames))
        return dataclasses.replace(most_frames.at_inference, images_seen=most_images.images_seen)

    def answer(self, prompts: Sequence[tuple[str, Sequence[Image | Video]]], max_new_tokens: int = 32) -> list[str]:
        """The most likely continuation of each prompt (`<image>` tags and their images), up to `<EOC>` or `<EOS>`."""
        batch = prompt_batch(prompts, self.tokenizer, self.pixels)
        return self.decode(self.greedy(max_new_tokens)(self.params, batch))

    def decode(self, ids) -> list[str]:
        """The text of generated ids, row by row, without what follows the first stop token."""
        stops = {self.tokenizer.eoc_id, self.tokenizer.eos_id}
        texts = []
        for row in ids.tolist():
            end = next((place for place, token in enumerate(row) if token in stops), len(row))
            texts.append(self.tokenizer.decode(row[:end]).strip())
        return texts

    def greedy(self, max_new_tokens: int):
        """The compiled decoder for this many tokens, made once."""
        return _greedy(self.model, max_new_tokens, (self.tokenizer.eoc_id, self.tokenizer.eos_id))


def _for_this_machine(run: RunConfig) -> RunConfig:
    """The same model, without an attention kernel that the devices here do not run."""
    if runs_on(run.model.attention, jax.default_backend()):
        return run
    return dataclasses.replace(run, model=dataclasses.replace(run.model, attention="xla"))


@functools.lru_cache(maxsize=8)
def _greedy(model: Flamingo, max_new_tokens: int, stop_ids: tuple[int, ...]):
    return make_greedy(model, max_new_tokens, stop_ids)
