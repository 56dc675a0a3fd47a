"""HatefulMemes, small: 8 memes of train, 6 of each other split, half of them labelled hateful."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape


def write(folder: Path) -> None:
    """Writes the lists of memes and img; two lists know a meme by a number that is not padded."""
    folder.mkdir(parents=True, exist_ok=True)
    first = 1235
    for split in ("train", "dev_seen", "dev_unseen", "test_seen", "test_unseen"):
        numbers = range(first, first + (8 if split == "train" else 6))
        lines = []
        for number in numbers:
            name = f"img/{number:05d}.png"
            draw(folder / name, number, "RGBA" if number % 5 == 0 else "RGB")
            written = f'look at this {colour(number)} "{shape(number)}"' if number % 4 else "what a day, isn't it"
            record = {"id": number, "img": name, "label": number % 2, "text": written}
            lines.append(json.dumps(record))
        if split == "train":
            lines.append(lines[0])  # a meme that is listed twice
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        first += 100
