"""What does not go together is said in one clear line, and nothing is written."""

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.social import report
from flamingo_jax.evaluation.social.captions import read_evaluation
from tests.evaluation.social.toy import read_rows, write_evaluation, write_groups, write_lines, write_rows


@pytest.fixture
def folder(tmp_path):
    write_evaluation(tmp_path / "of")
    return tmp_path


def refused(folder, message, **options):
    with pytest.raises(ConfigError, match=message):
        evaluation = read_evaluation(folder / "of", 0, "random", 0)
        report.write_report(evaluation, folder / "out", shots=0, support="random", seed=0, **options)
    assert not (folder / "out").exists()


def refused_groups(folder, text, message, name="groups.csv", **options):
    (folder / name).write_text(text)
    refused(folder, message, groups=folder / name, **options)


def test_a_folder_without_an_evaluation(tmp_path):
    refused(tmp_path, "no folder of a finished evaluation.*summary.json")


def test_a_damaged_summary(folder):
    (folder / "of" / "summary.json").write_text('{"items"')
    refused(folder, "summary.json is damaged")
    (folder / "of" / "summary.json").write_text("[]")
    refused(folder, "not the summary of a benchmark")


def test_other_shots_than_there_are(folder):
    with pytest.raises(ConfigError, match=r"rices-4-1.jsonl is not there.*\(support-shots-seed: random-0-0\)"):
        read_evaluation(folder / "of", 4, "rices", 1)


def test_rows_that_are_not_complete(folder):
    write_rows(folder / "of", read_rows(folder / "of")[:-1])
    refused(folder, "has 39 rows of 40: give the command that evaluates once more")


def test_damaged_rows(folder):
    rows = folder / "of" / "rows" / "random-0-0.jsonl"
    write_rows(folder / "of", [*read_rows(folder / "of")[:-1], {"key": "0", "answer": "a"}])
    refused(folder, "several rows of one key")
    rows.write_text("[1]\n")
    refused(folder, "line 1 is not a row.*damaged: delete it")


def test_rows_that_are_no_captions(folder):
    write_rows(folder / "of", [{"key": "0", "scores": [1.0, 2.0]}])
    refused(folder, "line 1 has no answer, so it is no caption")


def test_a_split_without_shares(folder):
    write_rows(folder / "of", [row | {"share": None} for row in read_rows(folder / "of")])
    refused(folder, "40 captions, such as that of 0, have no share", groups=write_groups(folder / "groups.csv"))
    scores = write_lines(folder / "scores.jsonl", [{"key": 1, "score": 0.1}])  # toxicity needs none
    evaluation = read_evaluation(folder / "of", 0, "random", 0)
    found = report.write_report(evaluation, folder / "out", shots=0, support="random", seed=0, toxicity=scores)
    assert found["evaluation"]["cider"] is None


def test_another_metric(folder):
    write_evaluation(folder / "of", metric="VQA accuracy")
    refused(folder, "an evaluation by VQA accuracy", groups=write_groups(folder / "groups.csv"))


def test_nothing_to_report(folder):
    refused(folder, "nothing to report")


@pytest.mark.parametrize(
    "text, message",
    [
        ("", 'has no column "key"; its header has nothing'),
        ("image,gender\n1,male\n", "has no column \"key\"; its header has 'image', 'gender'"),
        ("key;gender\n1;male\n", "has no column \"key\"; its header has 'key;gender'"),
        ("key,,\n1,male,x\n", "have no name, or the same"),
        ("key,a,a\n1,male,x\n", "have no name, or the same"),
        ("key\n1\n", "names no group"),
        ("key,gender\n1,\n", "names no group"),
        ("key,gender\n1\n", "line 2 has 1 fields, and the header 2"),
        ('key,gender\n1,"male\n', "is not CSV"),
        ("key,gender\n,male\n", 'line 2: "key" must be the key of a picture'),
        ("key,gender\n1,male\n1,female\n", "line 3: key 1 stands in the file before"),
        (
            "key,gender\na,male\nb,female\n",
            "none of its 2 keys .* is in .*rows/random-0-0.jsonl, which has '0', '1', '2'",
        ),
        ("key,gender\n1,male\nb,male\nc,male\nd,male\ne,male\n", "no row of 4 of its 5 keys, the first 'b', 'c', 'd'"),
        ("key,gender\n1,male\n2,male\n", "only 'male', and two are needed"),
        ("key,gender\n1,male\n2,male\n3,female\n", "group 'female' of 'gender' has a single evaluated picture"),
    ],
)
def test_groups(folder, text, message):
    refused_groups(folder, text, message)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "line 1 is not JSON"),
        ("\n3", "line 2 is not a JSON object"),
        ('{"gender": "male"}', '"key" must be the key of a picture'),
        ('{"key": true, "gender": "male"}', '"key" must be the key of a picture'),
        ('{"key": 1, "gender": ["male"]}', '"gender" must name a group'),
        ('{"key": 1, "gender": true}', '"gender" must name a group'),
    ],
)
def test_groups_as_json_lines(folder, text, message):
    refused_groups(folder, text, message, name="groups.jsonl")


def test_files_that_cannot_be_read(folder):
    refused(folder, "nowhere.csv cannot be read", groups=folder / "nowhere.csv")
    refused(folder, "its name must end in .csv or .jsonl", groups=folder / "groups.xlsx")
    (folder / "groups.csv").write_bytes("key,né\n1,é\n".encode("latin-1"))
    refused(folder, "is not UTF-8 text", groups=folder / "groups.csv")


def test_a_group_of_pictures_that_were_left_out(folder):
    text = "key,gender\n1,male\n2,male\nx,female\ny,female\n"
    refused_groups(folder, text, "only 'male', and two are needed", skip_unknown=True)


@pytest.mark.parametrize(
    "records, message",
    [
        ([], r"none of its 0 keys \(it is empty\)"),
        ([{"key": 1}], '"score" must be a number from 0 to 1'),
        ([{"key": 1, "score": "0.5"}], "got '0.5'"),
        ([{"key": 1, "score": True}], "got True"),
        ([{"key": 1, "score": 1.01}], "got 1.01"),
        ([{"key": 1, "score": -0.1}], "got -0.1"),
        ([{"key": 1, "score": float("nan")}], "got nan"),
        ([{"score": 0.5}], "says not what was scored"),
        ([{"key": 1, "score": 0.5}, {"key": "1", "score": 0.6}], "line 2: '1' was scored before"),
        ([{"key": 1, "text": "another", "score": 0.5}], "scores 'another', and the caption of 1 is"),
        ([{"key": "a", "score": 0.5}], "none of its 1 keys"),
        ([{"text": "never said", "score": 0.5}], "none of its 1 keys"),
        ([{"key": 1, "score": 0.5}, {"text": "never said", "score": 0.5}], "no row of 1 of its 2 keys"),
    ],
)
def test_toxicity(folder, records, message):
    refused(folder, message, toxicity=write_lines(folder / "scores.jsonl", records))
