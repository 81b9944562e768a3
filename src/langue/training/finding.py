"""What `langue doctor` finds."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """One thing looked at. A `note` is for information, `fail` keeps langue from working."""

    name: str
    verdict: Literal["ok", "note", "fail"]
    value: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {"ok": "ok  ", "note": "note", "fail": "FAIL"}[self.verdict]
        return f"{mark}  {self.name:10} {self.value}" + (f": {self.advice}" if self.advice else "")
