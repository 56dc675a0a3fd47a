"""Takes the picture of the page that the documentation shows:

python -m tests.serving.web.screenshot --workdir=runs/quickstart --output=docs/images/chat.png \
    --support=FOLDER --say="FILE What is this?" --say="And its colour?"

Each `--say` is a message; words that name files are sent as pictures.
"""

import argparse
import io
import shutil
from pathlib import Path

from etils import epath
from PIL import Image as Picture

from flamingo_jax.inference.session import Session
from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.dialogue.opening import chat_of, open_engine
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.support import Support
from flamingo_jax.serving.uploads import Limits
from flamingo_jax.serving.web.page import Shown
from flamingo_jax.serving.web.serve import served

_SIZE = {"width": 1080, "height": 760}
_COLOURS = 160  # of the picture: enough for a page with few photographs, and a third of the bytes
_PATIENCE = 300_000  # milliseconds for an answer: programs are compiled first


def photograph(chat: Chat, shown: Shown, messages: list[str], output: Path, scheme: str = "light") -> None:
    """Says the messages on the page, one after another, and takes its picture at the end."""
    from playwright.sync_api import sync_playwright

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    with served(chat, shown, "127.0.0.1", 0, Limits()) as address, sync_playwright() as playwright:
        window = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = window.new_page(viewport=_SIZE, color_scheme=scheme)
        page.goto(address)
        page.wait_for_selector("#composer textarea")
        for number, message in enumerate(messages, 1):
            files = [word for word in message.split() if Path(word).is_file()]
            if files:
                page.set_input_files("#composer input[type=file]", files)
                page.wait_for_selector("#composer .thumbnail-item")
            page.fill("#composer textarea", " ".join(word for word in message.split() if word not in files))
            page.press("#composer textarea", "Enter")
            page.wait_for_function(
                f"document.querySelectorAll('#history .says').length === {number}", timeout=_PATIENCE
            )
        page.wait_for_timeout(500)
        taken = Picture.open(io.BytesIO(page.screenshot())).convert("RGB")
        window.close()
    output.parent.mkdir(parents=True, exist_ok=True)
    taken.quantize(_COLOURS, dither=Picture.Dither.NONE).save(output, optimize=True)


def main() -> None:
    """Flags to one call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=epath.Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--support", type=epath.Path)
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--say", action="append", required=True)
    values = parser.parse_args()
    session = Session.open(values.workdir)
    support = Support.open(values.support, session) if values.support else None
    engine = open_engine(session, values.workdir)
    try:
        settings = Settings(style="questions", answer_tokens=24, shots=values.shots)
        shown = Shown(values.workdir.name, session.step, settings)
        photograph(chat_of(engine, session, support=support), shown, values.say, values.output)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
