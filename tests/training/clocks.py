"""A clock that stands until it is told to go on."""


class Clock:
    """Seconds since `now` was 0."""

    def __init__(self, now: float = 0.0):
        self.now = now

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds
