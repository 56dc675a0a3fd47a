"""The parts that the report's drawings are made of: scales, paths, figures, marks and thumbnails."""

import base64
import io

import numpy as np
import pytest
from etils import epath
from PIL import Image

from flamingo_jax.evaluation.report import curves
from flamingo_jax.evaluation.report.charts import Frame, Line, line_chart
from flamingo_jax.evaluation.report.heldout import mark_changes, mark_words
from flamingo_jax.evaluation.report.scales import Scale, domain_of, typical
from flamingo_jax.evaluation.report.thumbnails import thumbnail
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, join, tag


@pytest.mark.parametrize(
    ("domain", "log", "labels"),
    [
        ((0, 1), False, ["0", "0.25", "0.50", "0.75", "1.00"]),
        ((-0.6, 0.6), False, ["−0.5", "0", "0.5"]),
        ((0, 60_000), False, ["0", "20k", "40k", "60k"]),
        ((0, 1e-4), False, ["0", "2.5e−5", "5e−5", "7.5e−5", "1e−4"]),
        ((0.9, 1300), True, ["1", "10", "100", "1k"]),
        ((0.09, 1.1), True, ["0.1", "0.2", "0.5", "1"]),
        ((0.09, 11), True, ["0.1", "0.3", "1", "3", "10"]),
    ],
)
def test_ticks_stand_at_round_values(domain, log, labels):
    ticks = Scale(domain, (0, 100), log).ticks(4)
    assert [label for _, label in ticks] == labels
    assert all(domain[0] <= value * (1 + 1e-9) and value <= domain[1] * (1 + 1e-9) for value, _ in ticks)


@pytest.mark.parametrize("seed", range(30))
def test_any_domain_gets_a_few_distinct_ticks_inside(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=5) * 10.0 ** rng.integers(-12, 12) + rng.normal() * 10.0 ** rng.integers(-3, 6)
    low, high = domain_of(values)
    ticks = Scale((low, high), (0, 100)).ticks(4)
    assert 2 <= len(ticks) <= 9
    assert low <= values.min() <= values.max() <= high
    positions = Scale((low, high), (0, 100))(np.array([value for value, _ in ticks]))
    assert (positions >= -1e-6).all()
    assert (positions <= 100 + 1e-6).all()
    assert (np.diff(positions) > 5).all()


def test_scales_map_ends_to_ends_and_leave_out_what_a_logarithm_cannot_show():
    np.testing.assert_allclose(Scale((2, 4), (10, 0))([2, 3, 4]), [10, 5, 0])
    np.testing.assert_allclose(Scale((1, 100), (0, 10), log=True)([1, 10, 100, 0, -1]), [0, 5, 10, np.nan, np.nan])


def test_a_domain_ignores_what_is_not_finite_and_far_outliers_where_asked():
    values = np.array([2.3] * 50 + [2.4] * 50 + [61.0, np.nan, np.inf])
    assert domain_of(values)[1] > 61
    assert 2.4 < domain_of(values, robust=True)[1] < 3
    assert typical(values).sum() == 100
    falling = np.geomspace(30, 0.3, 200)
    assert typical(np.concatenate([falling, np.full(800, 0.3)])).all()
    assert domain_of(np.array([np.nan])) == (0.0, 1.0)
    assert domain_of(np.zeros(9)) == domain_of(np.zeros(9), robust=True) == (0.0, 1.0)
    assert domain_of(np.array([-1.0, 0.0])) == (-1.05, 0.0)
    assert domain_of(np.array([5.0]))[0] < 5 < domain_of(np.array([5.0]))[1]


def test_paths_leave_gaps_and_show_lone_points():
    steps = np.arange(6.0)
    assert curves.path(steps, np.array([1, 2, np.nan, 3, np.nan, 4.0])) == (
        "M0.0 1.0L1.0 2.0" "M3.0 3.0h0" "M5.0 4.0h0"
    )  # fmt: skip
    assert curves.path(steps[:0], steps[:0]) == ""


def test_smoothing_keeps_constants_and_gaps_and_reduces_noise():
    constant = np.full(50, 3.0)
    constant[20] = np.nan
    np.testing.assert_allclose(curves.smooth(constant, 4.0), constant)
    noise = np.random.default_rng(0).normal(size=400)
    assert curves.smooth(noise, 5.0).std() < 0.4 * noise.std()
    spike = np.ones(50)
    spike[25] = 1000
    np.testing.assert_allclose(curves.smooth(spike, 3.0, typical(spike)), 1.0)


def test_thinning_keeps_extremes_ends_and_gaps():
    values = np.sin(np.arange(50_000) / 50)
    values[31_234], values[17_001], values[40_000] = 9.0, -9.0, np.nan
    kept = curves.thin(values, 1200)
    assert len(kept) <= 1300
    assert {0, 17_001, 31_234, 40_000, 49_999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()
    np.testing.assert_array_equal(curves.thin(values[:100], 1200), np.arange(100))


def test_labels_keep_their_distance_and_their_order():
    placed = curves.spread([50.0, 51.0, 10.0, 99.0, 98.0], 12, 0, 100)
    assert (np.diff(sorted(placed)) >= 12 - 1e-9).all()
    assert np.argsort(placed).tolist() == [2, 0, 1, 4, 3]
    assert min(placed) >= 0
    assert max(placed) <= 100


def test_a_chart_says_how_many_points_lie_outside_and_marks_resumes():
    steps = np.arange(1, 101)
    values = np.full(100, 2.0) + 0.01 * np.sin(steps)
    values[0] = 61.0
    line = Line("step time", steps, values, "red", "now")
    drawing = line_chart([line], Frame(robust=True), description="time", marks=(50, 700))
    assert "1 point outside, up to 61.0" in drawing
    assert drawing.count('class="resume"') == 1
    assert "step 1\nstep time: 61.0" in drawing
    assert ">now</text>" in drawing
    assert "outside" not in line_chart([line], Frame(), description="time")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.03124, "0.0312"), (3.2, "3.20"), (1234.5, "1,234"), (2.5e-5, "2.5e−5"), (-1.5, "−1.50")],
)
def test_numbers_have_three_digits(value, shown):
    assert figures.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(8.44, "8.4 s"), (60, "1 min"), (552.3, "9 min 12 s"), (7505, "2 h 5 min"), (273_600, "3 d 4 h"), (3599.7, "1 h")],
)
def test_durations_have_two_units(seconds, shown):
    assert figures.duration(seconds) == shown


def test_text_is_escaped_once_and_markup_is_not():
    assert tag("p", "<&>", Html("<b>x</b>"), title='"') == '<p title="&quot;">&lt;&amp;&gt;<b>x</b></p>'
    assert join(["<", tag("i", 1)], " ") == "&lt; <i>1</i>"


def test_words_are_marked_whole_and_in_any_case():
    marked = mark_words("Red reddish <red> star", {"colour": ("red", "red"), "shape": ("disc", "star")})
    assert marked == (
        '<mark class="right">Red</mark> reddish &lt;<mark class="right">red</mark>&gt; <mark class="wrong">star</mark>'
    )
    assert mark_words("a < b", {"colour": ("red", "")}) == "a &lt; b"


def test_changed_words_are_marked():
    assert mark_changes("a red star here", "a blue star <there>") == (
        'a <mark class="changed">blue</mark> star <mark class="changed">&lt;there&gt;</mark>'
    )
    assert "mark" not in mark_changes("the same", "the same")


def _png(colour, size):
    buffer = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def _decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


def test_thumbnails_come_from_paths_and_from_base64_and_shrink(tmp_path):
    workdir = epath.Path(tmp_path)
    encoded = _png((10, 200, 30), (400, 100))
    (workdir / "a.png").write_bytes(encoded)
    in_base64 = base64.b64encode(encoded).decode()
    uris = [thumbnail(image, workdir, 64) for image in ("a.png", in_base64, f"data:image/png;base64,{in_base64}")]
    assert len(set(uris)) == 1
    small = _decoded(uris[0])
    assert small.size == (64, 16)
    assert np.abs(np.subtract(small.getpixel((5, 5)), (10, 200, 30))).max() <= 3
    assert _decoded(thumbnail("a.png", workdir, 1000)).size == (400, 100)


def test_transparency_is_put_on_white(tmp_path):
    uri = thumbnail(base64.b64encode(_png((0, 0, 0, 0), (8, 8))).decode(), epath.Path(tmp_path), 8)
    assert _decoded(uri).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    "image", [None, 3, "", "no such file.png", "../secret.png", "aGVsbG8=", "truncated.png", "huge.png"]
)
def test_what_is_no_image_of_the_run_is_refused(tmp_path, image):
    workdir = epath.Path(tmp_path) / "run"
    workdir.mkdir()
    (workdir.parent / "secret.png").write_bytes(_png((1, 2, 3), (8, 8)))
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    (workdir / "truncated.png").write_bytes(buffer.getvalue()[:2000])
    (workdir / "huge.png").write_bytes(_huge_header())
    with pytest.raises(ValueError, match=r"no image|base64|decoded|too large"):
        thumbnail(image, workdir, 64)


def _huge_header() -> bytes:
    """A PNG that says that it is 20,000 x 20,000 pixels."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
