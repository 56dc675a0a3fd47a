"""Lets a trained model speak: `python -m flamingo_jax.generate --workdir=DIR --prompt="<image>Output:" --image=FILE`.

`<image>` stands for the next `--image`, `<EOC>` for the end of a chunk, so few-shot prompts can be written out:
`--prompt="<image>A cat.<EOC><image>" --image=cat.jpg --image=dog.jpg`.
"""

import mimetypes
import sys

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.data.document import Image, Video
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.session import Session
from flamingo_jax.parallel import distributed

flags.DEFINE_string("workdir", None, "Folder of the training run.", required=True)
flags.DEFINE_string("prompt", "<image>", "Text with one <image> tag for each --image.")
flags.DEFINE_multi_string("image", [], "An image or video file; repeat it for several, in the prompt's order.")
flags.DEFINE_integer("max_new_tokens", 32, "Stop after this many tokens.", lower_bound=1)
flags.DEFINE_enum("method", "greedy", ["greedy", "sample", "beam"], "How the answer is searched for.")
flags.DEFINE_integer("beams", None, "beam: unfinished answers to keep at a time (3 without the flag).")
flags.DEFINE_float("length_penalty", None, "beam: power of the length that log-likelihoods are divided by (0).")
flags.DEFINE_float("temperature", None, "sample: logits are divided by it (1).")
flags.DEFINE_integer("top_k", None, "sample: of this many most likely tokens alone (0: of all).")
flags.DEFINE_float(
    "top_p", None, "sample: of the most likely tokens that hold this share of the probability (1: of all)."
)
flags.DEFINE_integer("seed", None, "sample: another one, another answer (0).")

_DECODING = ("method", "max_new_tokens", "beams", "length_penalty", "temperature", "top_k", "top_p", "seed")


def main() -> None:
    """Flags to one call; the answer alone goes to stdout."""
    distributed.refuse_several("flamingo_jax.generate")
    values = flags.FLAGS
    media = [_load(path) for path in values.image]
    given = {name: getattr(values, name) for name in _DECODING if getattr(values, name) is not None}
    decoding = Decoding(**given)  # before the weights, which take long
    session = Session.open(epath.Path(values.workdir))
    print(session.answer([(values.prompt, media)], decoding)[0])
    sys.stdout.flush()


def _load(path: str) -> Image | Video:
    """The file's bytes; its name tells a video from an image."""
    kind = mimetypes.guess_type(path)[0] or ""
    return (Video if kind.startswith("video/") else Image)(epath.Path(path).read_bytes(), path)


if __name__ == "__main__":
    command_line.run(main)
