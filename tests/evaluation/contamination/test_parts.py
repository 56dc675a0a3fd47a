"""The parts of the check: which items, what is compared, how it is counted, and who does the work."""

import dataclasses
import io
import operator
import os

import numpy as np
import pytest
from etils import epath
from PIL import Image as Picture

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Document, Image, Video
from flamingo_jax.data.duplicates import is_exact
from flamingo_jax.data.errors import RecordError, SourceError
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.contamination.items import read_items
from flamingo_jax.evaluation.contamination.questioned import Questioned, fingerprinted
from flamingo_jax.evaluation.contamination.search import Hit, Part, search
from flamingo_jax.evaluation.contamination.stills import still_of
from flamingo_jax.evaluation.contamination.tally import Counts, Tally, in_words
from flamingo_jax.evaluation.contamination.workers import Workers
from tests.evaluation.contamination.toy import BENCHMARK, clip_of, encoded, shapes, write_release


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = epath.Path(tmp_path_factory.mktemp("release"))
    write_release(folder)
    return folder


def counted(corpora, questioned):
    tally = Tally(len(corpora), questioned)
    for part in search(corpora, questioned, 1):
        tally.add(part)
    return tally


def test_the_dev_split_is_looked_for_too_and_corpora_add_up(release):
    items = read_items(BENCHMARK, release)
    keys = {split: {item.key for item in some} for split, some in items.items()}
    assert keys.keys() == {"test", "dev"} and len(keys["dev"]) == 4
    every = [Document(f"{seed}", (Image((release / "train" / f"{seed}.jpg").read_bytes()),)) for seed in range(20, 26)]
    first = [Document("test", (Image((release / "test" / "03.jpg").read_bytes()),))]
    tally = counted([first, [*every, every[0]], []], fingerprinted(items, 1))
    splits = tally.splits()
    assert set(splits["dev"]["exact_items"]) == set(splits["dev"]["candidate_items"]) == keys["dev"]
    assert splits["test"]["exact_items"] == ["03.jpg/0", "03.jpg/1"]
    pictures = {key.partition("/")[0] for key in keys["dev"]}
    expected = len(pictures) + ("20.jpg" in pictures)  # 20 is there twice
    assert [one.exact for one in tally.corpora] == [1, expected, 0]
    assert tally.total.candidates == 1 + expected and tally.total.documents == 8


def test_damage_is_counted_and_an_unreadable_corpus_ends_the_search(release):
    class Damaged:
        def __len__(self):
            return 40

        def __getitem__(self, index):
            if index == 3:
                raise RecordError("damaged")
            if index == 39 and self.gone:
                raise SourceError("the disk is gone")
            return Document(str(index), (Image((release / "test" / "00.jpg").read_bytes(), ""),))

        gone = False

    questioned = fingerprinted(read_items(BENCHMARK, release, dev=False), 1)
    corpus = Damaged()
    tally = Tally(1, questioned)
    for part in search([corpus], questioned, 1):
        tally.add(part)
    assert dataclasses.asdict(tally.total) == {
        **dict.fromkeys(("clips", "undecodable"), 0),
        "documents": 40,
        "damaged_documents": 1,
        **dict.fromkeys(("images", "candidates", "exact", "pairs"), 39),
    }
    corpus.gone = True
    with pytest.raises(SourceError, match="the disk is gone"):
        list(search([corpus], questioned, 1))


def test_a_tally_keeps_the_best_pairs_and_counts_all():
    media = [MediaFile(str(place)) for place in range(3)]
    items = {"test": [Item(str(place), medium, "", "") for place, medium in enumerate(media)]}
    tally = Tally(2, Questioned(items, media, [], []), kept=3)
    hits = [
        Hit(corpus, record, "d", 0, False, "", record % 2, 9 - record, False)
        for corpus in (0, 1)
        for record in range(8)
    ]
    last = Hit(1, 8, "d", 0, False, "", 1, 2, True)
    for corpus in (0, 1):
        of_corpus = [hit for hit in [*hits, last] if hit.corpus == corpus]
        tally.add(Part(corpus, 10, 0, 12, 0, 0, of_corpus))
    assert tally.best() == [last, hits[7], hits[15]]
    assert tally.total == Counts(20, 0, 24, 0, 0, 17, 1, 17)
    split = tally.splits()["test"]
    assert split["candidate_items"] == ["1", "0"] and split["exact_items"] == ["1"]
    assert in_words(tally.total) == "17 near-duplicate candidates, of which 1 exact"
    assert in_words(Counts(candidates=1314, exact=125)) == "1,314 near-duplicate candidates, of which 125 exact"
    assert in_words(Counts()) == "no near-duplicate candidate"


def test_stills():
    picture = encoded(shapes(1))
    assert still_of(Image(picture)) == picture
    clip = clip_of(7)
    first, later = still_of(Video(clip)), still_of(Video(clip, "", (1.2, 2.0)))
    reference = np.asarray(shapes(7), float)
    assert np.abs(np.asarray(Picture.open(io.BytesIO(first)).resize((240, 180)), float) - reference).mean() < 12
    assert np.abs(np.asarray(Picture.open(io.BytesIO(later)).resize((240, 180)), float) - reference).mean() > 25
    assert is_exact(first, encoded(Picture.open(io.BytesIO(first)))) and not is_exact(first, later)


def test_workers_take_tasks_as_they_go_and_keep_their_order():
    taken = []

    def tasks():
        for number in range(100):
            taken.append(number)
            yield number

    with Workers(2) as workers:
        results = workers.map(operator.neg, tasks())
        assert next(results) == 0
        assert len(taken) <= 10
        assert list(results) == [-number for number in range(1, 100)]


def test_a_killed_process_is_one_clear_error():
    with Workers(2) as workers, pytest.raises(ConfigError, match=r"was killed.*--processes"):
        list(workers.map(os._exit, [9]))


def test_errors_of_processes_are_raised_here():
    with Workers(2) as workers, pytest.raises(TypeError):
        list(workers.map(operator.neg, ["no number"]))
