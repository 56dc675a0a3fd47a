"""Which group each picture belongs to, as annotators saw it."""

from collections.abc import Mapping
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.social.files import key_of, read_table

Annotations = Mapping[str, Mapping[str, str]]
"""key of a picture -> attribute -> group; attributes that were not annotated are not there."""


def read_annotations(path: epath.PathLike) -> Annotations:
    """Reads a file with the column "key" and one more for each attribute, such as "gender" and "skin".

    Args:
      path: CSV with a header, or JSON lines; empty fields, null and what is left out mean "not annotated".

    Raises:
      ConfigError: the file cannot be read or is damaged, a column is missing, a key stands twice with other groups, a
        group's name is no text, or nothing is annotated.
    """
    found: dict[str, dict[str, str]] = {}
    for where, record in read_table(path):
        key = key_of(record, where)
        groups = {name: group for name in record if name != "key" and (group := _group(record[name], name, where))}
        if found.setdefault(key, groups) != groups:
            raise ConfigError(
                f"{where}: key {key} stands in the file before, with other groups: keep one line for each picture"
            )
    if not any(found.values()):
        raise ConfigError(
            f'{path} names no group: beside "key" it needs a column for each attribute, such as "gender", with the '
            "group of each picture"
        )
    return found


def attributes(annotations: Annotations) -> list[str]:
    """The names of the attributes, as the file comes to them."""
    return list(dict.fromkeys(name for groups in annotations.values() for name in groups))


def _group(value: Any, name: str, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ConfigError(f'{where}: "{name}" must name a group, such as "female"; got {value!r}')
    return str(value).strip()
