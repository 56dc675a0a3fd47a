"""Writes the captioned clips: a shape that moves, rises, falls, grows or shrinks on a background that stands still."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator

import av
import numpy as np
from PIL import Image

from data_pipelines.embedded_web.images import write_file
from data_pipelines.embedded_web.seeding import Stream, generator
from data_pipelines.embedded_web.truth import Truth
from flamingo_jax.data.scenes.drawing import draw_background, paint_shape
from flamingo_jax.data.scenes.scene import Scene, sample_scene
from flamingo_jax.data.scenes.words import MOVEMENTS, Attributes, describe_clip

_FRAMES_PER_SECOND = 5
# The same frames must give the same bytes. One thread and a constant quantizer do; x264's macroblock tree, which rate
# control by quality (crf) switches on, was seen to differ from run to run.
_ENCODER_OPTIONS = {"preset": "veryfast", "qp": "22", "threads": "1"}


@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """One take: a scene, how it moves, and for how many whole seconds."""

    scene: Scene
    movement: str
    seconds: int
    caption: str


def write_clips(folder: pathlib.Path, seed: int, num_clips: int, truth: Truth, advance: Callable[[], object]) -> None:
    """Writes `num_clips` clips and `clips.json` below `folder`; calls `advance` after each clip.

    Of every four clips, two have a file each and two follow one another in one file, so that start and end matter.
    """
    entries = []
    for number in range(num_clips):
        first = number - 1 if number % 4 == 3 else number
        numbers = (first, first + 1) if number % 4 >= 2 else (number,)
        size = _sample_size(seed, first)
        shots = [sample_shot(seed, n, size) for n in numbers]
        file = f"videos/{first:04d}.mp4"
        if number == first:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            encode_shots(folder / file, shots)
        shot = shots[number - first]
        start = sum(earlier.seconds for earlier in shots[: number - first])
        end = start + shot.seconds
        entries.append({"file": file, "start": start, "end": end, "caption": shot.caption})
        truth.add("clips", f"{file}#t={start},{end}", shot.caption, shot.scene.attributes, movement=shot.movement)
        advance()
    write_file(folder / "clips.json", (json.dumps(entries, indent=1) + "\n").encode())


def sample_shot(seed: int, number: int, size: tuple[int, int]) -> Shot:
    """Shot `number` for frames of `size` (width, height)."""
    rng = generator(seed, Stream.CLIP, number, 1)
    attributes = Attributes.sample(rng)
    movement = MOVEMENTS[rng.integers(len(MOVEMENTS))]
    scene = sample_scene(rng, attributes, size=size, extent=(0.40, 0.50))
    seconds = int(rng.integers(4, 7))
    return Shot(scene, movement, seconds, describe_clip(attributes, movement, rng))


def frames(shot: Shot) -> Iterator[Image.Image]:
    """The frames of a shot, in order, at 5 a second."""
    background = draw_background(shot.scene)
    for progress in np.linspace(0, 1, shot.seconds * _FRAMES_PER_SECOND):
        yield paint_shape(background, _at(shot, float(progress)))


def encode_shots(path: pathlib.Path, shots: list[Shot]) -> None:
    """Encodes the shots one after another as one H.264 file; each starts with a key frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FRAMES_PER_SECOND, options=_ENCODER_OPTIONS)
        stream.width, stream.height = shots[0].scene.width, shots[0].scene.height
        stream.pix_fmt = "yuv420p"
        for shot in shots:
            for i, image in enumerate(frames(shot)):
                frame = av.VideoFrame.from_image(image)
                frame.pict_type = av.video.frame.PictureType.I if i == 0 else av.video.frame.PictureType.NONE
                container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _at(shot: Shot, progress: float) -> Scene:
    """The scene at `progress` in [0, 1] of its movement."""
    scene = shot.scene
    half = 1.23 * scene.extent / 2
    x, y = scene.centre
    match shot.movement:
        case "moves from left to right":
            x = half + progress * (scene.width - 2 * half)
        case "moves from right to left":
            x = scene.width - half - progress * (scene.width - 2 * half)
        case "falls from top to bottom":
            y = half + progress * (scene.height - 2 * half)
        case "rises from bottom to top":
            y = scene.height - half - progress * (scene.height - 2 * half)
        case "grows larger":
            return dataclasses.replace(scene, extent=scene.extent * (0.6 + 0.6 * progress))
        case "becomes smaller":
            return dataclasses.replace(scene, extent=scene.extent * (1.2 - 0.6 * progress))
        case movement:
            raise ValueError(f"unknown movement {movement!r}; known: {', '.join(MOVEMENTS)}")
    return dataclasses.replace(scene, centre=(x, y))


def _sample_size(seed: int, number: int) -> tuple[int, int]:
    # Multiples of 16: macroblocks, and even sides for 4:2:0 chroma.
    return tuple(16 * int(v) for v in generator(seed, Stream.CLIP, number, 0).integers(10, 15, size=2))
