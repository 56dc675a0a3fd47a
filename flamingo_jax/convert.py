"""Converts weights, in and out: `python -m flamingo_jax.convert --source=PATH --output=DIR`.

The source is told by its tensors: a Hugging Face folder of a language model or a vision encoder, a GGUF file, files of
timm, OpenCLIP and DeepMind's NFNets, an IDEFICS folder, OpenFlamingo's checkpoint.pt (with --language and --vision), a
folder that this command wrote, or the workdir of a training run (its newest checkpoint and its pretrained weights).

The output is a folder of this package (--to=native), which `PretrainedConfig` takes and whose model.gin builds the same
model; or one of the others'. It appears when it is complete, or not at all. What was mapped, and what was left behind
and why, goes to stdout.
"""

import signal

import jax
from absl import flags

from flamingo_jax import command_line
from flamingo_jax.interop.exports import FORMATS
from flamingo_jax.interop.opening import PARTS
from flamingo_jax.training.conversion import convert

flags.DEFINE_string("source", None, "What to convert: a file or folder; may be gs://.", required=True)
flags.DEFINE_string("output", None, "The folder to write; may be gs://.", required=True)
flags.DEFINE_enum("to", "native", FORMATS, "Format of the output.")
flags.DEFINE_enum("part", "", ("", *PARTS), "Convert this part of the model alone.")
flags.DEFINE_string("language", "", "The language model of an OpenFlamingo checkpoint.")
flags.DEFINE_string("vision", "", "The vision encoder of an OpenFlamingo checkpoint.")
flags.DEFINE_string("recipe", "", "What the tensors of a vision encoder do not tell, such as openai_clip or open_clip.")
flags.DEFINE_enum("dtype", "", ("", "float32", "bfloat16", "float16"), "Type to store in; as in the source if empty.")
flags.DEFINE_boolean("overwrite", False, "Replace the output, if it is a folder of weights.")


def main() -> None:
    """Flags to one call."""
    jax.config.update("jax_platforms", "cpu")  # an accelerator is of no use here, and may be another program's
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up as after Ctrl-C
    values = flags.FLAGS
    print(
        convert(
            values.source,
            values.output,
            to=values.to,
            part=values.part,
            language=values.language,
            vision=values.vision,
            recipe=values.recipe,
            dtype=values.dtype,
            overwrite=values.overwrite,
        ),
        flush=True,
    )


if __name__ == "__main__":
    command_line.run(main)
