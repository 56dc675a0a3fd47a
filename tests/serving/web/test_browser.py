"""The page in a browser, as somebody uses it who sees it for the first time."""

import base64
import shutil
import time
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page needs gradio: pip install -e '.[chat]'")
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="the browser is driven by playwright: pip install playwright"
)

from flamingo_jax.serving.engine.events import ERROR, Failed  # noqa: E402
from tests.patience import until  # noqa: E402
from tests.serving.dialogue.fake_engine import FakeEngine, fake_chat  # noqa: E402
from tests.serving.dialogue.media import mp4, png  # noqa: E402
from tests.serving.web.page import opened  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="neither chromium nor google-chrome is on the PATH"),
]
SENTENCE = "It is a red square in front of nothing at all."


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def engine():
    return FakeEngine(lambda request: SENTENCE, pause=0.1)


@pytest.fixture
def page(browser, engine):
    with opened(fake_chat(engine, tokens=340)) as address:
        page = browser.new_page(viewport={"width": 1200, "height": 800})
        page.asked_for = []
        page.on("request", lambda request: page.asked_for.append(request.url))
        page.goto(address)
        page.wait_for_selector("#composer textarea")
        yield page
        page.close()


def drop(page, name: str, content: bytes, kind: str) -> None:
    """Drops a file onto the composer, as a hand does; one too large for that is chosen from a list."""
    if len(content) > 1_000_000:
        page.set_input_files("#composer input[type=file]", {"name": name, "mimeType": kind, "buffer": content})
        page.wait_for_selector("#composer .thumbnail-item", timeout=30_000)
        return
    page.evaluate(
        """async ([name, data, kind]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: kind}));
            const target = document.querySelector("#composer textarea");
            for (const type of ["dragenter", "dragover", "drop"])
                target.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        [name, base64.b64encode(content).decode(), kind],
    )
    page.wait_for_selector("#composer .thumbnail-item, #composer .file", timeout=10_000)


def ask(page, text: str) -> None:
    """Writes and sends."""
    page.fill("#composer textarea", text)
    page.press("#composer textarea", "Enter")


def answered(page, count: int) -> None:
    """Waits for so many answers."""
    page.wait_for_function(f"document.querySelectorAll('#history .says').length === {count}", timeout=20_000)


def test_pictures_and_clips_are_asked_about(page, engine):
    drop(page, "red.png", png(side=200), "image/png")
    ask(page, "What is it?")
    page.wait_for_selector("#live .says")
    grown = set()
    while page.query_selector("#live .says"):
        grown.add(page.evaluate("document.querySelector('#live .says')?.textContent ?? ''"))
        time.sleep(0.05)
    assert len(grown) >= 4 and all(SENTENCE.startswith(text) or "looking" in text for text in grown)
    answered(page, 1)
    assert page.inner_text("#history .says") == SENTENCE
    assert page.evaluate("document.querySelector('#history img').naturalWidth") > 0
    assert page.input_value("#composer textarea") == ""

    ask(page, "And its colour?")
    answered(page, 2)
    drop(page, "clip.mp4", mp4(), "video/mp4")
    ask(page, "What happens?")
    answered(page, 3)
    assert page.query_selector("#history .clip") and len(engine.requests[2].media) == 2

    for number in (4, 5):  # until the first turns are out of the window
        ask(page, "Go on?")
        answered(page, number)
    assert page.query_selector_all("#history .gone .turn")
    assert "no longer seen by the model" in page.inner_text("#history .edge")
    assert all(url.startswith(("http://127.0.0.1:", "data:", "blob:")) for url in page.asked_for)


@pytest.mark.parametrize(
    "name, content, kind, reason",
    [
        ("cut.png", png(side=300)[:100], "image/png", "cut.png"),
        ("script.png", b"#!/bin/sh\nrm -rf /\n", "image/png", "neither a picture"),
        ("large.png", png() + bytes(30_000_000), "image/png", "at most 20 MB"),
        ("cut.mp4", mp4()[:100], "video/mp4", "cut.mp4"),
    ],
)
def test_what_is_not_taken_is_said_and_the_message_stays(page, engine, name, content, kind, reason):
    drop(page, name, content, kind)
    ask(page, "What is it?")
    page.wait_for_selector("#notice .notice")
    assert reason in page.inner_text("#notice .notice")
    assert page.input_value("#composer textarea") == "What is it?" and not engine.requests
    page.click("#composer .delete-button, #composer [aria-label*='emove']")
    ask(page, "Then without.")
    answered(page, 1)
    assert not page.query_selector("#notice .notice")


def test_a_huge_file_is_refused_before_it_is_sent(page, tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(200_000_000)
    page.set_input_files("#composer input[type=file]", tmp_path / "huge.png")
    page.wait_for_function("/maximum|exceeds|too large/i.test(document.body.innerText)", timeout=20_000)
    assert not page.query_selector("#composer .thumbnail-item")


def test_a_file_of_another_kind_is_refused(page, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    page.set_input_files("#composer input[type=file]", tmp_path / "notes.txt")
    page.wait_for_function("/invalid file type|allowed/i.test(document.body.innerText)", timeout=20_000)


def test_an_answer_can_be_stopped(page, engine):
    engine.say = lambda request: "word " * 300
    ask(page, "What?")
    page.wait_for_selector("#live .says")
    page.click("#composer .stop-button")
    answered(page, 1)
    assert engine.ended[0].kind == "cancelled"
    assert "stopped" in page.inner_text("#history .foot")


def test_a_failure_is_said_and_leaves_nothing_behind(page, engine):
    engine.failure = Failed("the model broke", ERROR)
    ask(page, "What?")
    page.wait_for_selector("#notice .notice")
    assert page.inner_text("#notice .notice") == "the model broke"
    assert not page.query_selector("#history .turn")


def test_a_conversation_is_saved_and_loaded(page):
    drop(page, "red.png", png(), "image/png")
    ask(page, "What is it?")
    answered(page, 1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    content = Path(download.value.path()).read_bytes()
    saved = {"name": "talk.json", "mimeType": "application/json", "buffer": content}
    page.get_by_role("button", name="New conversation").click()
    answered(page, 0)
    page.set_input_files("#panel input[type=file]", saved)
    answered(page, 1)
    assert page.inner_text("#history .sent p") == "What is it?"


def test_a_closed_tab_cancels_its_answer(browser):
    engine = FakeEngine(lambda request: "word " * 600, pause=0.05)
    with opened(fake_chat(engine)) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#composer textarea")
        ask(page, "What?")
        page.wait_for_selector("#live .says")
        page.close()
        until(lambda: engine.ended)
        assert [event.kind for event in engine.ended] == ["cancelled"]
