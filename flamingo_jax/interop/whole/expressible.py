"""Whether another format can hold a model: the config that it would give back, against the model's own."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.models.flamingo import FlamingoConfig

# Fields that say how parameters are first drawn or in what is computed: a checkpoint does not depend on them.
_NOT_OF_THE_WEIGHTS = {
    "dtype",
    "gate_init",
    "output_init_scale",
    "latents_init_std",
    "time_init_std",
    "new_rows_init_std",
    "interpolation",
}


def require_expressible(what: str, config: FlamingoConfig, expressed: FlamingoConfig) -> None:
    """Compares a model with what comes back from a format.

    Args:
      what: name of the format, for the message.
      config: of the model.
      expressed: the config that a reader of the format arrives at.

    Raises:
      WeightsError: they differ in a field that matters to the weights or to what they mean; all such fields are named.
    """
    differences = list(_differences(config, expressed, ""))
    if differences:
        listed = "; ".join(f"{name} is {ours!r} ({what}: {theirs!r})" for name, ours, theirs in differences)
        raise WeightsError(f"{what} has no form for this model: {listed}. Write the native format instead")


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if dataclasses.is_dataclass(ours) and type(ours) is type(theirs):
        for field in dataclasses.fields(ours):
            if field.name not in _NOT_OF_THE_WEIGHTS:
                name = f"{path}.{field.name}" if path else field.name
                yield from _differences(getattr(ours, field.name), getattr(theirs, field.name), name)
    elif ours != theirs:
        yield path, ours, theirs
