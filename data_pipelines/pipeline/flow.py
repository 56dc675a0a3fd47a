"""A Beam pipeline under construction: stages are plain generators, and what they drop is gathered at the side."""

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from etils import epath

from data_pipelines.pipeline.sketch import Drop
from data_pipelines.progress import Board

_DROPS = "drops"
_IN_PIPELINE = 10_000  # elements; services refuse pipelines of more than about 10 MB


class Flow:
    """Wraps a pipeline; every method that takes a PCollection gives one."""

    def __init__(self, pipeline: beam.Pipeline, board: Board, scratch: epath.Path):
        """
        Args:
          scratch: a folder that all workers reach.
        """
        self.pipeline = pipeline
        self._scratch = scratch
        self.board = board
        self._drops: list[beam.PCollection] = []

    def create(self, label: str, elements: Sequence) -> beam.PCollection:
        """The elements, spread over the workers. Of many, the pipeline holds names of files that hold them."""
        if len(elements) <= _IN_PIPELINE:
            made = self.pipeline | label >> beam.Create(elements)
        else:
            chunks = []
            for start in range(0, len(elements), _IN_PIPELINE):
                chunks.append(str(self._scratch / f"{label.replace(' ', '_')}-{start}.pickle"))
                epath.Path(chunks[-1]).write_bytes(pickle.dumps(elements[start : start + _IN_PIPELINE]))
            named = self.pipeline | f"{label}, lists" >> beam.Create(chunks) | f"{label}, deal" >> beam.Reshuffle()
            made = named | label >> beam.FlatMap(lambda chunk: pickle.loads(epath.Path(chunk).read_bytes()))
        return made | f"{label}, spread" >> beam.Reshuffle()

    def stage(
        self, label: str, elements: beam.PCollection, function: Callable[..., Iterator], *side: Any, count: str = ""
    ) -> beam.PCollection:
        """What a generator yields for each element, its `Drop`s apart.

        Args:
          function: takes an element and the side inputs; yields what goes on, and drops.
          count: how the progress display names the elements; not shown if empty.
        """
        routed = elements | label >> beam.ParDo(_Route(function, self.board, count), *side).with_outputs(
            _DROPS, main="kept"
        )
        self._drops.append(routed[_DROPS])
        return routed.kept

    def join(
        self,
        label: str,
        function: Callable[[Any, list, list], Iterator],
        left: beam.PCollection,
        right: beam.PCollection,
    ) -> beam.PCollection:
        """`function(key, left values, right values)` for each key of two collections of (key, value)."""
        grouped = {"left": left, "right": right} | f"{label}, grouped" >> beam.CoGroupByKey()
        return self.stage(label, grouped, _Joined(function))

    def drops(self) -> beam.PCollection:
        """Everything that was dropped in the stages so far. Call it once, at the end."""
        return tuple(self._drops) | "all drops" >> beam.Flatten()


class _Route(beam.DoFn):
    def __init__(self, function: Callable[..., Iterator], board: Board, count: str):
        self._function, self._board, self._count = function, board, count

    def process(self, element, *side):
        for result in self._function(element, *side):
            yield beam.pvalue.TaggedOutput(_DROPS, result) if isinstance(result, Drop) else result
        if self._count:
            self._board.add(self._count)


class _Joined:
    def __init__(self, function: Callable[[Any, list, list], Iterator]):
        self._function = function

    def __call__(self, element):
        key, values = element
        return self._function(key, values["left"], values["right"])
