"""Evaluation images are found in a corpus, from folders and tars to the page that shows them."""

import functools
import html.parser
import io
import json
import re

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image as Picture

from data_pipelines import decontaminate
from data_pipelines.copies import decontamination
from data_pipelines.copies.decontamination import Decontamination, EvaluationImages
from data_pipelines.copies.decontamination_report import Pair, counts, ordered, render, to_json
from data_pipelines.output import BuildError
from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.duplicates import COPIES, MAY_BE_EXACT, distance, fingerprint, is_exact
from tests.data_pipelines.fixtures_tars import tar_bytes


@functools.cache
def picture(seed, kind="PNG", scale=1.0, **options):
    """The file of a picture with coarse shapes of its own."""
    rng = np.random.default_rng(seed)
    pixels = sum(
        np.asarray(Picture.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize((120, 90)), float) / n
        for n in (2, 4, 8, 16)
    )
    image = Picture.fromarray((pixels * 255 / pixels.max()).astype(np.uint8))
    buffer = io.BytesIO()
    image.resize((round(120 * scale), round(90 * scale))).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    """COCO-like: images in folders beside annotations, some of them in a tar, one of them broken."""
    root = tmp_path_factory.mktemp("evaluation") / "coco"
    (root / "val2014").mkdir(parents=True)
    (root / "annotations").mkdir()
    (root / "annotations" / "captions.json").write_text("{}")
    for seed in range(3):
        (root / "val2014" / f"{seed}.jpg").write_bytes(picture(seed, "JPEG", quality=90))
    (root / "val2014" / "broken.JPEG").write_bytes(b"no image")
    members = [("test/3.png", picture(3)), ("test/3.txt", b"caption"), ("test/4.png", picture(4))]
    (root / "test.tar").write_bytes(tar_bytes(members))
    return root


@pytest.fixture(scope="module")
def images(evaluation):
    return EvaluationImages.load([str(evaluation)])


def test_folders_and_tars_are_read(images):
    names = ["test.tar/test/3.png", "test.tar/test/4.png", *(f"val2014/{seed}.jpg" for seed in range(3))]
    assert [image.name for image in images.images] == [f"coco/{name}" for name in names]
    assert images.unreadable == ("coco/val2014/broken.JPEG",) and len(images) == 5


def test_copies_match_and_others_do_not(images):
    small = fingerprint(picture(1, "JPEG", 0.6, quality=50))
    hits = images.match([small, fingerprint(picture(9)), fingerprint(picture(4))])
    assert [[hit.image.name for hit in of_picture] for of_picture in hits] == [
        ["coco/val2014/1.jpg"],
        [],
        ["coco/test.tar/test/4.png"],
    ]
    assert hits[2][0].distance == 0
    assert images.match([], COPIES) == []


def test_what_a_hit_does(images):
    hit, clean = images.match([fingerprint(picture(4)), fingerprint(picture(9))])
    rules = {
        action: (
            decontamination.image_reason(hit, Decontamination(action=action)),
            decontamination.page_reason(bool(clean or hit), Decontamination(action=action)),
        )
        for action in ("report", "drop_image", "drop_page")
    }
    assert rules == {
        "report": (None, None),
        "drop_image": ("image_in_evaluation", None),
        "drop_page": (None, "page_with_evaluation_image"),
    }
    dropping = Decontamination(action="drop_page"), Decontamination(action="drop_image")
    assert decontamination.page_reason(bool(clean), dropping[0]) is None
    assert decontamination.image_reason(clean, dropping[1]) is None
    with pytest.raises(ValueError, match="drop_image"):
        Decontamination(action="delete")


def test_evaluations_that_cannot_be_read(tmp_path, evaluation):
    def load(*roots):
        EvaluationImages.load([str(tmp_path / root) for root in roots])

    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.json").write_text("{}")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"")
    whole = (evaluation / "test.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "packed.tar.gz").write_bytes(b"\x1f\x8b")
    for root, message in [
        ("nowhere", "the evaluation's folder .*nowhere does not exist"),
        ("texts", "has no image"),
        ("broken", "none of the 1 evaluation images"),
        ("cut.tar", r"cut\.tar cannot be read"),
        ("packed.tar.gz", "compressed"),
    ]:
        with pytest.raises(BuildError, match=message):
            load(root)


def test_exact_is_the_same_bytes_or_pixels():
    assert is_exact(b"x", b"x") and not is_exact(b"x", b"y")
    assert is_exact(picture(1), picture(1, "BMP")) and not is_exact(picture(1), picture(1, "JPEG"))


PAIRS = [
    Pair("page 2", 0, "<b>.png", "coco/1.jpg", 4, False),
    Pair("page 1", 1, "", "coco/1.jpg", 0, False),
    Pair("page 1", 0, 'a"&.png', "coco/2.jpg", 0, True),
    Pair("page 1", 0, 'a"&.png', "vqa/2.jpg", 0, True),
]


def test_pairs_are_counted_and_ordered():
    assert ordered(PAIRS) == [PAIRS[2], PAIRS[3], PAIRS[1], PAIRS[0]]
    assert counts(PAIRS) == {
        "candidate_pairs": 4,
        "exact_pairs": 2,
        "candidate_images": 3,
        "exact_images": 1,
        "evaluation_images_found": 3,
    }
    report = json.loads(to_json({"dataset": "d", "images": 7}, PAIRS))
    assert report["images"] == 7 and report["exact_images"] == 1
    assert [pair["document"] for pair in report["pairs"]] == ["page 1", "page 1", "page 1", "page 2"]


class Elements(html.parser.HTMLParser):
    """Collects the elements of a page, and its text."""

    def __init__(self, page):
        super().__init__()
        self.found, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_shows_pairs_side_by_side():
    page = render({"dataset": "<d>", "images": 7}, PAIRS, lambda pair: (picture(1), b"no image"))
    elements = Elements(page)
    sources = [attributes["src"] for tag, attributes in elements.found if tag == "img"]
    assert len(sources) == 4 and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert [tag for tag, _ in elements.found].count("article") == 4
    assert not {"script", "link", "iframe", "b"} & {tag for tag, _ in elements.found}
    assert not re.search(r"https?://|@import|url\(", page)
    text = " ".join(elements.text)
    for expected in ("<d>", "page 2, image 1: <b>.png", 'page 1, image 1: a"&.png', "Exact copies: 2", "Candidates: 2"):
        assert expected in text


def test_the_page_shows_the_first_of_many(monkeypatch):
    monkeypatch.setattr("data_pipelines.copies.decontamination_report.SHOWN", 3)
    page = render({"dataset": "d"}, PAIRS, lambda pair: (b"", b""))
    assert page.count("<article>") == 3 and "Candidates: 2, the first 1 are shown" in page


class Corpus(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A stored dataset of two pages."""

    VERSION = tfds.core.Version("1.0.0")
    PAGES = (
        Document(
            "a",
            (Text("one"), Image(picture(9), "9.png"), Image(picture(1, "JPEG", quality=90), "1.jpg"), Image(b"broken")),
        ),
        Document("b", (Image(picture(3, "BMP"), "3.bmp"), Image(picture(2, "JPEG", 0.5), "2.jpg"), Text("two"))),
    )

    def _info(self):
        texts = tfds.features.Sequence(tfds.features.Text())
        features = {"key": tfds.features.Text(), "kinds": texts, "payloads": texts, "sources": texts}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(self.PAGES[:1]), "validation": self._generate_examples(self.PAGES[1:])}

    def _generate_examples(self, pages):
        for page in pages:
            yield page.key, page.to_record()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    tfds.display_progress_bar(False)
    builder = Corpus(data_dir=folder, file_format="array_record")
    builder.download_and_prepare(
        download_dir=folder / "d", download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    return folder / "corpus"


def test_a_stored_dataset_is_checked(dataset, evaluation, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = ["--input", str(dataset), "--evaluation", str(evaluation), "--output", str(out), "--processes", "1"]
    decontaminate.main(arguments)
    report = json.loads((out / "decontamination.json").read_text())
    found = {(pair["document"], pair["picture"]): (pair["evaluation"], pair["exact"]) for pair in report["pairs"]}
    assert found == {
        ("a", 1): ("coco/val2014/1.jpg", True),
        ("b", 0): ("coco/test.tar/test/3.png", True),  # another format, the same pixels
        ("b", 1): ("coco/val2014/2.jpg", False),
    }
    assert (report["documents"], report["images"], report["undecodable_images"]) == (2, 5, 1)
    assert (report["candidate_images"], report["exact_images"], report["unreadable_evaluation_images"]) == (3, 2, 1)
    assert (out / "decontamination.html").read_text().count("<img ") == 6
    assert "3 are candidates, 2 of them exact copies" in capsys.readouterr().out
    with pytest.raises(BuildError, match="--overwrite"):
        decontaminate.main(arguments)


class Here:
    """Workers that are this process."""

    def map(self, function, things, chunksize):
        return map(function, things)


def test_the_same_pixels_in_another_format_are_exact(tmp_path):
    """Large JPEGs are decoded at another scale, so that their hash differs by some bits."""
    jpeg = picture(1, "JPEG", 13, quality=90)
    buffer = io.BytesIO()
    Picture.open(io.BytesIO(jpeg)).save(buffer, "BMP")
    assert 0 < distance(fingerprint(jpeg), fingerprint(buffer.getvalue())) <= MAY_BE_EXACT
    (tmp_path / "0.jpg").write_bytes(jpeg)
    images = EvaluationImages.load([str(tmp_path)])
    documents = [Document("a", (Image(buffer.getvalue(), "0.bmp"),))]
    checked = {"images": 0, "damaged_documents": 0, "undecodable_images": 0}
    ((pair, _, _),) = decontaminate._check(documents, images, COPIES, Here(), checked)
    assert pair.exact


def test_a_damaged_record_is_counted(images):
    class Damaged:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            if index == 0:
                raise ValueError("damaged")
            return Corpus.PAGES[1]

    checked = {"images": 0, "damaged_documents": 0, "undecodable_images": 0}
    found = list(decontaminate._check(Damaged(), images, COPIES, Here(), checked))
    assert checked == {"images": 2, "damaged_documents": 1, "undecodable_images": 0}
    assert {(pair.document, record) for pair, record, _ in found} == {("b", 1)}


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "--evaluation FOLDER"),
        (["--evaluation", "{evaluation}", "--output", "{evaluation}/report"], "lies inside"),
        (["--evaluation", "{evaluation}", "--output", "{other}"], "not a report of this program"),
    ],
)
def test_wrong_calls_are_one_error(arguments, message, dataset, evaluation, tmp_path):
    (tmp_path / "other").mkdir()
    names = {"evaluation": evaluation, "other": tmp_path / "other"}
    given = [argument.format(**names) for argument in arguments]
    output = [] if "--output" in given else ["--output", str(tmp_path / "new")]
    with pytest.raises(BuildError, match=message):
        decontaminate.main(["--input", str(dataset), *given, *output])
    assert not (tmp_path / "new").exists()


def test_a_binding_may_name_the_evaluation(dataset, tmp_path):
    bindings = [
        "--gin=from __gin__ import dynamic_registration",
        "--gin=from data_pipelines.copies import decontamination",
        "--gin=decontamination.Decontamination.evaluation = ('/no/such/folder',)",
    ]
    with pytest.raises(BuildError, match="/no/such/folder does not exist"):
        decontaminate.main(["--input", str(dataset), "--output", str(tmp_path / "new"), "--processes=1", *bindings])
