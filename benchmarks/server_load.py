"""Many clients at once against a running server (`python -m flamingo_jax.serve`): is any request lost?

    python benchmarks/server_load.py --port=8000 --model=quickstart --clients=200 --seconds=120

Half of the requests are streamed, half show a picture, and one in twenty hangs up. Every other one has to end with an
answer, with status 429 or 503 and a reason, or with an error in its stream. Clients that were refused come back after
the time that the server names, two seconds at most.
"""

import argparse
import asyncio
import base64
import collections
import dataclasses
import io
import json
import random
import time

from PIL import Image

_LONGEST_WAIT = 2.0  # seconds before a client that was refused comes back
_PATIENCE = 300.0  # seconds after which an answer counts as lost
_HANGING_UP = 0.05  # share of requests
_QUESTIONS = ("What is this?", "Which colour is it?", "Describe the picture.", "How many are there?")


@dataclasses.dataclass
class Report:
    """What came of the requests.

    Attributes:
      outcomes: how many there were of each; those that begin with "lost" should not be.
      seconds: that each answer took.
      resident: bytes of the server, as it says, every second.
    """

    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    seconds: list[float] = dataclasses.field(default_factory=list)
    resident: list[int] = dataclasses.field(default_factory=list)

    @property
    def lost(self) -> int:
        """Requests without an end that says what became of them."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.startswith("lost"))


async def load(
    port: int, model: str, clients: int, seconds: float, tokens: int = 32, host: str = "127.0.0.1"
) -> Report:
    """Keeps so many clients asking, each one question at a time, for so many seconds."""
    report, end = Report(), time.monotonic() + seconds
    watching = asyncio.create_task(_watch(report, host, port))
    await asyncio.gather(
        *(_client(report, random.Random(number), end, host, port, model, tokens) for number in range(clients))
    )
    report.resident.append(await _resident(host, port))
    watching.cancel()
    return report


async def _client(report, rng, end, host, port, model, tokens) -> None:
    while time.monotonic() < end:
        begun = time.monotonic()
        body = _body(rng, model, tokens)
        try:
            outcome, wait = await asyncio.wait_for(_ask(host, port, body, rng), _PATIENCE)
        except TimeoutError:
            outcome, wait = "lost: no end", 0.0
        except OSError as error:
            outcome, wait = f"lost: {type(error).__name__}", 0.0
        report.outcomes[outcome] += 1
        if outcome == "answered":
            report.seconds.append(time.monotonic() - begun)
        await asyncio.sleep(min(wait, _LONGEST_WAIT))


def _body(rng: random.Random, model: str, tokens: int) -> dict:
    content = [{"type": "text", "text": rng.choice(_QUESTIONS)}]
    if rng.random() < 0.5:
        content.insert(0, {"type": "image_url", "image_url": {"url": _picture(rng.randrange(64))}})
    drawn = {"temperature": rng.choice([0.0, 0.7]), "seed": rng.randrange(1000)}
    messages = [{"role": "user", "content": content}]
    return {"model": model, "messages": messages, "max_tokens": tokens, "stream": rng.random() < 0.5} | drawn


def _picture(number: int) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (96, 96), (4 * number, 255 - 4 * number, 128)).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


async def _ask(host: str, port: int, body: dict, rng: random.Random) -> tuple[str, float]:
    """What came of a request, and how long to wait before the next."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        await _send(writer, host, "POST /v1/chat/completions", json.dumps(body).encode())
        if rng.random() < _HANGING_UP:
            await asyncio.sleep(rng.random())
            return "hung up", 0.0
        head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        if not head:
            return "lost: no answer", 0.0
        status = int(head.split()[1])
        if status == 200:
            return _of_answer(answer, body["stream"]), 0.0
        reason = json.loads(answer)["error"]["message"]
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if status in (429, 503) and reason:
            return f"status {status}", float(headers.get(b"retry-after", 0))
        return f"lost: status {status}", 0.0
    finally:
        writer.close()


def _of_answer(answer: bytes, stream: bool) -> str:
    if not stream:
        return "answered" if json.loads(answer)["choices"][0]["finish_reason"] else "lost: no finish"
    if b"data: [DONE]" in answer:
        return "answered"
    return "error in a stream" if b'data: {"error"' in answer else "lost: half a stream"


async def _send(writer: asyncio.StreamWriter, host: str, line: str, body: bytes = b"") -> None:
    head = f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()


async def _watch(report: Report, host: str, port: int) -> None:
    while True:
        report.resident.append(await _resident(host, port))
        await asyncio.sleep(1)


async def _resident(host: str, port: int) -> int:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        await _send(writer, host, "GET /metrics")
        lines = (await reader.read()).decode().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("flamingo_resident_bytes "))
    finally:
        writer.close()


def main() -> None:
    """Prints the outcomes, how long answers took, and the server's memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", required=True)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--tokens", type=int, default=32)
    given = parser.parse_args()
    report = asyncio.run(load(given.port, given.model, given.clients, given.seconds, given.tokens, given.host))
    for outcome, count in report.outcomes.most_common():
        print(f"{count:8} {outcome}")
    took = sorted(report.seconds) or [float("nan")]
    shares = ", ".join(f"{share:.0%} {took[int(share * (len(took) - 1))]:.2f}" for share in (0.5, 0.95, 1.0))
    print(f"answers within seconds: {shares}; {len(report.seconds) / given.seconds:.1f} answers a second")
    first, *_, last = (bytes / 1e6 for bytes in report.resident)
    print(f"resident MB of the server: {first:.0f} before, {last:.0f} after, {max(report.resident) / 1e6:.0f} at most")
    print(f"lost: {report.lost}")


if __name__ == "__main__":
    main()
