"""A folder as an evaluation of captions leaves it, of few pictures."""

import json

GROUPS = ("female", "male")


def write_evaluation(folder, count=40, name="random-0-0", **summary):
    """Captions of pictures "0", "1", ...; the CIDEr of picture n is n % 7 + 3 * (n is odd), times 100 in its row."""
    facts = {
        "benchmark": "coco",
        "title": "COCO",
        "metric": "CIDEr",
        "split": "test",
        "step": 12,
        "model": {"name": "run"},
        "items": count,
    }
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(facts | summary))
    rows = [
        {
            "key": str(n),
            "references": ["r"],
            "share": 100.0 * cider(n),
            "answer": caption(n),
            "prompt": "<image>Output:",
        }
        for n in range(count)
    ]
    write_rows(folder, rows, name)
    return folder


def write_rows(folder, rows, name="random-0-0"):
    (folder / "rows" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def read_rows(folder, name="random-0-0"):
    return [json.loads(line) for line in (folder / "rows" / f"{name}.jsonl").read_text().splitlines()]


def cider(n):
    return (n % 7) / 10 + 0.3 * (n % 2)


def caption(n):
    return f"<b>picture</b> & {n}"


def write_groups(path, count=40):
    """Even pictures are of women, odd ones of men; of every third the skin is not annotated."""
    lines = ["key,gender,skin"]
    lines += [f"{n},{GROUPS[n % 2]},{['', 'darker', 'lighter'][n % 3]}" for n in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path
