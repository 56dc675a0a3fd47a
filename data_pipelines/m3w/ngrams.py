"""The n-grams of words that a text repeats."""

import collections
import itertools
import re
from collections.abc import Sequence


class RepeatedNgrams:
    """The n-grams that occur more than once in a text, for n from 2.

    A longer n-gram can be repeated only where each shorter one in it is, so that there is little left to count after
    the pairs. Nothing is approximate.
    """

    def __init__(self, words: Sequence[str]):
        self._words = words
        pairs = list(itertools.pairwise(words))
        counts = collections.Counter(pairs)
        self._counts = {2: counts}  # by n: how often each n-gram occurs that may be repeated
        # By n: a byte for each position, 1 where a repeated n-gram begins. Runs of ones are found as in a text.
        self._begins = {2: bytes([counts[pair] > 1 for pair in pairs])}
        self._most_of_a_pair = max(
            (count * (len(first) + len(second)) for (first, second), count in counts.items() if count > 1), default=0
        )

    def most_characters(self, n: int) -> int:
        """The characters in all occurrences of the most frequent n-gram, of the longest one of several; 0 for none."""
        self._count(n)
        counts = self._counts[n]
        most = max(counts.values(), default=0)
        if most < 2:
            return 0
        return most * max(sum(map(len, gram)) for gram, count in counts.items() if count == most)

    def bound(self, n: int) -> int:
        """What `most_characters` cannot exceed, known from the pairs: an n-gram consists of n/2 pairs, rounded up."""
        return (n + 1) // 2 * self._most_of_a_pair

    def repeated_characters(self, n: int) -> int:
        """The characters in all words of n-grams that stood before in the text; each word counts once."""
        self._count(n)
        seen: set[tuple[str, ...]] = set()
        characters = covered = 0  # `covered`: the words before this index are counted
        for match in re.finditer(b"\1", self._begins[n]):
            start = match.start()
            gram = tuple(self._words[start : start + n])
            if gram in seen:
                characters += sum(map(len, self._words[max(start, covered) : start + n]))
                covered = start + n
            else:
                seen.add(gram)
        return characters

    def _count(self, n: int) -> None:
        if n in self._counts:
            return
        shorter = max(length for length in self._begins if length < n)
        in_a_row = n - shorter + 1
        starts = [
            start
            for run in re.finditer(b"\1{%d,}" % in_a_row, self._begins[shorter])
            for start in range(run.start(), run.end() - in_a_row + 1)
        ]
        grams = [tuple(self._words[start : start + n]) for start in starts]
        counts = collections.Counter(grams)
        begins = bytearray(len(self._begins[shorter]))
        for start, gram in zip(starts, grams, strict=True):
            begins[start] = counts[gram] > 1
        self._counts[n] = counts
        self._begins[n] = bytes(begins)
