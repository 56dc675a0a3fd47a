"""The evidence for an answer: how likely it is, whether samples agree, and whether the picture speaks for it."""

import dataclasses
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from flamingo_jax.evaluation.confidence.meaning import entropy, groups, same_meaning
from flamingo_jax.evaluation.fewshot.prompts import plain
from flamingo_jax.inference.batches import Prompt
from flamingo_jax.inference.decoding import DEFAULT, SAMPLE, Decoding
from flamingo_jax.inference.session import Answer, Session

DIRECTIONS = {"likelihood": 1, "certainty": 1, "agreement": 1, "entropy": -1, "dispersion": -1, "image_gain": 1}
"""Each signal by its name: 1 where more of it speaks for an answer, -1 where it speaks against."""
_FLOOR = 1e-4  # nats: below it the rounding of 32-bit sums tells likelihoods apart


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What speaks for an answer.

    Attributes:
      likelihood: its log-likelihood, nats per token; of ranked candidates the log of the probability among them.
      agreement: the share of samples that mean the same, 0 to 1.
      entropy: semantic entropy of the samples in nats, see `meaning`.
      dispersion: 1 - the share of the most common answer over orders of the examples; None: there are no examples.
      image_gain: how much more likely it is than for the model that sees no image, in the unit of `likelihood`.
    """

    likelihood: float
    agreement: float
    entropy: float
    dispersion: float | None
    image_gain: float

    @property
    def certainty(self) -> float:
        """The likelihood on a scale on which 0.99 and 0.999 are as far apart as 0.9 and 0.99, for linear models."""
        return -math.log(_FLOOR - min(self.likelihood, 0.0))

    def to_dict(self) -> dict[str, float | None]:
        """As JSON has it, with six digits."""
        values = dataclasses.asdict(self).items()
        return {name: None if value is None else float(f"{value:.6g}") for name, value in values}


@dataclasses.dataclass(frozen=True)
class EvidenceConfig:
    """How evidence is gathered.

    Attributes:
      samples: answers drawn for each prompt. Kuhn et al. and Farquhar et al. draw 10; each costs as much as an answer.
      temperature: they are drawn at.
      permutations: orders of the examples, the prompt's own included; 1: no `dispersion`.
      seed: of the samples, 0 to 2**32 - 1.

    Raises:
      ValueError: a value is out of range.
    """

    samples: int = 5
    temperature: float = 1.0
    permutations: int = 4
    seed: int = 0

    def __post_init__(self):
        for name in ("samples", "permutations"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ValueError(f"EvidenceConfig.{name} is a whole number from 1, got {getattr(self, name)!r}")
        Decoding(SAMPLE, temperature=self.temperature, seed=self.seed)  # refuses what is out of range


def gather(
    session: Session,
    prompts: Sequence[Prompt],
    answers: Sequence[Answer],
    config: EvidenceConfig,
    permuted: Sequence[Sequence[Prompt]] | None = None,
    *,
    decoding: Decoding = DEFAULT,
    cut: Callable[[str], str] = str.strip,
    names: Sequence[str] | None = None,
) -> list[Evidence]:
    """The evidence for answers that the model has written.

    Args:
      answers: `session.answers(prompts, decoding)`.
      permuted: of each prompt, the same with its examples in other orders; None: there are no examples.
      decoding: how the answers were found; samples are at most as long.
      cut: what of a text is the answer: where the model goes on with the prompt, say.
      names: of the prompts: samples depend on them, on the prompt and the seed alone. None: their places.

    Raises:
      ImportError: the package with WordNet is not installed.
      PromptError, MediaError: as `Session.answers`.
    """
    names = [*map(str, range(len(prompts)))] if names is None else names
    texts = [cut(answer.text) for answer in answers]
    samples = _samples(session, prompts, config, decoding.max_new_tokens, names)
    spoken = [[f" {plain(answer.text)}"] for answer in answers]
    seen, unseen = (
        [float(found.means[0]) for found in session.score_candidates(prompts, spoken, blind=blind)]
        for blind in (False, True)
    )
    if permuted is None:
        dispersions: Sequence[float | None] = [None] * len(prompts)
    else:
        orders = iter(session.answer([prompt for each in permuted for prompt in each], decoding))
        dispersions = [
            dispersion([text, *(cut(next(orders)) for _ in each)]) for text, each in zip(texts, permuted, strict=True)
        ]
    return [
        _evidence(answer, text, [*map(cut, drawn)], spread, with_image - without)
        for answer, text, drawn, spread, with_image, without in zip(
            answers, texts, samples, dispersions, seen, unseen, strict=True
        )
    ]


def dispersion(answers: Sequence[str]) -> float:
    """1 - the share of the most common answer."""
    return 1 - max(Counter(groups(answers)).values()) / len(answers)


def _evidence(answer: Answer, text: str, samples: Sequence[str], spread: float | None, gain: float) -> Evidence:
    return Evidence(
        likelihood=answer.log_likelihood / answer.tokens,
        agreement=sum(same_meaning(text, sample) for sample in samples) / len(samples),
        entropy=entropy(samples),
        dispersion=spread,
        image_gain=gain,
    )


def _samples(
    session: Session, prompts: Sequence[Prompt], config: EvidenceConfig, tokens: int, names: Sequence[str]
) -> list[list[str]]:
    """The texts drawn for each prompt, each with a key of its own."""
    decoding = Decoding(SAMPLE, tokens, temperature=config.temperature, seed=config.seed)
    repeated = [prompt for prompt in prompts for _ in range(config.samples)]
    keys = [_key(name, number) for name in names for number in range(config.samples)]
    texts = session.answer(repeated, decoding, keys=keys)
    return [texts[start : start + config.samples] for start in range(0, len(texts), config.samples)]


def _key(name: str, number: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{number} {name}".encode(), digest_size=4).digest(), "big")


def evidence_of(row: Mapping[str, float | None]) -> Evidence:
    """The inverse of `to_dict`."""
    return Evidence(**row)
