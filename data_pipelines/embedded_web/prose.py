"""The ordinary English around the pictures. None of it uses a word of the vocabularies."""

import numpy as np

_SLOTS = {
    "place": (
        "Harbour Museum",
        "Old Mill Workshop",
        "Linden Street School",
        "Northgate Library",
        "Hill & Valley Studio",
        "Riverside Print Room",
        "Saint Anne Community Hall",
        "Market Lane Gallery",
    ),
    "thing": (
        "paper cut-out",
        "painted tile",
        "printed card",
        "linen poster",
        "wooden sign",
        "felt patch",
        "enamel plate",
    ),
    "maker": (
        "Marta",
        "Joanna",
        "Zoë",
        "Tomás",
        "Pauline",
        "Idris",
        "Søren",
        "Kenji",
        "Amélie",
        "Rosa",
        "Bernard",
        "Lucía",
    ),
    "friend": (
        "a cousin",
        "an old neighbour",
        "two students",
        "the caretaker",
        "a retired printer",
        "the night guard",
    ),
    "month": ("January", "March", "April", "May", "June", "August", "September", "October", "November"),
    "year": tuple(str(year) for year in range(1987, 2022)),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "number": ("three", "four", "five", "seven", "nine", "twelve", "fifteen"),
    "room": (
        "the entrance hall",
        "the upper floor",
        "the reading room",
        "the long corridor",
        "the east wing",
        "the tea room",
    ),
}

_OPENINGS = (
    "This page collects a few of the {thing}s that {maker} made for the {place} in {month} {year}.",
    "The {place} has kept every {thing} from its open day, and the notes were written by the people who came.",
    "We asked {maker} to choose the {thing}s that people remember best and to say why they merit a second look.",
    "What follows is a short walk through {room}, in the order in which a visitor would meet each {thing}.",
    "The {place} opens its doors on {weekday} afternoons, and these are some of the {thing}s that wait inside.",
    "I took these pictures with my old camera in {month}, shortly before the {place} was closed for repairs.",
    "Since {year} a {weekday} class has met at the {place}, and this is what {maker} shows to those who are new to it.",
    "Every {thing} below came to the {place} in a box of {number}, without a letter and without a name.",
)

_INTROS = (
    "All of them were photographed on the same table with the same lamp, so that the light stays even throughout.",
    "The habit began in {year}, when {maker} and {friend} needed something to do on rainy {weekday} evenings.",
    "Under each picture you will find what it shows and, where we know it, something about how it came to be here.",
    "There are {number} more in the drawers of {room}, and with a little luck they will be shown next {month}.",
    "Children of all ages are welcome to copy what they see, and paper and pencils are kept in {room}.",
    "The texts are short, because {maker} thinks that a picture should be looked at before it is read about.",
    "Entry has been free since {year}, and the stairs to {room} have been repaired.",
    "A few of the notes are older than the building and have been left as they were found.",
)

_REMARKS = (
    "It was finished in {month} after {number} days of work and a good deal of patience.",
    "It hung near the door of {room} for most of {year}.",
    "Visitors often stop here for a while and ask how long the work took.",
    "The edges were cut with a small knife and then smoothed by hand.",
    "A copy can be ordered at the desk, and it comes with a short note from {maker}.",
    "Nobody knows who bought the first version, but the second one has stayed with the {place}.",
    "From two steps away the whole thing seems to float in front of the wall.",
    "It was a gift from {friend}, who had kept it in a drawer since {year}.",
    "The proportions needed {number} attempts before they were right.",
    "On the back there is a date in pencil that says {month} {year}.",
    "Many people say that this is the one they would like to take home.",
    "{maker} keeps a smaller version of it above the kitchen table.",
    "The paint is thin in one corner, where {friend} once leaned a ladder.",
    "It has been lent to other houses {number} times and has always come back in good order.",
    "The idea came on a train journey, and the first sketch was made on the back of a ticket.",
    "If you look closely you can still see the pencil line that guided the brush.",
    "We moved it to {room} last {month} because the light is better there.",
    "This one was made in a single afternoon while the kettle was on.",
    "The frame is younger than the work and was built by {friend}.",
    "It won a small prize in {year}, and the jury praised how calm it looks.",
    "Teachers like to begin with it, since even the youngest pupils have something to say.",
    "It was nearly thrown away when the cellar was emptied in {year}.",
)

_CLOSINGS = (
    "To see the originals, come to the {place} on a {weekday}, when the staff will be happy to show you around.",
    "Thanks go to {friend}, who carried the boxes up the stairs and wrote down what was in them.",
    "More will be added in {month}, when {maker} is back from the coast and has had time to sort the rest.",
    "Please write to us if you know more about any {thing} on this page, because our records are far from complete.",
    "The next open day is planned for {month}, and as always there will be soup and bread in {room}.",
    "A printed booklet with all of the notes can be picked up at the desk for the price of a cup of tea.",
    "That is all for today, and the next part will follow as soon as the film has been developed.",
    "You may use the pictures in class as long as you say where they came from and who made them.",
)

_LOST_PICTURES = (
    "One more picture belonged here, but it was lost when the server was moved in {year}.",
    "The last photograph of that day did not survive the move to the new archive.",
    "A further picture was taken in {room}, although we have not been able to find it again.",
    "This picture did not arrive in one piece, and {maker} has promised to send it once more.",
)

# Every word here exists in latin-1 and needs more than ASCII: pages in other encodings than UTF-8 carry it.
_ACCENTED = (
    "The café next door serves crêpes until late, and Zoë says that the view of the château is worth the détour."
)

_HEADINGS = {
    "gallery": ("{things} at the {place}", "Open day in {month} {year}", "A wall of {things}"),
    "article": ("A {weekday} at the {place}", "What {maker} left behind", "Notes from {room}"),
    "catalogue": ("Collection of {things}, {year}", "The {place} catalogue", "New in the collection since {year}"),
    "lesson": ("Looking together with {maker}", "Learning to describe {things}", "A lesson from the {place}"),
}


class Prose:
    """Deals the sentences of one page: place, maker and subject stay the same, and no sentence comes twice."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng
        self._fixed = {slot: self._pick(_SLOTS[slot]) for slot in ("place", "thing", "maker")}
        decks = {
            "opening": _OPENINGS,
            "intro": _INTROS,
            "remark": _REMARKS,
            "closing": _CLOSINGS,
            "lost": _LOST_PICTURES,
        }
        self._decks = {kind: [deck[i] for i in rng.permutation(len(deck))] for kind, deck in decks.items()}

    @property
    def place(self) -> str:
        """The house that the page is about; worth a link wherever a sentence names it."""
        return self._fixed["place"]

    def deal(self, kind: str, count: int = 1) -> str:
        """The next `count` sentences of a kind, joined by spaces.

        Kinds: "opening" (says what the page is about), "intro" (goes on from there), "remark" (about a picture),
        "closing", and "lost" (stands in for a picture that is not there).
        """
        return " ".join(self._fill(self._decks[kind].pop()) for _ in range(count))

    def heading(self, design: str) -> str:
        """A title for a page of the given design."""
        text = self._fill(self._pick(_HEADINGS[design]))
        return text[0].upper() + text[1:]

    @staticmethod
    def accented() -> str:
        """A sentence that ASCII cannot hold and latin-1 can."""
        return _ACCENTED

    def _pick(self, words: tuple[str, ...]) -> str:
        return words[self._rng.integers(len(words))]

    def _fill(self, pattern: str) -> str:
        slots = {slot: self._pick(words) for slot, words in _SLOTS.items()} | self._fixed
        return pattern.format(**slots, things=f"{slots['thing']}s")
