"""An OpenAI-compatible server of a trained model: `python -m flamingo_jax.serve --workdir=DIR`.

Clients ask it at `http://HOST:PORT/v1` as they ask OpenAI's chat completions, with pictures and clips as data: URLs. If
the workdir has a rule of abstention (`abstention.json`), requests with `"abstain": true` obey it. SIGTERM and SIGINT
end it: what is being answered is finished first, as far as `--drain` allows, and the exit status is 0.
"""

import logging
import os
import sys

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.config import ConfigError
from flamingo_jax.inference.session import Session
from flamingo_jax.parallel import distributed
from flamingo_jax.serving.dialogue.prompt import STYLES, find_style
from flamingo_jax.serving.engine.abstention import open_rule
from flamingo_jax.serving.engine.config import EngineConfig
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.warming import Warming
from flamingo_jax.serving.openai.app import make_app
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.first_prompts import first_prompts
from flamingo_jax.serving.openai.keys import read_keys
from flamingo_jax.serving.openai.listening import loopback, serve
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
flags.DEFINE_integer("window", None, "Tokens of a prompt and its answer (the language model's own without the flag).")
flags.DEFINE_integer("max_images", 33, "Pictures and clips that a request may have.", lower_bound=0)
flags.DEFINE_float("max_file_mb", 20, "Megabytes that a picture or clip may have.")
flags.DEFINE_float("max_body_mb", 32, "Megabytes that a request may have.")
flags.DEFINE_boolean("allow_remote_urls", False, "Fetch pictures from http(s) addresses of the public internet.")
flags.DEFINE_string("api_key_file", None, "File of keys, one a line; clients must then show one.")
flags.DEFINE_boolean("warm_up", False, "Compile common programs before /ready says so.")

_MEGABYTE = 1_000_000
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def main() -> None:
    """Flags to one call."""
    distributed.refuse_several("flamingo_jax.serve")
    values, workdir = flags.FLAGS, epath.Path(flags.FLAGS.workdir)
    limits = EngineConfig(rows=values.max_batch, queue=values.queue, wait_s=values.wait, answer_s=values.timeout)
    keys = () if values.api_key_file is None else read_keys(values.api_key_file)
    session = Session.open(workdir)
    config = ServerConfig(
        model=values.model_name or workdir.name or "flamingo",
        style=find_style(values.style),
        window_tokens=values.window or session.model.config.language.max_length,
        usual_tokens=values.max_tokens,
        most_tokens=values.most_tokens,
        body_bytes=int(values.max_body_mb * _MEGABYTE),
        messages=MessageLimits(media=values.max_images),
        uploads=_uploads(values.max_file_mb, session.pixels.max_pixels),
        allow_remote_urls=values.allow_remote_urls,
        keys=keys,
        hosts=(values.host, *_LOOPBACK_NAMES) if loopback(values.host) and not keys else (),
    )
    warming = Warming(first_prompts(config.style), config.usual_tokens) if values.warm_up else None
    engine = Engine(session, limits, open_rule(workdir, session), warming)
    if not serve(make_app(engine, config), engine, values.host, values.port, values.drain):
        # A program still runs on the device. Python would wait for its thread, or end under it.
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)


def _uploads(megabytes: float, pixels: int) -> Limits:
    try:
        return Limits(bytes=int(megabytes * _MEGABYTE), pixels=pixels)
    except ValueError as error:
        raise ConfigError(str(error)) from error


if __name__ == "__main__":
    command_line.run(main)
