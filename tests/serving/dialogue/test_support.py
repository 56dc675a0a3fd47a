"""Examples from a folder, with an encoder that sees the mean colour."""

import dataclasses
import io
import json
import types

import numpy as np
import pytest
from etils import epath
from PIL import Image as Picture

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.support import Support
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.dialogue.turns import Conversation
from tests.serving.dialogue.fake_engine import FakeEngine, fake_chat
from tests.serving.dialogue.media import png


@dataclasses.dataclass
class Encoder:
    """In place of a session."""

    pixels = types.SimpleNamespace(num_frames=2)

    def pooled_features(self, media, rows, frames):
        assert len(media) <= rows and frames in (1, 2)
        means = [np.asarray(Picture.open(io.BytesIO(each.encoded)).convert("RGB")).mean((0, 1)) + 1 for each in media]
        return np.stack([mean / np.linalg.norm(mean) for mean in means]).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    lines = []
    for colour, question in (("red", "Which?"), ("blue", ""), ("darkred", "What?"), ("green", None)):
        (tmp_path / f"{colour}.png").write_bytes(png(colour))
        line = {"file_name": f"{colour}.png", "question": question, "answer": f"It is {colour}."}
        lines.append(json.dumps({key: value for key, value in line.items() if value is not None}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines) + "\n\n")
    return epath.Path(tmp_path)


def test_the_most_alike_come_nearest_last(folder):
    support = Support.open(folder, Encoder())
    assert [turn.text for turn in support.turns] == ["Which?", "", "What?", ""]
    talk = Conversation().asked("?", (Image(png("blue")), Image(png((250, 10, 10)))))
    query = np.array([251.0, 11.0, 11.0]) / np.linalg.norm([251.0, 11.0, 11.0])
    order = sorted(range(4), key=lambda place: float(support.features[place] @ query))  # by hand
    assert support.nearest(talk, 4) == tuple(support.turns[place] for place in order)
    assert support.nearest(talk, 2) == tuple(support.turns[place] for place in order[-2:])
    assert support.nearest(Conversation().asked("no picture"), 2) == ()


def test_they_are_shown_before_the_conversation(folder):
    engine = FakeEngine()
    talk = Talk(fake_chat(engine, support=Support.open(folder, Encoder())))
    list(talk.ask("What is it?", (Image(png("blue")),), Settings(style="questions", shots=1)))
    assert engine.requests[0].prompt_text == ("<image>Output: It is blue.<EOC><image>Question: What is it? Answer:")
    assert engine.requests[0].media[0].encoded == png("blue")
    assert talk.asked[0].examples[0].answer == "It is blue." and engine.errands == 1


@pytest.mark.parametrize(
    "line, reason",
    [
        ("{", "line 1 is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"file_name": "red.png"}', "file_name and answer are texts"),
        ('{"file_name": "red.png", "answer": "a", "question": 3}', "file_name and answer are texts"),
        ('{"file_name": "none.png", "answer": "a"}', "there is no file"),
        ('{"file_name": "metadata.jsonl", "answer": "a"}', "line 1: metadata.jsonl: neither a picture"),
        ('{"file_name": "red.png", "answer": "\\ud800"}', "line 1: the text has half of a character"),
        ("", "has no line"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(folder, line, reason):
    (folder / "metadata.jsonl").write_text(line)
    with pytest.raises(ConfigError, match=reason):
        Support.open(folder, Encoder())


def test_a_folder_without_a_list_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"needs a file metadata\.jsonl"):
        Support.open(epath.Path(tmp_path), Encoder())
