"""`langue classify` on files as people have them."""

import json
from pathlib import Path
from typing import Any

import pytest

from langue import cli

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"


@pytest.fixture
def langue(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str | Path) -> str:
        capsys.readouterr()
        assert cli.run([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    return run


def test_a_blank_line_keeps_its_place_and_has_no_label(
    langue: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "lines.txt"
    file.write_text("今天天气\n\n \n好\n", "utf-8")
    rows = langue("classify", MODELS / "classifier", file).split("\n")
    assert [row.partition("\t")[2] for row in rows] == ["今天天气", "", " ", "好", ""]
    assert [bool(row.partition("\t")[0]) for row in rows[:4]] == [True, False, False, True]
    assert "no label of 2 blank lines" in caplog.text
    told = json.loads(langue("classify", MODELS / "classifier", file, "--json"))
    assert [len(one["labels"]) for one in told] == [1, 0, 0, 1]


def test_pairs_around_a_blank_line(langue: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("天气\t天\n\n好\t坏\n", "utf-8")
    told = json.loads(langue("classify", MODELS / "classifier-pair", file, "--json"))
    assert [len(one["labels"]) for one in told] == [1, 0, 1]
    assert "no label of 1 blank line" in caplog.text
