"""`langue generate`: many prompts, JSON lines, rules, and an end by Ctrl-C."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import langue
from langue import cli


@pytest.fixture
def model(small_models: dict[str, Path]) -> str:
    return str(small_models["trigram"])


def lines(captured: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


@pytest.mark.parametrize("suffix", ["txt", "jsonl"])
def test_prompts_of_a_file_become_lines_of_json(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    prompts = ["The king", "", "第一回", "The queen"]
    path = tmp_path / f"prompts.{suffix}"
    written = prompts if suffix == "txt" else [json.dumps({"text": text}) for text in prompts]
    path.write_text("\n".join(written) + "\n", encoding="utf-8")
    common = ["--max-tokens", "7", "--seed", "3"]
    assert cli.run(["generate", model, "--prompts", str(path), "--json", "-n", "2", *common]) == 0
    made = lines(capsys)
    assert [line["prompt"] for line in made] == [text for text in prompts for _ in range(2)]
    assert set(made[0]) == {
        "prompt", "text", "tokens", "finished", "log_prob", "seconds", "tokens_per_second"
    }  # fmt: skip
    for line in made[::2]:
        assert cli.run(["generate", model, line["prompt"], "--json", *common]) == 0
        (alone,) = lines(capsys)
        assert (alone["text"], alone["tokens"]) == (line["text"], line["tokens"])


def test_the_last_line_for_human_eyes_is_the_speed(
    model: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "langue"):
        assert cli.run(["generate", model, "The king", "--max-tokens", "5"]) == 0
        assert caplog.messages[-1].startswith("5 tokens, ") and caplog.messages[-1].endswith(" tokens/s")
        alone = capsys.readouterr().out
        assert alone.startswith("The king") and alone.count("\n") == alone.rstrip("\n").count("\n") + 1
        assert cli.run(["generate", model, "The king", "--max-tokens", "5", "-n", "2"]) == 0
    assert capsys.readouterr().out.startswith(alone + "\nThe king")
    assert int(caplog.messages[-1].split()[0]) > 5


def test_rules_of_the_command_line_hold(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["generate", model, "The", "--ban", "e", "--ban", "a", "-n", "5", "--json"]) == 0
    assert not any(set(line["text"]) & {"e", "a"} for line in lines(capsys))
    assert cli.run(["generate", model, "The", "--bias", "e=99", "--max-tokens", "5", "--json"]) == 0
    assert lines(capsys)[0]["text"] == "eeeee"
    pytest.importorskip("llguidance")
    assert cli.run(["generate", model, "In ", "--regex", "[12][0-9]{3}", "-n", "3", "--json"]) == 0
    assert all(1000 <= int(line["text"]) < 3000 for line in lines(capsys))
    schema = tmp_path / "schema.json"
    schema.write_text('{"enum": ["yes", "no"]}')
    for given in (str(schema), schema.read_text()):
        assert cli.run(["generate", model, "", "--json-schema", given, "-n", "3", "--json"]) == 0
        assert {line["text"] for line in lines(capsys)} <= {'"yes"', '"no"'}
    assert cli.run(["generate", model, "", "--regex", "(a"]) == 2
    assert "regex cannot be used: unclosed group" in capsys.readouterr().err


def test_beams_of_many_prompts(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.txt").write_text("The king\nThe queen\n")
    beams = ["--num-beams", "3", "--max-tokens", "5"]
    assert cli.run(["generate", model, "--prompts", str(tmp_path / "p.txt"), "--json", *beams]) == 0
    made = lines(capsys)
    assert [line["prompt"] for line in made] == ["The king", "The queen"]
    assert cli.run(["generate", model, "The queen", "--json", *beams]) == 0
    best = json.loads(capsys.readouterr().out)
    assert len(best) == 3 and best[0]["text"] == made[1]["text"]
    assert cli.run(["generate", model, "The queen", "-n", "2", *beams]) == 0
    assert capsys.readouterr().out == f"The queen{best[0]['text']}\n\nThe queen{best[1]['text']}\n"


def test_the_sources_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [f"{number}\t{number + 1}\n" for number in range(200)]
    (tmp_path / "pairs.txt").write_text("".join(pairs))
    langue.prepare(tmp_path / "pairs.txt", tmp_path / "s", documents="pairs", kind="bytes")
    shape = {"layers": 1, "width": 16, "heads": 2, "context": 16, "steps": 2}
    langue.train("transformer", tmp_path / "s", tmp_path / "m", **shape)
    (tmp_path / "sources.txt").write_text("12\n\n123\n")
    model, sources = str(tmp_path / "m"), str(tmp_path / "sources.txt")
    assert cli.run(["generate", model, "--sources", sources, "--max-tokens", "4", "--json"]) == 0
    made = lines(capsys)
    assert [line["source"] for line in made] == ["12", "", "123"]
    assert cli.run(["generate", model, "--source", "123", "--max-tokens", "4", "--json"]) == 0
    assert lines(capsys)[0]["text"] == made[2]["text"]


def test_what_was_written_before_ctrl_c_stays(model: str) -> None:
    command = [sys.executable, "-m", "langue", "generate", model, "The king", "--max-tokens", "9000000"]
    process = subprocess.Popen(
        [*command, "--temperature", "1", "--bias", "<eos>=-99"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    begun = process.stdout.read(40)
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=120)
    assert begun.startswith(b"The king")
    assert rest.endswith(b"\n")
    assert process.returncode == 130, errors
    assert b"tokens/s" in errors and b"Traceback" not in errors
