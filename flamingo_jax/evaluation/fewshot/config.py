"""How a few-shot evaluation is made."""

import dataclasses

from flamingo_jax.evaluation.confidence.evidence import EvidenceConfig
from flamingo_jax.inference.decoding import Decoding

RANDOM = "random"
RICES = "rices"
SELECTIONS = (RANDOM, RICES)
_BATCHES = 4  # in a chunk


@dataclasses.dataclass(frozen=True)
class FewShotConfig:
    """Everything that decides about the figures of one benchmark, the model aside.

    Attributes:
      shots: numbers of examples in a prompt; the paper's are 0, 4, 8, 16 and 32.
      seeds: of the examples that are drawn and of their order: the mean over them is the figure (OpenFlamingo: three).
      selections: "random", the paper's main table; "rices", the examples whose images are most like the query's; or
        both, one after the other.
      dev: whether to evaluate on the paper's DEV split, cut from the training split, and not on the test split.
      split: of the release, to ask about; empty for the benchmark's own.
      max_items: ask about so many, drawn from the split; 0: all.
      batch_size: prompts at a time. Results depend on it by rounding alone.
      decoding: of open-ended tasks. None: beam search with three beams (the paper), as long as the benchmark says.
      permutations: of close-ended tasks: orders of the same examples over which log-likelihoods are averaged
        (the paper's prompt ensembling: 6).
      per_token: of close-ended tasks: whether candidates are ranked by their log-likelihood per token rather than in
        all (not stated in the paper; OpenFlamingo does so for HatefulMemes).
      blind: whether to ask once more with no image seen, which tells what the text alone is worth.
      skip_missing: whether items whose image is not there are left out, also where the release is complete.
      confidence: how the evidence for each answer is gathered, which its row then has; None: it is not.
    """

    shots: tuple[int, ...] = (0, 4, 8, 16, 32)
    seeds: tuple[int, ...] = (0, 1, 2)
    selections: tuple[str, ...] = (RANDOM,)
    dev: bool = False
    split: str = ""
    max_items: int = 0
    batch_size: int = 16
    decoding: Decoding | None = None
    permutations: int = 1
    per_token: bool = False
    blind: bool = False
    skip_missing: bool = False
    confidence: EvidenceConfig | None = None

    def __post_init__(self):
        for name in ("shots", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values) or any(not isinstance(v, int) or v < 0 for v in values):
                raise ValueError(f"FewShotConfig.{name} is whole numbers from 0, each once, got {values!r}")
        if not self.selections or len(set(self.selections) & set(SELECTIONS)) < len(self.selections):
            raise ValueError(f"FewShotConfig.selections is of 'random' and 'rices', got {self.selections!r}")
        for name, least in (("max_items", 0), ("batch_size", 1), ("permutations", 1)):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < least:
                raise ValueError(f"FewShotConfig.{name} is a whole number from {least}, got {getattr(self, name)!r}")
        if self.dev and self.split:
            raise ValueError("FewShotConfig.split names a split of the release, and dev its own: give one of them")

    @property
    def chunk(self) -> int:
        """Items that are asked about together: like prompts share a batch, and a kill costs no more than these."""
        return _BATCHES * self.batch_size
