"""Scanning text with regular expressions the way lexer generators do: the longest match wins, then the earlier rule.

Python's `re` takes the first alternative that fits instead, so that a lexer written for a generator comes out
differently in it. Patterns are compiled into one automaton whose states are built when a text first needs them.

Syntax: literals (in either case), `\\` before a special character, `[...]` and `[^...]` with ranges (in the case
written), `(...)`, `|`, `*`, `+`, `?`, `{n}` and `{n,m}`. `[...]` may hold classes of characters, which have a letter
after a backslash and are given with the rules.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_Charset = Callable[[str], bool]
# A pattern: ("chars", charset), ("sequence", parts), ("either", parts) or ("repeated", part, least, most or None).
_Tree = tuple


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a token looks like.

    Attributes:
      token: pattern of the token.
      followed_by: pattern of what must follow it and counts as part of the match when lengths are compared, but is no
        part of the token; None: anything.
    """

    token: str
    followed_by: str | None = None


@dataclasses.dataclass
class _State:
    """A state of the automaton: the places in the patterns that the text so far may have led to."""

    places: frozenset[int]
    rule: int | None  # the first that accepts the text so far
    next: dict[str, "_State | None"] = dataclasses.field(default_factory=dict)


class Scanner:
    """Finds the token at a place of a text."""

    def __init__(self, rules: Sequence[Rule], classes: Mapping[str, Callable[[str], bool]]):
        """Takes the rules, and the classes of characters in their patterns by letter.

        Raises:
          ValueError: a pattern is malformed.
        """
        self._automaton = _Automaton([f"({rule.token})({rule.followed_by or ''})" for rule in rules], classes)
        self._parts = [
            rule.followed_by and (_Automaton([rule.token], classes), _Automaton([rule.followed_by], classes))
            for rule in rules
        ]

    def match(self, text: str, start: int) -> tuple[int, int] | None:
        """The index of the rule that applies at `start` and where its token ends; None where none applies."""
        found = None
        for end, rule in self._automaton.accepted(text, start):
            found = rule, end
        if found is None or not (parts := self._parts[found[0]]):
            return found
        rule, end = found
        token, followed_by = parts
        ends = [place for place, _ in token.accepted(text, start, end)]
        fitting = (
            place for place in reversed(ends) if any(last == end for last, _ in followed_by.accepted(text, place, end))
        )
        return rule, next(fitting)


class _Automaton:
    """Several patterns at once."""

    def __init__(self, patterns: Iterable[str], classes: Mapping[str, _Charset]):
        self._free: list[list[int]] = []  # place -> places reached without reading
        self._reading: list[tuple[_Charset, int] | None] = []  # place -> what it reads and where that leads
        self._rules: dict[int, int] = {}
        starts = []
        for rule, pattern in enumerate(patterns):
            start, end = self._place(), self._place()
            self._connect(_Parser(pattern, classes).tree(), start, end)
            self._rules[end] = rule
            starts.append(start)
        self._states: dict[frozenset[int], _State] = {}
        self._start = self._state(starts)

    def accepted(self, text: str, start: int, stop: int | None = None) -> Iterator[tuple[int, int]]:
        """(end, first rule) of each prefix of text[start:stop] that a pattern accepts, shortest first."""
        state = self._start
        for place in range(start, len(text) if stop is None else stop):
            character = text[place]
            try:
                state = state.next[character]
            except KeyError:
                state = self._step(state, character)
            if state is None:
                return
            if state.rule is not None:
                yield place + 1, state.rule

    def _step(self, state: _State, character: str) -> _State | None:
        edges = (self._reading[place] for place in state.places)
        reached = [edge[1] for edge in edges if edge and edge[0](character)]
        state.next[character] = following = self._state(reached) if reached else None
        return following

    def _state(self, places: Iterable[int]) -> _State:
        reached, waiting = set(), list(places)
        while waiting:
            if (place := waiting.pop()) not in reached:
                reached.add(place)
                waiting.extend(self._free[place])
        key = frozenset(reached)
        if key not in self._states:
            rules = [self._rules[place] for place in key if place in self._rules]
            self._states[key] = _State(key, min(rules, default=None))
        return self._states[key]

    def _place(self) -> int:
        self._free.append([])
        self._reading.append(None)
        return len(self._free) - 1

    def _connect(self, tree: _Tree, start: int, end: int) -> None:
        """Lets `tree` lead from one place to another."""
        kind, *rest = tree
        if kind == "chars":
            reader = self._place()
            self._free[start].append(reader)
            self._reading[reader] = (rest[0], end)
        elif kind == "either":
            for part in rest[0]:
                self._connect(part, start, end)
        elif kind == "sequence":
            for part in rest[0]:
                between = self._place()
                self._connect(part, start, between)
                start = between
            self._free[start].append(end)
        else:
            part, least, most = rest
            for _ in range(least):
                between = self._place()
                self._connect(part, start, between)
                start = between
            if most is None:
                loop = self._place()
                self._free[start].append(loop)
                self._connect(part, loop, loop)
                start = loop
            for _ in range((most or 0) - least):
                self._free[start].append(end)
                between = self._place()
                self._connect(part, start, between)
                start = between
            self._free[start].append(end)


class _Parser:
    """Reads one pattern."""

    def __init__(self, pattern: str, classes: Mapping[str, _Charset]):
        self._pattern, self._classes, self._at = pattern, classes, 0

    def tree(self) -> _Tree:
        tree = self._either()
        if self._at != len(self._pattern):
            raise ValueError(f"pattern {self._pattern!r}: unexpected {self._peek()!r} at {self._at}")
        return tree

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        if self._at == len(self._pattern):
            raise ValueError(f"pattern {self._pattern!r} ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _either(self) -> _Tree:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._take()
            parts.append(self._sequence())
        return ("either", parts)

    def _sequence(self) -> _Tree:
        parts = []
        while self._peek() not in ("", "|", ")"):
            part = self._one()
            while self._peek() in ("*", "+", "?", "{"):
                part = ("repeated", part, *self._times())
            parts.append(part)
        return ("sequence", parts)

    def _times(self) -> tuple[int, int | None]:
        sign = self._take()
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        end = self._pattern.index("}", self._at)
        least, _, most = self._pattern[self._at : end].partition(",")
        self._at = end + 1
        return int(least), int(most or least)

    def _one(self) -> _Tree:
        character = self._take()
        if character == "(":
            tree = self._either()
            if self._take() != ")":
                raise ValueError(f"pattern {self._pattern!r} lacks a closing parenthesis")
            return tree
        if character == "[":
            return ("chars", self._charset())
        if character == "\\":
            character = self._take()
        return ("chars", frozenset((character.lower(), character.upper(), character)).__contains__)

    def _charset(self) -> _Charset:
        negated = self._peek() == "^"
        if negated:
            self._take()
        ranges, classes = [], []
        while (character := self._take()) != "]":
            if character == "\\":
                character = self._take()
                if character in self._classes:
                    classes.append(self._classes[character])
                    continue
            last = character
            if self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] != "]":
                self._take()
                last = self._take()
                if last == "\\":
                    last = self._take()
            ranges.append((character, last))

        def within(one: str) -> bool:
            return negated != (any(low <= one <= high for low, high in ranges) or any(held(one) for held in classes))

        return within
