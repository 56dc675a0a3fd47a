"""An OpenAI-compatible server of a trained model: `python -m flamingo_jax.serve --workdir=DIR`.

Clients ask it at `http://HOST:PORT/v1` as they ask OpenAI's chat completions, with pictures and clips as data: URLs. If
the workdir has a rule of abstention (`abstention.json`), requests with `"abstain": true` obey it. SIGTERM and SIGINT
end it: what is being answered is finished first, as far as `--drain` allows, and the exit status is 0.
"""

import dataclasses
import sys

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.config import ConfigError
from flamingo_jax.inference.session import Session
from flamingo_jax.parallel import distributed
from flamingo_jax.serving.address import bind, is_loopback, listen
from flamingo_jax.serving.dialogue.style import STYLES, find_style
from flamingo_jax.serving.engine.abstention import open_rule
from flamingo_jax.serving.engine.config import EngineConfig
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.warming import Warming
from flamingo_jax.serving.openai.app import make_app
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.first_prompts import first_prompts
from flamingo_jax.serving.openai.keys import read_keys
from flamingo_jax.serving.openai.listening import serve
from flamingo_jax.serving.openai.messages import MessageLimits
from flamingo_jax.serving.uploads import Limits

flags.DEFINE_string("workdir", None, "Folder of the training run.", required=True)
flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; others than this machine reach any but a loopback one.")
flags.DEFINE_integer("port", 8000, "Port to listen at; 0: any that is free.", lower_bound=0, upper_bound=65535)
flags.DEFINE_string("model_name", None, "What clients call the model (the workdir's name without the flag).")
flags.DEFINE_enum("style", "dialogue", sorted(STYLES), "How conversations are written for the model.")
flags.DEFINE_integer("max_batch", 0, "Requests answered together (0: as many as the session takes).", lower_bound=0)
flags.DEFINE_integer("queue", 64, "Requests that may wait; more are refused with status 429.", lower_bound=1)
flags.DEFINE_float("wait", 60, "Seconds after which a request that still waits fails with status 503.")
flags.DEFINE_float("timeout", 120, "Seconds that an answer may take, the wait apart.")
flags.DEFINE_float("drain", 30, "Seconds to finish requests in when the server is asked to end.", lower_bound=0)
flags.DEFINE_integer("max_tokens", 64, "Tokens of an answer where the request does not say.", lower_bound=1)
flags.DEFINE_integer("most_tokens", 512, "Tokens of an answer that a request may ask for.", lower_bound=1)
flags.DEFINE_integer(
    "window", None, "Tokens of a prompt and its answer (the language model's own without the flag).", lower_bound=2
)
flags.DEFINE_integer("max_images", 33, "Pictures and clips that a request may have.", lower_bound=0)
flags.DEFINE_float("max_megapixels", 64, "Megapixels that the pictures of a request may have together.")
flags.DEFINE_float("max_file_mb", 20, "Megabytes that a picture or clip may have.")
flags.DEFINE_float("max_body_mb", 32, "Megabytes that a request may have.")
flags.DEFINE_boolean("allow_remote_urls", False, "Fetch pictures from http(s) addresses of the public internet.")
flags.DEFINE_string("api_key_file", None, "File of keys, one a line; clients must then show one.")
flags.DEFINE_boolean("warm_up", False, "Compile common programs before /ready says so.")

_LONGEST_DRAIN = 86_400
_WINDOW_UNKNOWN = sys.maxsize  # tokens, until the model says how many
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def main() -> None:
    """Flags to one call."""
    distributed.refuse_several("flamingo_jax.serve")
    values, workdir = flags.FLAGS, epath.Path(flags.FLAGS.workdir)
    # What is wrong with the flags is told before the model loads, which takes long.
    limits = EngineConfig(rows=values.max_batch, queue=values.queue, wait_s=values.wait, answer_s=values.timeout)
    config = _config(workdir)
    with bind(values.host, values.port) as bound:
        session = Session.open(workdir)
        config = _of_session(config, session)
        warming = Warming(first_prompts(config.style), config.usual_tokens) if values.warm_up else None
        rule = open_rule(workdir, session)
        listen(bound)  # before the engine begins to compile, which nothing interrupts
        engine = Engine(session, limits, rule, warming)
        ended = serve(make_app(engine, config), engine, bound, values.drain)
    if not ended:
        command_line.leave(0)


def _config(workdir: epath.Path) -> ServerConfig:
    """What the flags say.

    Raises:
      ConfigError: a flag is out of range, or the file of keys cannot be used.
    """
    values = flags.FLAGS
    if not values.drain <= _LONGEST_DRAIN:  # nor NaN
        raise ConfigError(f"--drain must be a number of seconds up to {_LONGEST_DRAIN}, got {values.drain}")
    keys = () if values.api_key_file is None else read_keys(values.api_key_file)
    return ServerConfig(
        model=values.model_name or workdir.name or "flamingo",
        style=find_style(values.style),
        window_tokens=values.window or _WINDOW_UNKNOWN,
        usual_tokens=values.max_tokens,
        most_tokens=values.most_tokens,
        body_bytes=command_line.millions("max_body_mb"),
        messages=MessageLimits(media=values.max_images, pixels=command_line.millions("max_megapixels")),
        uploads=Limits(bytes=command_line.millions("max_file_mb")),
        allow_remote_urls=values.allow_remote_urls,
        keys=keys,
        hosts=(values.host, *_LOOPBACK_NAMES) if is_loopback(values.host) and not keys else (),
    )


def _of_session(config: ServerConfig, session: Session) -> ServerConfig:
    """The configuration with what the model says.

    Raises:
      ConfigError: its window has no room for the answers that the flags ask for.
    """
    window = flags.FLAGS.window or session.model.config.language.max_length
    uploads = dataclasses.replace(config.uploads, pixels=session.pixels.max_pixels)
    return dataclasses.replace(config, window_tokens=window, uploads=uploads)


if __name__ == "__main__":
    command_line.run(main)
