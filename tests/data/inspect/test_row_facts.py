from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.data.document import Document, Text
from flamingo_jax.data.inspect.row_facts import direction, tag_starts, text_lengths
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.packing import join
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.randomness import generator
from tests.data.samples import page, pair, picture_bytes

SMALL = {"path": "", "batch_size": 1, "image_size": 4}
PICTURE = picture_bytes(size=(2, 2))
layouts = st.text("i123", min_size=1, max_size=10)


@given(layouts, st.integers(20, 80), st.sampled_from(["last", "all"]))
def test_direction_is_the_drawn_one_or_unknown(bytes_tokenizer, layout, length, images_seen):
    document = page("p", layout, PICTURE)
    for p_next, name in ((0.0, "previous"), (1.0, "next")):
        config = InterleavedConfig(**SMALL, length=length, p_next=p_next, images_seen=images_seen)
        for draw in range(3):
            example = config.example(document, bytes_tokenizer, generator(draw))
            assert direction(example, bytes_tokenizer) in (name, None)


@given(layouts.filter(lambda layout: "i" in layout[1:]))
def test_direction_is_known_of_whole_pages_with_text_before_an_image(bytes_tokenizer, layout):
    for p_next, name in ((0.0, "previous"), (1.0, "next")):
        config = InterleavedConfig(**SMALL, length=400, p_next=p_next, max_images=12)
        example = config.example(page("p", layout, PICTURE), bytes_tokenizer, generator(0))
        assert direction(example, bytes_tokenizer) == name


@given(layouts)
def test_tags_and_the_texts_after_them(bytes_tokenizer, layout):
    document = page("p", layout, PICTURE)
    example = InterleavedConfig(**SMALL, length=400).example(document, bytes_tokenizer)
    wanted, paragraphs = [], None  # the bytes of the paragraphs after each image, joined by blank lines
    for item in document.items:
        if isinstance(item, Text):
            paragraphs = None if paragraphs is None else [*paragraphs, item.text]
        else:
            wanted += [] if paragraphs is None else ["\n\n".join(paragraphs)]
            paragraphs = []
    wanted += [] if paragraphs is None else ["\n\n".join(paragraphs)]
    assert text_lengths(example, bytes_tokenizer) == [len(text.encode()) for text in wanted]
    tags = [example.tokens[place : place + 7] for place in tag_starts(example, bytes_tokenizer)]
    assert [bytes_tokenizer.decode(tag) for tag in tags] == ["<image>"] * len(document.media)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=2))
def test_captions_of_packed_pairs(bytes_tokenizer, lengths):
    config = PairsConfig(**SMALL, length=64)
    parts = [config.example(pair("k", "x" * length, PICTURE), bytes_tokenizer) for length in lengths]
    joined = join(parts, 128, bytes_tokenizer.eos_id)
    assert text_lengths(joined, bytes_tokenizer) == lengths
    assert direction(joined, bytes_tokenizer) is None


def test_a_row_without_tags(bytes_tokenizer):
    example = InterleavedConfig(**SMALL, length=12).example(Document("p", (Text("no image"),)), bytes_tokenizer)
    assert text_lengths(example, bytes_tokenizer) == []
    assert direction(example, bytes_tokenizer) is None
