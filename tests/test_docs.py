"""The figures of a page are what its code prints."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
CODE = re.compile(r"```python\n(.*?)```\n+```\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", ["kneser-ney"])
def test_pages_print_what_they_say(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    pairs = CODE.findall((DOCS / f"{page}.md").read_text(encoding="utf-8"))
    assert pairs
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), names)
        assert printed.getvalue() == expected
