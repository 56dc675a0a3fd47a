"""A run at a glance: `python -m flamingo_jax.status runs/quickstart`.

Reads what the run has written into its workdir, on this machine or in a bucket, and changes nothing; it may be asked
while the run goes on. Exit status: 0 whatever the state of the run, 2 for an error that the user can mend.
"""

import json

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.config import ConfigError
from flamingo_jax.training.status.facts import facts
from flamingo_jax.training.status.text import render

flags.DEFINE_string("workdir", None, "Folder of the run; may be gs://. It may also be given without --workdir=.")
flags.DEFINE_boolean("json", False, "Print the facts as JSON.")


def main(*arguments: str) -> None:
    """Flags and arguments to one call."""
    values = flags.FLAGS
    given = [*filter(None, [values.workdir]), *arguments]
    if len(given) != 1:
        raise ConfigError("name one workdir: python -m flamingo_jax.status WORKDIR")
    found = facts(epath.Path(given[0]))
    print(json.dumps(found, indent=1) if values.json else render(found))


if __name__ == "__main__":
    command_line.run(main, positional=True)
