"""What the captioning sets share: the score of captions, and where they end."""

from collections.abc import Sequence

from flamingo_jax.evaluation.benchmarks.benchmark import Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.scores import check_references
from flamingo_jax.evaluation.metrics.cider import cider

KEYWORDS = ("Output",)
"""Where a caption is cut if the model goes on with the next prompt; OpenFlamingo's evaluation cuts there, too."""


def caption_score(items: Sequence[Item], predictions: Sequence[Prediction], title: str) -> Score:
    """CIDEr-D times 100 of the predicted captions, and that of each picture or clip.

    Raises:
      ConfigError: items have no references.
    """
    check_references(items, title)
    corpus, each = cider([one.text for one in predictions], [item.references for item in items])
    return Score(100 * float(corpus), tuple(100 * float(value) for value in each))
