"""Entry points in a test's own process: several define flags of the same names, of which a process can have one."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

from absl import flags


@contextlib.contextmanager
def alone(name: str) -> Iterator[ModuleType]:
    """The module of an entry point, with its flags and no other entry point's; afterwards, those that were before."""
    registered = flags.FLAGS._flags()
    before = dict(registered)
    for module, defined in flags.FLAGS.flags_by_module_dict().items():
        if module.startswith("flamingo_jax"):
            for flag in defined:
                registered.pop(flag.name, None)
    sys.modules.pop(name, None)
    try:
        yield importlib.import_module(name)
    finally:
        registered.clear()
        registered.update(before)
