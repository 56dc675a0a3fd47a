"""What the mixture draws: the paper's rates and its worked example, measured on batches as training gets them.

Seeds are fixed, so nothing here is left to chance. A test of a distribution asks for p > 0.001.
"""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import stats

from flamingo_jax import config
from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.images import Augmentation
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.training.run import RunConfig
from tests.data.samples import WordTokenizer, page, pair

LIKELY = 0.001


def drawn(dataset, documents, rows, seed=0, tokenizer=None):
    """So many rows of a dataset, as one batch."""
    mixture = Mixture(MixtureConfig((("d", dataset),), seed=seed), tokenizer or WordTokenizer(), {"d": documents})
    batches = [mixture.batch(step)["d"] for step in range(rows // dataset.batch_size)]
    return {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}


def pages(**changes):
    return InterleavedConfig(**{"path": "", "batch_size": 100, "image_size": 8, "length": 8, **changes})


# The page <BOS> tag tag tag w w <EOC> tag tag tag w w <EOC> <EOS> in windows of eight tokens, worked out by hand: what
# each token sees where a window begins at 0, 1, ... From 2 on the first tag is cut, so its image is not in the window.
SEES_PREVIOUS = ["01111112", "11111122", "00000111", "00001111", "00011111", "00111111", "01111111"]
SEES_NEXT = ["11112222", "11122222", "11111111", "11111110", "11111100", "11111000", "11110000"]


@pytest.mark.parametrize("most", [2, 1])
def test_windows_begin_anywhere_and_see_next_or_previous_by_halves(most):
    """Both at once: every pair of a start and a way to see is as frequent as any other, so neither tells the other."""
    document = page("p", "i2i2")
    tokens = drawn(pages(batch_size=1, length=14), [document], 1)["tokens"][0].tolist()
    batch = drawn(pages(max_images=most, p_next=0.5), [document], 2800)
    expected = {}
    for start in range(7):
        window = bytes(np.array(tokens[start : start + 8], np.int32))
        for way, table in enumerate((SEES_PREVIOUS, SEES_NEXT)):
            kept = "".join(seen if int(seen) <= most else "0" for seen in table[start])
            expected[window, kept] = (start, way)
    assert len(expected) == 14
    found = [
        expected[row.tobytes(), "".join(map(str, index))]
        for row, index in zip(batch["tokens"], batch["image_index"].tolist(), strict=True)
    ]
    counts = [found.count(case) for case in itertools.product(range(7), range(2))]
    assert stats.chisquare(counts).pvalue > LIKELY


@pytest.mark.parametrize("p_next", [0.0, 0.5, 1.0])
def test_a_page_as_a_whole_sees_the_next_image_at_the_stated_rate(p_next):
    batch = drawn(pages(length=40, p_next=p_next), [page("p", "2i2i2")], 1000)
    previous = "0" * 4 + "1" * 6 + "2" * 7
    following = "1" * 7 + "2" * 6 + "0" * 4
    seen = ["".join(map(str, row[:17])) for row in batch["image_index"].tolist()]
    assert set(seen) <= {previous, following}
    assert stats.binomtest(seen.count(following), 1000, p_next).pvalue > LIKELY


def test_the_worked_example_of_the_paper():
    """Eight zeros, eleven ones and ten twos; `<EOC>` before each tag that does not open the page, and at the end."""
    texts = ("Cute pics of my pets!", "My puppy sitting in the grass.", "My cat looking very dignified.")
    picture = page("p", "i").media[0].encoded
    items = (Text(texts[0]), Image(picture), Text(texts[1]), Image(picture), Text(texts[2]))
    batch = drawn(pages(length=256, p_next=0.0, batch_size=1), [Document("pets", items)], 1)
    used = batch["segment_ids"][0].sum()
    assert batch["image_index"][0, : used - 1].tolist() == [0] * 8 + [1] * 11 + [2] * 10  # the figure has no <EOS>
    tokens, words = batch["tokens"][0, :used].tolist(), WordTokenizer()
    tag, (one, two, three) = list(words.image_tag_ids), map(words.encode, texts)
    eoc = words.eoc_id
    assert tokens == [words.bos_id, *one, eoc, *tag, *two, eoc, *tag, *three, eoc, words.eos_id]
    assert batch["frame_mask"][0, :, 0].tolist() == [True, True, False, False, False]


def test_images_beyond_the_fifth_are_left_out():
    batch = drawn(pages(length=256, batch_size=50), [page("p", "1i" * 7 + "1")], 100)
    assert (batch["frame_mask"].sum(axis=(1, 2)) == 5).all() and batch["images"].shape[1] == 5
    # <BOS> w <EOC>, then six times tag w <EOC>, then the last with <EOS>: 3 + 6 * 5 + 6 tokens.
    previous = [0] * 3 + [image for image in range(1, 6) for _ in range(5)] + [0] * 11
    following = [1] * 6 + [image for image in range(2, 6) for _ in range(5)] + [0] * 13
    rows = [row[:39] for row in batch["image_index"].tolist()]
    assert all(row in (previous, following) for row in rows)
    assert 0 < sum(row == following for row in rows) < 100


class SpaceTokenizer(WordTokenizer):
    """Tells by its first token whether a text begins with a space."""

    def encode(self, text):
        return [9999] * text.startswith(" ") + super().encode(text)


def test_half_of_the_captions_begin_with_a_space():
    dataset = PairsConfig(path="", batch_size=100, image_size=8, length=16)
    spaced = drawn(dataset, [pair(f"k{place}") for place in range(7)], 1000, tokenizer=SpaceTokenizer())
    assert stats.binomtest(int((spaced["tokens"][:, 4] == 9999).sum()), 1000, 0.5).pvalue > LIKELY


def bands():
    """An image of 8 x 8 pixels: dark and light grey, and two shades of red; its mean luma is 105.5."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    for band, colour in enumerate([(40, 40, 40), (180, 180, 180), (160, 80, 80), (140, 80, 80)]):
        pixels[:, 2 * band : 2 * band + 2] = colour
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG")
    return pixels, buffer.getvalue()


def test_flips_and_colour_factors():
    """The factors are recovered from the bands. Ranges are those of the defaults, each uniform, and none tells another.

    With brightness b, contrast c around the mean and saturation s, greys differ by b c of what they did and the red of
    a band from its green by b c s.
    """
    pixels, encoded = bands()
    strength, rows = 0.1, 1500
    augment = Augmentation()
    assert augment == Augmentation(True, strength, strength, strength)
    dataset = PairsConfig(path="", batch_size=100, image_size=8, length=16, augment=augment)
    images = drawn(dataset, [pair("k", encoded=encoded)], rows)["images"][:, 0, 0, 4].astype(float)
    flipped = images[:, 0, 0] != images[:, 0, 1]  # the first band is grey
    assert stats.binomtest(int(flipped.sum()), rows, 0.5).pvalue > LIKELY
    images[flipped] = images[flipped, ::-1]
    dark, light, red = images[:, 0, 0], images[:, 2, 0], images[:, 4]
    both = (light - dark) / 140
    mean = np.round(pixels.reshape(-1, 3).mean(axis=0)) @ [0.299, 0.587, 0.114]
    brightness = (dark + both * (mean - 40)) / mean
    factors = {
        "brightness": brightness,
        "contrast": both / brightness,
        "saturation": (red[:, 0] - red[:, 1]) / 80 / both,
    }
    for name, values in factors.items():
        # Bytes are rounded, which blurs a factor by as much as 0.02. A statistic of 0.05 has p = 0.001 here.
        assert abs(values.min() - 0.9) < 0.025 and abs(values.max() - 1.1) < 0.025, name
        assert stats.kstest(values, stats.uniform(0.9, 0.2).cdf).statistic < 0.05, name
    for one, other in itertools.combinations([*factors.values(), flipped], 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(rows)


def orders(names, size, epochs, seed=0):
    """For each dataset and epoch the order in which its records come."""
    datasets = tuple((name, PairsConfig(path="", batch_size=size, image_size=8, length=12)) for name in names)
    mixture = Mixture(MixtureConfig(datasets, seed=seed), WordTokenizer(), dict.fromkeys(names, [pair("k")] * size))
    return {name: np.array([mixture.records(name, epoch) for epoch in range(epochs)]) for name in names}


def test_every_epoch_is_a_new_order_of_all_records():
    found = orders(("one", "other"), 500, 4)
    for epochs in found.values():
        assert all(sorted(epoch) == list(range(500)) for epoch in epochs.tolist())
    kinds = [epoch for epochs in found.values() for epoch in epochs] + [np.arange(500)]
    for one, other in itertools.combinations(kinds, 2):
        assert stats.spearmanr(one, other).pvalue > LIKELY


def test_each_record_may_come_anywhere_in_an_epoch():
    epochs = orders(("one",), 8, 800)["one"]
    counts = np.array([np.bincount(epochs[:, place], minlength=8) for place in range(8)])
    assert stats.chisquare(counts.ravel()).pvalue > LIKELY


def test_choices_of_datasets_and_epochs_are_independent():
    """Of two datasets with the same page, and of one page in two epochs, one row does not tell the other's window."""
    document = page("p", "9" * 4)
    datasets = tuple((name, pages(batch_size=1000, length=20)) for name in ("one", "other"))
    mixture = Mixture(MixtureConfig(datasets), WordTokenizer(), dict.fromkeys(("one", "other"), [document] * 1000))
    first, second = mixture.batch(0), mixture.batch(1)
    tokens = drawn(pages(batch_size=1, length=39), [document], 1)["tokens"][0]
    place = {tokens[start : start + 20].tobytes(): start for start in range(20)}
    starts = [
        np.array([place[row.tobytes()] for row in batch[name]["tokens"]]) for batch in (first, second) for name in batch
    ]
    for one, other in itertools.combinations(starts, 2):
        assert len(set(one.tolist())) == 20 and abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(1000)


def test_the_papers_mixture(monkeypatch):
    """Section 3.4 of the specification: 256, 512, 512 and 64 rows a step, weights 1, 0.2, 0.2 and 0.03."""
    monkeypatch.chdir(Path(__file__).parents[2])
    mixture = config.resolve(RunConfig, ["gin/runs/ablation_baseline.gin"], []).mixture
    rows = {name: (dataset.batch_size, dataset.weight) for name, dataset in mixture.datasets}
    assert rows == {"m3w": (256, 1.0), "align": (512, 0.2), "ltip": (512, 0.2), "vtp": (64, 0.03)}
    m3w, align, ltip, vtp = (dataset for _, dataset in mixture.datasets)
    assert (m3w.length, m3w.max_images, m3w.p_next) == (256, 5, 0.5)
    assert {align.length, ltip.length} == {32, 64} and {align.prefix_space, ltip.prefix_space} == {0.5}
    assert (vtp.num_frames, vtp.frame_rate) == (8, 1.0)
    assert {dataset.image_size for _, dataset in mixture.datasets} == {320}
