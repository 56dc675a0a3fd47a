"""Questions about held-out pictures of the embedded web, in OpenFlamingo's form, and what a run of ours answers.

The first half of `check_openflamingo_answers.py`, which says how the two are used. It runs in the package's own
environment, from the repository root:

    python -m tests.goldens.write_openflamingo_answers --workdir=RUN --web=WEB --output=FOLDER

RUN is the workdir of `gin/runs/openflamingo_smollm2_dinov2.gin`, WEB the folder that `data_pipelines.embedded_web`
wrote. The folder gets

- `questions.json`: `image_size`, the two searches' settings, and `questions`, each with its `prompt` in OpenFlamingo's
  form, the `tokens` that our tokenizer makes of it, its `images` (rows of images.npy), the true `answer`, and ours:
  `greedy` and `beam`.
- `images.npy`: uint8 [pictures, size, size, 3], as our pipeline prepares them.

Each picture is asked about once: for its colour, its shape, its background or a caption, in turn, after 0, 2 or 4
examples. As in OpenFlamingo's evaluation, 0 are two examples without their images, and examples end with a line break.
"""

import argparse
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.data.document import Image
from flamingo_jax.data.media import load_media
from flamingo_jax.data.sources import TfdsSource
from flamingo_jax.data.tokenizer import IMAGE_TAG
from flamingo_jax.evaluation.cases import Truth, find_cases
from flamingo_jax.inference.decoding import BEAM, Decoding
from flamingo_jax.inference.prompts import EOC_TAG, tokenize_prompt
from flamingo_jax.inference.session import Session

DATASET, MOST_QUESTIONS, MOST_TOKENS, BEAMS = "m3w", 100, 20, 3
THEIR_EOC_TAG = "<|endofchunk|>"
SHOTS, TEXT_ONLY = (0, 2, 4), 2
ASKED = {"colour": "What colour is the shape?", "shape": "What shape is it?", "background": "What is behind it?"}


class Picture(NamedTuple):
    """A picture, and the answer to each question about it; that to "caption" is its sentence."""

    image: Image
    answers: dict[str, str]


def pictures(session: Session, split: str, truth: Truth, most: int) -> list[Picture]:
    """The first pictures of a split whose truth is known."""
    dataset = dict(session.run.mixture.datasets)[DATASET]
    source = TfdsSource(dataset.path, split)
    cases = find_cases((source[index] for index in range(len(source))), truth, most)
    return [Picture(case.medium, {**case.attributes, "caption": case.caption}) for case in cases]


def asked(question: str, answer: str = "") -> str:
    """A question or an example in OpenFlamingo's form."""
    end = answer + THEIR_EOC_TAG if answer else ""
    if question == "caption":
        return f"{IMAGE_TAG}Output:{end}"
    return f"{IMAGE_TAG}Question:{ASKED[question]} Short answer:{end}"


def prompts(queries: Sequence[Picture], support: Sequence[Picture]) -> Iterator[tuple[str, list[Image], str]]:
    """For each picture a prompt in OpenFlamingo's form, its images, and the true answer."""
    random, kinds = np.random.default_rng(0), (*ASKED, "caption")
    for place, query in enumerate(queries):
        question, shots = kinds[place % len(kinds)], SHOTS[place // len(kinds) % len(SHOTS)]
        chosen = [support[index] for index in random.permutation(len(support))[: shots or TEXT_ONLY]]
        examples = "".join(asked(question, each.answers[question]) + "\n" for each in chosen)
        images = [each.image for each in chosen]
        if not shots:
            examples, images = examples.replace(IMAGE_TAG, ""), []
        yield examples + asked(question), [*images, query.image], query.answers[question]


def write(workdir: pathlib.Path, web: pathlib.Path, folder: pathlib.Path) -> None:
    """Asks the run and writes both files."""
    session, truth = Session.open(workdir), Truth.load(str(web / "truth.json"), DATASET)
    queries = pictures(session, "validation", truth, MOST_QUESTIONS)
    asking = list(prompts(queries, pictures(session, "train", truth, MOST_QUESTIONS)))
    ours = [(text.replace(THEIR_EOC_TAG, EOC_TAG), images) for text, images, _ in asking]
    greedy = session.answer(ours, Decoding(max_new_tokens=MOST_TOKENS))
    beam = session.answer(ours, Decoding(method=BEAM, beams=BEAMS, max_new_tokens=MOST_TOKENS))
    rows = {image: row for row, image in enumerate(dict.fromkeys(image for _, images, _ in asking for image in images))}
    pixels = [load_media([image], 1, session.pixels, None)[0][0, 0] for image in rows]
    questions = [
        {
            "prompt": text,
            "tokens": list(tokenize_prompt(mine, session.tokenizer).tokens),
            "images": [rows[image] for image in images],
            "answer": answer,
            "greedy": plain,
            "beam": searched,
        }
        for (text, images, answer), (mine, _), plain, searched in zip(asking, ours, greedy, beam, strict=True)
    ]
    every = session.run.model.cross_attention_every
    facts = {"image_size": session.pixels.image_size, "every": every, "most_tokens": MOST_TOKENS, "beams": BEAMS}
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", np.stack(pixels))
    (folder / "questions.json").write_text(json.dumps(facts | {"questions": questions}, indent=1) + "\n")
    for name in ("greedy", "beam"):
        right = sum(each["answer"] in each[name] for each in questions)
        distinct = len({each[name] for each in questions})
        print(f"{name}: {distinct} different answers to {len(questions)} questions, {right} of them hold the true one")


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for flag, text in (
        ("--workdir", "the run's folder"),
        ("--web", "the embedded web's folder"),
        ("--output", "the folder to write"),
    ):
        parser.add_argument(flag, type=pathlib.Path, required=True, help=text)
    arguments = parser.parse_args()
    write(arguments.workdir, arguments.web, arguments.output)


if __name__ == "__main__":
    main()
