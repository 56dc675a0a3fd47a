import pytest

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.errors import RecordError, SourceError
from flamingo_jax.data.inspect.documents import guess_kind, inspect_documents
from flamingo_jax.data.inspect.table import documents_table
from tests.data.samples import clip, page, pair, picture_bytes

PAGES = [page(f"p{place}", "i3i12"[: place % 5 + 1]) for place in range(10)]
PAIRS = [pair(f"k{place}", "two words") for place in range(10)]
CLIPS = [clip(f"c{place}", b"no clip") for place in range(3)]
TEXTS = [Document("t", (Text("only text"),))]


@pytest.mark.parametrize(
    ("documents", "kind"),
    [
        (PAGES, "interleaved"),
        (PAIRS, "pairs"),
        (CLIPS, "video"),
        (TEXTS, "text"),
        ([*PAIRS, *PAGES[1:4]], "pairs"),
        ([], "interleaved"),
    ],
)
def test_kinds_by_the_records(documents, kind):
    assert guess_kind(documents) == kind


def test_figures():
    found = inspect_documents("pages", PAGES, "interleaved", 1000, 4)
    summary = found.statistics.summary()
    layouts = ["i3i12"[: place % 5 + 1] for place in range(10)]
    words = [sum(int(item) for item in layout if item != "i") for layout in layouts]
    assert (summary["records"], summary["documents"], summary["unfit"]["count"]) == (10, 10, 0)
    assert summary["words"]["mean"] == sum(words) / 10 and summary["words"]["max"] == max(words)
    assert summary["images"]["mean"] == sum(layout.count("i") for layout in layouts) / 10
    assert summary["stills"]["formats"] == {"PNG": sum(layout.count("i") for layout in layouts)}
    assert (summary["stills"]["width"]["p50"], summary["stills"]["height"]["max"]) == (32, 24)
    assert summary["stills"]["bytes"]["max"] == len(picture_bytes())
    assert len(found.shown) == 4 and all(PAGES[record] == document for record, document in found.shown)
    assert "10 of 10" in documents_table(summary) and "interleaved\n" in documents_table(summary)


def test_documents_of_another_kind_are_counted():
    spoilt = [*PAIRS, Document("none", (Text("text"),)), Document("mute", (Image(b"?"),)), PAGES[3]]
    summary = inspect_documents("pairs", spoilt, "", 1000, 4).statistics.summary()
    assert (summary["kind"], summary["kind_given"], summary["unfit"]["count"]) == ("pairs", False, 3)
    assert sorted(summary["unfit"]["examples"]) == ["mute: no caption", "none: 0 media", "p3: 2 media"]
    assert summary["stills"]["unreadable"] == 1
    summary = inspect_documents("pairs", spoilt, "text", 1000, 4).statistics.summary()
    assert (summary["kind"], summary["unfit"]["count"]) == ("text", 12)


class Damaged(list):
    error = RecordError

    def __getitem__(self, place):
        if place % 3 == 1:
            raise self.error("damaged")
        return super().__getitem__(place)


def test_damaged_records_are_counted_and_other_errors_are_raised():
    summary = inspect_documents("pairs", Damaged(PAIRS), "", 1000, 4).statistics.summary()
    assert (summary["documents"], summary["damaged_records"]) == (7, 3)
    broken = Damaged(PAIRS)
    broken.error = SourceError
    with pytest.raises(SourceError, match="damaged"):
        inspect_documents("pairs", broken, "", 1000, 4)


def test_a_part_of_a_large_dataset_is_drawn_evenly_and_always_the_same():
    many = [pair(f"k{place}") for place in range(3000)]
    one, again = (inspect_documents("pairs", many, "", 100, 50) for _ in range(2))
    records = [record for record, _ in one.shown]
    assert records == [record for record, _ in again.shown] and len(set(records)) == 50
    assert one.statistics.summary()["documents"] == 100
    assert {record // 1000 for record in records} == {0, 1, 2}
