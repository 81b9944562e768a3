"""`langue tag` on what a user has at hand."""

import json
from pathlib import Path

import pytest

from langue import cli
from langue.cli import options, tag

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"


@pytest.mark.parametrize("format", ["text", "tokens"])
def test_a_text_without_end_is_tagged_in_pieces(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    format: str,
) -> None:
    """Memory grows with a sentence, so a file without line ends must be none: and no token is lost."""
    caplog.set_level("INFO", "langue")
    monkeypatch.setattr(options, "LONGEST", 4)
    monkeypatch.setattr(tag, "AT_ONCE", 6)
    path = tmp_path / "a.txt"
    path.write_text(
        "国王死了国王 死了国 王死了\n国王\n" if format == "text" else "国 王 死 了 国 王\n国 王\n", "utf-8"
    )
    assert cli.run(["tag", str(MODELS / "crf-characters"), str(path), "--format", format]) == 0
    tagged = capsys.readouterr().out.split("\n\n")
    sentences = ["".join(line.split("\t")[0] for line in one.splitlines()) for one in tagged if one.strip()]
    pieces = (
        ["国王死了", "国王", "死了国", "王死了", "国王"] if format == "text" else ["国王死了", "国王", "国王"]
    )
    assert sentences == pieces
    assert "over 4 characters is tagged in pieces" in caplog.text


def test_states_of_a_text_without_end_come_in_pieces(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "langue")
    monkeypatch.setattr(options, "LONGEST", 4)
    path = tmp_path / "a.txt"
    path.write_text("a b cde\nfg\n")
    assert cli.run(["states", str(MODELS / "hmm"), str(path), "--json"]) == 0
    lines = ["".join(row["token"] for row in rows) for rows in json.loads(capsys.readouterr().out)]
    assert len(lines) == 3 and lines[2].replace("␣", " ").strip().startswith("fg")
    assert "over 4 characters is read in pieces" in caplog.text
