"""Few-shot evaluations in the report of their run."""

import json
from pathlib import Path

from tests.evaluation.test_report import page_of


def test_few_shot_evaluations_have_a_table_each(tmp_path: Path):
    assert "No benchmark has been evaluated few-shot yet." in page_of(tmp_path).text
    folder = tmp_path / "evaluations" / "b" / "test-step7"
    folder.mkdir(parents=True)
    point = {"selection": "random", "low": 10.04, "high": 21.5}
    summary = {
        "title": "B & C",
        "metric": "accuracy",
        "split": "test",
        "items": 1200,
        "step": 7,
        "results": [
            {"shots": 0, "value": 15.04} | point,
            {"shots": 4, "value": 30.26} | point,
            {"shots": 4, "selection": "rices", "value": 44.0, "low": None, "high": None},
            {"shots": 8, "selection": "rices", "value": None},
            "damage",
        ],
        "baselines": [{"name": "blind", "shots": 0, "value": 5.5}],
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    page = page_of(tmp_path)
    assert "B & C accuracy, split test, 1,200 items, after update 7. Prompts and answers" in page.text
    assert "0 shots 4 shots 8 shots random examples 15.0 (10.0 to 21.5) 30.3 (10.0 to 21.5)" in page.text
    assert "RICES: the most alike examples 44.0 - blind: no image is seen 5.5" in page.text
    links = [attrs.get("href") for tag, attrs in page.elements if tag == "a"]
    assert "evaluations/b/test-step7/examples.html" in links
    (folder / "summary.json").write_text("[]")
    assert "summary.json is left out" in page_of(tmp_path).text
