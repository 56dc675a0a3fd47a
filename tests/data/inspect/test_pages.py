"""The pages, read as a browser reads them."""

import collections
import html.parser

import numpy as np
import pytest

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.inspect.documents import inspect_documents
from flamingo_jax.data.inspect.documents_page import documents_page
from flamingo_jax.data.inspect.rows import inspect_rows
from flamingo_jax.data.inspect.rows_page import rows_page
from flamingo_jax.data.inspect.tokens import shown
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from flamingo_jax.data.text import TextConfig
from tests.data.samples import clip, clip_bytes, page, pair, picture_bytes

HOSTILE = "</style></title><script>alert(1)</script>\"'><img src=x onerror=alert(2)> &amp; \u202eevil"


class Reader(html.parser.HTMLParser):
    """Elements in order: (name, attributes, the text in it and below)."""

    VOID = ("meta", "img")

    def __init__(self, page):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in self.VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for element in self._open:
            element[2] += data

    def of(self, *classes):
        return [one for one in self.elements if set(classes) <= set((one[1].get("class") or "").split())]


def read(mixture, steps=range(1), most=8):
    found = inspect_rows(mixture, list(mixture.datasets), steps, most)
    return Reader(rows_page("run", mixture, found, steps)), found


def mixture_of(tokenizer, documents, config, name="it"):
    return Mixture(MixtureConfig(datasets=((name, config),)), tokenizer, {name: documents})


def is_safe(reader):
    names = collections.Counter(name for name, _, _ in reader.elements)
    assert names["script"] == names["link"] == names["iframe"] == 0
    for name, attributes, _ in reader.elements:
        assert not [key for key in attributes if key.startswith("on")]
        assert not attributes.get("href", "#").startswith(("http", "javascript"))
        if name == "img":
            assert attributes["src"].startswith("data:image/")
    policy = next(attributes for name, attributes, _ in reader.elements if attributes.get("http-equiv"))
    assert policy["content"].startswith("default-src 'none'")


def test_hostile_documents_stay_text(bytes_tokenizer):
    document = Document(HOSTILE, (Image(picture_bytes(), HOSTILE), Text(HOSTILE), Image(b"no image", HOSTILE)))
    whole = Document(HOSTILE, document.items[:2])
    config = InterleavedConfig(path=HOSTILE, batch_size=1, length=256, image_size=8, p_next=0.0)
    reader, _ = read(mixture_of(bytes_tokenizer, [whole], config, HOSTILE))
    is_safe(reader)
    (text,) = reader.of("tokens")
    assert "<script>alert(1)</script>" in text[2] and "\u202e" not in text[2] and "⟨U+202E⟩evil" in text[2]
    reader = Reader(documents_page(inspect_documents(HOSTILE, [document], "", 9, 9)))
    is_safe(reader)
    assert HOSTILE in reader.of("text")[0][2] and "cannot be shown" in reader.of("broken")[0][2]


def test_tokens_are_shown_as_they_are(bytes_tokenizer):
    layout = page("p", "3i4ii2i", picture_bytes())
    config = InterleavedConfig(path="", batch_size=1, length=300, max_images=3, image_size=8, p_next=0.0, loss="chunks")
    reader, found = read(mixture_of(bytes_tokenizer, [layout], config))
    example = found["it"].shown[0].row.example
    used = np.count_nonzero(example.segment_ids)
    tokens = reader.of("tokens")[0]
    marks = [mark[2] for mark in reader.of("mark")]
    assert marks == ["0", "1", "2", "3", "0"]  # the fourth image has no place
    spans = [element for element in reader.of("t") if "title" in element[1]]
    assert len(spans) == used
    assert ["blind" not in element[1]["class"] for element in spans] == example.loss_mask[:used].tolist()
    assert [element[1]["title"].split(",")[0] for element in spans] == [
        f"token {token}" for token in example.tokens[:used]
    ]
    text = bytes_tokenizer.decode(example.tokens[:used], skip_control=False)
    assert "".join(element[2] for element in spans).replace("↵\n", "\n") == text
    assert len(tokens[2]) == len("".join(marks)) + sum(len(element[2]) for element in spans)
    assert "".join(element[2] for element in reader.of("tag") if "title" in element[1]) == "<image>" * 4
    assert [element[2] for element in reader.of("pad")] == [f"padding × {300 - used}"]
    colours = [run[1]["class"].split()[1] for run in reader.of("run") if run[0] == "span"][-len(marks) :]
    assert colours == ["c", "c0", "c1", "c2", "c"]
    assert [figure[1]["class"].split()[1] for figure in reader.of("figure")] == ["c0", "c1", "c2"]


def test_the_first_image_seen_is_told_where_it_is_another(bytes_tokenizer):
    config = InterleavedConfig(path="", batch_size=1, length=300, image_size=8, p_next=0.0, images_seen="all")
    reader, _ = read(mixture_of(bytes_tokenizer, [page("p", "3i4i2i", picture_bytes())], config))
    assert [mark[2] for mark in reader.of("mark")] == ["0", "1", "1–2", "1–3"]


def test_packed_rows_and_clips_and_text(bytes_tokenizer):
    documents = [pair(f"k{place}", f"caption {place}") for place in range(6)]
    config = PairsConfig(path="", batch_size=2, length=128, image_size=8, documents_per_row=3)
    reader, found = read(mixture_of(bytes_tokenizer, documents, config))
    keys = [origin.document.key for shown in found["it"].shown for origin in shown.origins]
    assert [element[2].split(",")[0] for element in reader.of("key")] == [
        f"segment {place % 3 + 1} of 3: {key}" for place, key in enumerate(keys)
    ]
    assert len(reader.of("tokens")) == len(reader.of("figure")) == 6

    config = VideoConfig(path="", batch_size=1, length=60, image_size=8, num_frames=5)
    reader, _ = read(mixture_of(bytes_tokenizer, [clip("c", clip_bytes(2))], config))
    frames = [image[1].get("class") == "dim" for image in reader.elements if image[0] == "img"]
    assert frames == [False] * 2 + [True] * 3
    config = TextConfig(path="", batch_size=1, length=32)
    reader, _ = read(mixture_of(bytes_tokenizer, [Document("t", (Text("plain text"),))], config))
    assert not reader.of("media") and not reader.of("figure") and reader.of("tokens")


def test_replaced_records_are_told(bytes_tokenizer):
    broken = [pair(f"b{place}", "caption", b"no image") for place in range(4)]
    whole = [pair(f"k{place}", "caption") for place in range(4)]
    config = PairsConfig(path="", batch_size=8, length=32, image_size=8)
    reader, found = read(mixture_of(bytes_tokenizer, broken + whole, config))
    skipped = [shown.row.skipped for shown in found["it"].shown if shown.row.skipped]
    assert [int(element[2].split()[0]) for element in reader.of("replaced")] == skipped
    assert len(skipped) == 4
    assert f"unusable records{sum(skipped)}" in reader.of("tiles")[0][2]


def test_documents_in_reading_order():
    items = (Text("first"), Image(picture_bytes(), "a.png"), Text("second"), Image(picture_bytes(), "b.png"))
    documents = [Document(f"d{place}", items) for place in range(30)]
    found = inspect_documents("name", documents, "", 20, 3)
    reader = Reader(documents_page(found))
    cards = [element for element in reader.elements if element[0] == "article"]
    assert len(cards) == 3
    for card in cards:
        places = [card[2].index(part) for part in ("first", "a.png", "second", "b.png")]
        assert places == sorted(places)


@pytest.mark.parametrize(
    ("piece", "following", "wanted"),
    [
        ("a b", "", "a b"),
        ("", "", "·"),
        ("a\n\nb", "", "a↵↵\nb"),
        ("a\n", "\nb", "a↵"),
        ("\t\x00", "", "⇥\t⟨U+0000⟩"),
        ("\u2066x", "", "⟨U+2066⟩x"),
    ],
)
def test_what_cannot_be_seen_is_shown(piece, following, wanted):
    assert shown(piece, following) == wanted
