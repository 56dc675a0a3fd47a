"""RareAct's actions, a verb and an object, as sentences: "cut" and "keyboard" make "a person cuts a keyboard"."""

_HISSING = ("s", "x", "z", "ch", "sh", "o")  # endings that take "es"
_UNCOUNTED = frozenset({"chocolate", "corn", "hair"})  # the set's objects that take no article
_WRITTEN = {"clothe": "clothes"}  # the set's misspelt object of class 62


def sentence(verb: str, noun: str) -> str:
    """What the paper ranks (appendix B.1.5): the verb in the third person, and an article before its object.

    Plurals ("carrots", "eggs") and what is not counted ("hair") have none in English, and none here.
    """
    return f"a person {third_person(verb)} {with_article(noun)}"


def third_person(verb: str) -> str:
    """ "wash" as "washes", "fry" as "fries", "throw" as "throws"; of several words the first changes."""
    first, space, rest = verb.partition(" ")
    if first.endswith("y") and first[-2:-1] not in "aeiou":
        first = first[:-1] + "ies"
    else:
        first += "es" if first.endswith(_HISSING) else "s"
    return first + space + rest


def with_article(noun: str) -> str:
    """ "an oven", "a phone"; "carrots" and "hair" as they are."""
    noun = _WRITTEN.get(noun, noun)
    last = noun.rpartition(" ")[2]
    if last in _UNCOUNTED or (last.endswith("s") and not last.endswith("ss")):
        return noun
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"
