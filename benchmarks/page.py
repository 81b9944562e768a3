"""How soon the page of a server is painted, each view of it, in Debian's Chromium on the same machine.

    python benchmarks/page.py [--times 10] [--models FOLDER] [--output FILE.md]

The models are those of a folder, `ngram` and `gpt2`, or trained for a moment. Each visit has a new profile,
so nothing is cached; no model is loaded when the first comes. Told are the times by the browser's own clock
(Performance API, from the beginning of the navigation): the first paint, the first paint of content, and when
the heading of the view stood there; and how many requests went to another machine.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving import serving, train

VIEWS = ("surprise", "write", "summarize", "answer", "similar", "ladder")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PAINTED = """
() => Object.fromEntries(performance.getEntriesByType("paint").map((one) => [one.name, one.startTime]))
"""  # milliseconds


def visits(browser: Any, url: str, times: int, foreign: list[str]) -> Iterator[dict[str, float]]:
    """The times of each visit, of all views in turn."""
    for _ in range(times):
        for view in VIEWS:
            context = browser.new_context()
            page = context.new_page()
            page.on("request", lambda sent: sent.url.startswith((url, "data:")) or foreign.append(sent.url))
            page.goto(f"{url}/#view={view}")
            page.wait_for_selector("main h1")
            drawn = page.evaluate("performance.now()")
            while page.evaluate("performance.getEntriesByType('paint').length") < 2:
                page.wait_for_timeout(10)
            yield {"view": drawn} | page.evaluate(PAINTED)
            context.close()


def lines(times: int, ready: Path | None) -> Iterator[str]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or sys.exit("chromium is not installed: apt install chromium")
    foreign: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        models = {name: ready / name for name in ("ngram", "gpt2")} if ready else train(Path(folder))
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        with serving(models, warm=False) as server:
            told = list(visits(browser, f"http://127.0.0.1:{server.port}", times, foreign))
        browser.close()
    yield f"{len(told)} visits, {len(VIEWS)} views; {len(foreign)} requests to other machines.\n"
    yield "| milliseconds from the beginning of the visit | median | largest |\n|---|---|---|"
    for name, what in (
        ("first-paint", "first paint"),
        ("first-contentful-paint", "first paint of content"),
        ("view", "the view stands there"),
    ):
        numbers = [one[name] for one in told]
        yield f"| {what} | {statistics.median(numbers):.0f} | {max(numbers):.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    written = []
    for line in lines(given.times, given.models):
        print(line, flush=True)
        written.append(line)
    if given.output:
        given.output.write_text("\n".join(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
