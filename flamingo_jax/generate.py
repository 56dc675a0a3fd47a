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
from flamingo_jax.inference.session import Session
from flamingo_jax.parallel import distributed

flags.DEFINE_string("workdir", None, "Folder of the training run.", required=True)
flags.DEFINE_string("prompt", "<image>", "Text with one <image> tag for each --image.")
flags.DEFINE_multi_string("image", [], "An image or video file; repeat it for several, in the prompt's order.")
flags.DEFINE_integer("max_new_tokens", 32, "Stop after this many tokens.", lower_bound=1)


def main() -> None:
    """Flags to one call; the answer alone goes to stdout."""
    distributed.refuse_several("flamingo_jax.generate")
    values = flags.FLAGS
    media = [_load(path) for path in values.image]
    session = Session.open(epath.Path(values.workdir))
    print(session.answer([(values.prompt, media)], values.max_new_tokens)[0])
    sys.stdout.flush()


def _load(path: str) -> Image | Video:
    """The file's bytes; its name tells a video from an image."""
    kind = mimetypes.guess_type(path)[0] or ""
    return (Video if kind.startswith("video/") else Image)(epath.Path(path).read_bytes(), path)


if __name__ == "__main__":
    command_line.run(main)
