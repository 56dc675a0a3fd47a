"""The prompts of every benchmark, word by word, and answers cut at their keywords.

`prompts.txt` shows them: read it beside the paper's appendix B.1.5. Written anew by
`python -m tests.evaluation.fewshot.test_prompts`.
"""

import tempfile
from importlib import import_module
from pathlib import Path

import pytest
from etils import epath

from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.prompts import cut_answer, few_shot_prompt, zero_shot_prompt
from flamingo_jax.evaluation.fewshot.splits import open_split
from flamingo_jax.evaluation.fewshot.support import RandomSelection

GOLDEN = Path(__file__).parents[2] / "goldens" / "prompts.txt"
RELEASES = [
    name for name, benchmark in BENCHMARKS.items() if benchmark.write is None and not name.startswith("embedded_web")
]


def write_release(name: str, folder: Path) -> None:
    """A small release in the real layout."""
    import_module(f"tests.evaluation.benchmarks.releases.{name}").write(folder)


def shown(name: str, folder: Path) -> str:
    """The first query's prompts of 0 and 4 shots, with what would be ranked."""
    write_release(name, folder)
    benchmark = BENCHMARKS[name]
    split = open_split(benchmark, epath.Path(folder), FewShotConfig())
    query, draw = split.queries[0], RandomSelection(len(split.support))
    texts = [split.support[place] for place in draw(query, 0, benchmark.text_examples, 0)]
    lines = [f"## {name}", "0 shots: <BOS>" + zero_shot_prompt(query, texts)]
    if benchmark.max_shots:
        examples = [split.support[place] for place in draw(query, 0, 4, 0)]
        lines.append("4 shots: <BOS>" + few_shot_prompt(query, examples))
    if query.candidates:
        lines.append("ranked: " + " | ".join(query.candidates[:8]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", RELEASES)
def test_prompts_are_the_papers(name, tmp_path):
    parts = GOLDEN.read_text(encoding="utf-8").split("## ")[1:]
    expected = {part.split("\n", 1)[0]: f"## {part}".strip() for part in parts}
    assert shown(name, tmp_path).strip() == expected[name]


def item(prompt: str, answer: str) -> Item:
    return Item("k", MediaFile("a.png"), prompt, answer)


def test_the_papers_figure():
    """Figure 8: examples with their images, and at 0 shots two without."""
    cat, dog, bird = item("Output:", "a cat"), item("Output:", "a dog"), item("Output:", "?")
    assert few_shot_prompt(bird, [cat, dog]) == "<image>Output: a cat<EOC><image>Output: a dog<EOC><image>Output:"
    assert zero_shot_prompt(bird, [cat, dog]) == "Output: a cat<EOC>Output: a dog<EOC><image>Output:"


def test_answers_have_one_space_between_words():
    item = Item("1", MediaFile("a.jpg"), "Output:", " a \n cat ")
    assert few_shot_prompt(item, [item]) == "<image>Output: a cat<EOC><image>Output:"


def test_tags_in_a_release_are_text():
    odd = item("Question: Is <image> a tag? Answer:", "no<EOC>")
    text = few_shot_prompt(odd, [odd])
    assert text.count("<image>") == 2 and text.count("<EOC>") == 1
    assert "< image>" in text and "no< EOC><EOC>" in text


@pytest.mark.parametrize(
    "said, cut",
    [
        ("two dogs", "two dogs"),
        (" two dogs\nOutput: a cat", "two dogs"),
        ("two dogs Output: a cat Question: why", "two dogs"),
        ("Question: why", ""),
        ("an output", "an output"),
        ("a cat<image>Output: a dog", "a cat"),
        ("", ""),
    ],
)
def test_answers_are_cut(said, cut):
    assert cut_answer(said, ("Output:", "Question:")) == cut


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as root:
        parts = []
        for each in RELEASES:
            (Path(root) / each).mkdir()
            parts.append(shown(each, Path(root) / each))
        GOLDEN.write_text("\n".join(parts), encoding="utf-8")
