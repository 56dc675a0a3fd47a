"""The flags of `flamingo_jax.serve` as a server."""

import socket
from types import SimpleNamespace

import pytest
from absl import flags
from absl.testing import flagsaver

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.address import is_loopback
from flamingo_jax.serving.dialogue.style import STYLES
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai.first_prompts import first_prompts
from flamingo_jax.serving.uploads import check_upload
from tests import entry_points
from tests.serving.fake_session import FakeSession
from tests.serving.openai import running


class Opened(FakeSession):
    model = SimpleNamespace(config=SimpleNamespace(language=SimpleNamespace(max_length=99)))
    pixels = SimpleNamespace(max_pixels=5000)


@pytest.fixture(scope="module")
def serve():
    with entry_points.alone("flamingo_jax.serve") as module:
        yield module


@pytest.fixture
def started(monkeypatch, serve):
    """Calls `main` with flags, and gives what it would serve."""
    served = []

    def keep(app, engine, listening, drain_s):
        socket.create_connection(listening.getsockname(), timeout=5).close()
        served.append((app, engine, *listening.getsockname(), drain_s))
        return engine.close()

    monkeypatch.setattr(serve.Session, "open", lambda workdir: Opened())
    monkeypatch.setattr(serve, "serve", keep)
    configs = []
    monkeypatch.setattr(serve, "make_app", lambda engine, config: configs.append(config))

    def start(*given):
        with flagsaver.flagsaver():
            flags.FLAGS(["serve", *given])
            serve.main()
        return configs[-1], served[-1]

    return start


def test_flags_are_a_server(started, tmp_path):
    (tmp_path / "keys").write_text("one\n\n two \n")
    config, (_, engine, host, port, drain) = started(
        f"--workdir={tmp_path}",
        "--style=questions",
        "--host=127.0.0.2",
        "--port=0",
        "--queue=3",
        "--max_batch=2",
        "--max_tokens=7",
        "--most_tokens=9",
        "--max_images=4",
        "--max_megapixels=0.5",
        "--max_body_mb=1.5",
        "--max_file_mb=0.5",
        "--allow_remote_urls",
        "--drain=2",
        f"--api_key_file={tmp_path / 'keys'}",
    )
    assert config.model == tmp_path.name and config.style.name == "questions"
    assert (config.window_tokens, config.usual_tokens, config.most_tokens) == (99, 7, 9)
    assert (config.body_bytes, config.uploads.bytes, config.uploads.pixels) == (1_500_000, 500_000, 5000)
    assert (config.messages.media, config.messages.pixels) == (4, 500_000)
    assert config.allow_remote_urls and config.keys == ("one", "two")
    assert config.hosts == ()
    assert (host, drain) == ("127.0.0.2", 2) and port and engine.rule is None


def test_only_this_machine_is_served_unless_it_is_told_otherwise(started, tmp_path):
    anywhere = (f"--workdir={tmp_path}", "--port=0")
    config, (_, _, host, _, _) = started(*anywhere, "--model_name=mine", "--window=65")
    assert is_loopback(host) and flags.FLAGS["port"].default == 8000 and not config.allow_remote_urls
    assert (config.model, config.window_tokens, config.keys) == ("mine", 65, ())
    assert config.hosts == ("127.0.0.1", "localhost", "127.0.0.1", "[::1]")
    assert started(*anywhere, "--host=0.0.0.0")[0].hosts == ()


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_what_the_server_warms_up_with_can_be_asked(style):
    session = FakeSession()
    prompts = first_prompts(style)
    assert len({session.check(prompt, 64) for prompt in prompts}) == len(prompts) == 2
    assert all(check_upload("a", medium.encoded) for _, media in prompts for medium in media)


@pytest.mark.parametrize(
    "host, nearby",
    [
        ("::1", True),
        ("localhost", True),
        ("127.8.0.1", True),
        *(("0.0.0.0", False), ("::", False), ("10.1.2.3", False), ("example.org", False)),
    ],
)
def test_loopback(host, nearby):
    assert is_loopback(host) == nearby


@pytest.mark.parametrize(
    "given, reason",
    [
        ("--wait=0", "wait_s"),
        ("--drain=nan", "--drain"),
        ("--drain=1e12", "--drain"),
        ("--max_file_mb=0", "--max_file_mb must be a positive number"),
        ("--max_file_mb=nan", "--max_file_mb"),
        ("--max_file_mb=1e303", "--max_file_mb"),
        ("--max_megapixels=0", "--max_megapixels"),
        ("--max_body_mb=inf", "--max_body_mb"),
        ("--model_name= ", "model is empty"),
        ("--max_tokens=513", r"--max_tokens\) is 513, and most_tokens \(--most_tokens\) 512"),
        ("--max_tokens=50 --window=50", r"no room for a prompt in window_tokens \(--window\), 50"),
        ("--api_key_file=none", "cannot be read"),
        ("--host=256.256.256.256", "cannot be listened at"),
    ],
)
def test_mistakes_are_one_line_before_the_model_loads(started, serve, tmp_path, monkeypatch, given, reason):
    monkeypatch.setattr(serve.Session, "open", lambda workdir: pytest.fail("the model was loaded"))
    flag, *more = given.split(" --")
    with pytest.raises(ConfigError, match=reason) as refused:
        started(f"--workdir={tmp_path}", "--port=0", flag, *(f"--{each}" for each in more))
    assert "\n" not in str(refused.value)


def test_an_address_that_is_taken_while_the_model_loads_is_told_before_anything_is_compiled(
    started, serve, tmp_path, monkeypatch
):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))

        def load(workdir):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(other.getsockname(), timeout=5)
            other.listen()
            return Opened()

        monkeypatch.setattr(serve.Session, "open", load)
        monkeypatch.setattr(serve, "Engine", lambda *arguments: pytest.fail("the engine was started"))
        with pytest.raises(ConfigError, match="cannot be listened at: Address already in use"):
            started(f"--workdir={tmp_path}", f"--port={other.getsockname()[1]}", "--warm_up")


@pytest.mark.parametrize(
    "flag, reason", [("--max_batch=99", "rows"), ("--max_tokens=99", r"no room for a prompt in .* 99: lower it")]
)
def test_what_the_model_has_no_room_for_is_one_line(started, tmp_path, flag, reason):
    with pytest.raises(ConfigError, match=reason):
        started(f"--workdir={tmp_path}", "--port=0", flag)


def test_requests_are_answered_in_the_style_and_window_of_the_flags(started, tmp_path, monkeypatch):
    """The window of 99 tokens, less the answer's, holds no longer question."""
    config, _ = started(f"--workdir={tmp_path}", "--port=0", "--style=dialogue", "--model_name=tiny")
    with running.running(Engine(Opened()), config) as port:
        assert running.post(port, running.asking("word " * 20, max_tokens=40))[0] == 200
        status, body, _ = running.post(port, running.asking("word " * 20, max_tokens=60))
        assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
