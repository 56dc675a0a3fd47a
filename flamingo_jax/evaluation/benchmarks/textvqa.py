"""TextVQA 0.5.1: 34,602 questions of train, 5,000 of val and 5,734 of test about text in pictures of OpenImages.

The paper gives the model no OCR tokens, so the release's OCR files are not read. The answers of test are kept back.
"""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import templates, visual_questions
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate
from flamingo_jax.evaluation.metrics.vqa_rules import openflamingo_accuracy, textvqa_accuracy

_TITLE = "TextVQA"
_TRAIN_IMAGES = ReleaseFile(
    "train_images/",
    "25,119 pictures, of train and val: train_val_images.zip of textvqa.org's downloads",
    alternatives=("train_val_images/train_images/",),
    archive="train_val_images.zip",
)
_TEST_IMAGES = ReleaseFile("test_images/", "3,289 pictures: test_images.zip of textvqa.org's downloads")
_IMAGES = {"train": _TRAIN_IMAGES, "val": _TRAIN_IMAGES, "test": _TEST_IMAGES}


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split; an example shows the most frequent answer."""
    path, images = folder / _questions(split).path, locate(folder, _IMAGES[split])
    records = field(read_json(path, keep=_without_words), "data", list, path, "the whole file")
    return [_item(record, place, path, images) for place, record in enumerate(records)]


def _item(record: dict, place: int, path: epath.Path, images: epath.Path) -> Item:
    number = field(record, "question_id", int, path, place)
    where = f"question {number}"
    answers = ()
    if record.get("answers"):  # test has none
        listed = field(record, "answers", list, path, where)
        # The release has texts, files in the format of the VQA API have objects.
        answers = tuple(one if isinstance(one, str) else field(one, "answer", str, path, where) for one in listed)
    name = field(record, "image_id", str, path, where)
    return Item(
        key=str(number),
        medium=MediaFile(f"{images}/{name.removesuffix('.jpg')}.jpg"),
        prompt=templates.question(field(record, "question", str, path, where)),
        answer=visual_questions.most_frequent(answers),
        references=answers,
    )


def _without_words(record: dict) -> dict:
    """Drops what is not asked about and takes most of the file."""
    for name in ("question_tokens", "image_classes", "flickr_original_url", "flickr_300k_url"):
        record.pop(name, None)
    return record


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The accuracy of TextVQA's own evaluation (MMF), in percent; as a part, that by OpenFlamingo's rule."""
    return visual_questions.accuracy(items, predictions, _TITLE, textvqa_accuracy, openflamingo=openflamingo_accuracy)


def _questions(split: str) -> ReleaseFile:
    name = f"TextVQA_0.5.1_{split}.json"
    return ReleaseFile(name, f"{name} of textvqa.org's downloads")


BENCHMARK = Benchmark(
    name="textvqa",
    title=_TITLE,
    metric="VQA accuracy",
    read=read,
    score=score,
    files={split: (_questions(split), images) for split, images in _IMAGES.items()},
    sizes={"train": 34602, "val": 5000, "test": 5734},
    query_split="val",
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
    server_answers=visual_questions.answers_by_question,
)
