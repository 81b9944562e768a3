"""The page in a real browser: three walks of a user, nothing from elsewhere, and what axe finds.

Debian's chromium, driven by Playwright, as CI installs it (`make test` as root). A machine without it
skips; where `LANGUE_BROWSER=required`, as in CI, it fails.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.server.conftest import Address, running

import langue

MODELS = Path(__file__).parents[1] / "compat" / "data" / "models"
SERVED = (
    "ngram", "gpt2", "infinigram", "hmm", "mixture", "bert", "hmm-tagger", "classifier", "class-ngram",
    "nplm", "transformer", "classifier-pair",
)  # fmt: skip
NEWS = "The council met on Monday. It rained. The council voted for the bridge, which costs two million."
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
TEXT = "the king 天下大势，分久必合。 é 🙂\nof the king"
MILLISECONDS = 240_000  # at most: a machine that does other things compiles a model for a minute


def chromium() -> str:
    """The path of a browser, or a skip with its reason."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    required = os.environ.get("LANGUE_BROWSER") == "required"
    if path is None and not required:
        pytest.skip("needs Debian's chromium (apt-get install chromium)")
    assert path, "chromium is not installed, and this machine must have it (make test, as root)"
    if not required:
        pytest.importorskip("playwright", reason="needs playwright, of the extra dev")
    return path


@pytest.fixture(scope="module")
def address(pair_model: Path) -> Iterator[Address]:
    chromium()
    with running({name: MODELS / name for name in SERVED} | {"pairs": pair_model}) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


Open = Callable[..., Any]


@pytest.fixture
def visit(address: Address, browser: Any) -> Iterator[Open]:
    """Open the page at a state; what it asks of other machines, and its errors, fail the test."""
    faults: list[str] = []
    contexts = []

    def go(*, language: str = "en-US", dark: bool = False, phone: bool = False, **state: Any) -> Any:
        context = browser.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 900},
            color_scheme="dark" if dark else "light",
            locale=language,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda sent: own(sent.url) or faults.append(f"asks {sent.url}"))
        page.goto(f"{address.url}/#{urlencode(state)}")
        return page

    def own(url: str) -> bool:
        return url.startswith((address.url + "/", "data:"))

    yield go
    for context in contexts:
        context.close()
    assert not faults


def until(page: Any, expression: str, arg: Any = None) -> None:
    """Wait until an expression holds, asked from outside: a page may not read text as code (its CSP)."""
    for _ in range(MILLISECONDS // 100):
        if page.evaluate(expression, arg):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never held: {expression}")


def check_accessible(page: Any) -> None:
    """See that axe finds nothing serious."""
    from axe_playwright_python.sync_playwright import Axe

    until(page, "!document.querySelector('[aria-busy]')")
    page.wait_for_timeout(300)  # what fades has faded
    violations = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious


def test_surprise(visit: Open, address: Address) -> None:
    page = visit(view="surprise", a="ngram", text=TEXT)
    page.wait_for_selector(".tok")
    shown = page.locator(".text").inner_text()
    assert re.sub(r"[↵⟨end⟩\s]", "", shown) == re.sub(r"[end\s]", "", TEXT) or "天下大势" in shown
    assert "\ufffd" not in page.locator("body").inner_text()
    figure = float(page.locator(".total b").inner_text())
    score = langue.CausalModel.load(MODELS / "ngram").score(TEXT)
    assert figure == pytest.approx(score.bits_per_byte, abs=1e-3)
    page.locator(".tok").nth(2).hover()
    page.wait_for_selector(".detail .facts")
    assert page.locator(".detail .bars li").count() == 10
    page.locator(".tok").nth(1).click()
    page.wait_for_selector(".why table tbody tr")
    first = page.locator(".detail .name").inner_text()
    page.keyboard.press("ArrowRight")
    until(page, "name => document.querySelector('.detail .name').innerText !== name", first)
    check_accessible(page)


@pytest.mark.parametrize(
    ("model", "inside"),
    [
        ("infinigram", ".quotes li"),
        ("hmm", ".why .bars"),
        ("gpt2", ".look span"),
        ("mixture", ".why table"),
        ("class-ngram", ".why .bars"),
        ("nplm", ".look .better, .look .worse"),
        ("transformer", ".look + h3 + .quiet + .chips + .look"),
    ],
)
def test_each_kind_of_family_says_why(visit: Open, model: str, inside: str) -> None:
    page = visit(view="surprise", a=model, text="the king")
    page.locator(".tok").nth(1).click()
    page.wait_for_selector(inside)


def test_write_and_branch(visit: Open, address: Address) -> None:
    page = visit(view="write", a="ngram", prompt="the", n=12, seed=1, t=1)
    page.click("#write")
    done = "document.querySelector('#write').textContent === 'Write' && location.hash.includes('w=')"
    until(page, done)
    body = {"model": "ngram", "prompt": "the", "max_tokens": 12, "seed": 1, "temperature": 1.0, "top_p": 0.95}
    written = address.ask("/v1/completions", body).json["choices"][0]["text"]
    squeezed = re.sub(r"[↵\s]", "", page.locator(".text").inner_text())
    assert squeezed.removesuffix("⟨end⟩") == re.sub(r"\s", "", "the" + written)
    before = page.evaluate("location.hash.match(/w=([\\d.]+)/)[1].split('.')")
    page.locator(".tok:not(.prompt)").nth(3).click()
    page.wait_for_selector(".detail button.what")
    page.locator(".detail li:not(.this) button.what").nth(1).click()
    until(page, "before => !location.hash.includes(before)", "w=" + ".".join(before))
    until(page, done)
    after = page.evaluate("location.hash.match(/w=([\\d.]+)/)[1].split('.')")
    assert after[:3] == before[:3] and after[3] != before[3]
    text = page.locator(".text").inner_text()
    page.get_by_role("button", name="road 1").wait_for()
    check_accessible(page)
    again = page.context.new_page()  # what the link says is what was written
    again.goto(page.url)
    again.locator(".tok:not(.prompt)").nth(4).wait_for(timeout=MILLISECONDS)
    assert again.locator(".text").inner_text() == text


def test_compare(visit: Open) -> None:
    page = visit(view="surprise", a="ngram", b="gpt2", text=TEXT * 15, language="zh-CN", dark=True)
    page.wait_for_selector(".pair.two .wide .tok")
    assert page.locator("h1").inner_text() == "意外"
    assert page.locator(".total").count() == 3
    assert all("95" in text for text in page.locator(".total").all_inner_texts())
    one, other, difference = (
        float(text.replace("−", "-").replace("+", "")) for text in page.locator(".total b").all_inner_texts()
    )
    assert difference == pytest.approx(other - one, abs=2e-3)
    page.locator(".wide .tok").nth(2).click()
    page.wait_for_selector(".detail .facts")
    check_accessible(page)
    page.click("nav a:last-child")
    page.wait_for_selector(".ladder tbody tr:nth-child(5)")
    check_accessible(page)


def test_on_a_phone_nothing_is_wider_than_it(visit: Open) -> None:
    for view in (
        "surprise", "write", "fill", "tag", "classify", "summarize", "answer", "similar", "ladder",
    ):  # fmt: skip
        page = visit(view=view, phone=True, dark=view == "write")
        page.wait_for_selector("main h1")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        page.context.close()


def test_fill_tag_and_classify(visit: Open) -> None:
    page = visit(view="fill", **{"fill-text": "the [MASK] of"})
    page.wait_for_selector(".tok.gap")
    page = visit(view="tag", **{"tag-text": "the king"})
    page.wait_for_selector(".word small")
    page = visit(view="classify", **{"classify-text": "<b>the king</b>"})
    page.wait_for_selector(".bars li")
    check_accessible(page)


def test_pairs_are_classified(visit: Open) -> None:
    page = visit(view="classify", **{"classify-text": "the king", "classify-second": "a queen"})
    page.wait_for_selector(".bars li")
    assert page.locator("#text-classify-second").is_hidden()
    page.locator("#pick-a").select_option("classifier-pair")
    until(page, "location.hash.includes('a=classifier-pair') && !document.querySelector('[aria-busy]')")
    label, probability = langue.load(MODELS / "classifier-pair").classify("the king", "a queen")[0]
    first = page.locator(".bars li").first
    assert first.locator(".what").inner_text() == label
    assert first.locator(".num").inner_text().startswith(f"{100 * probability:.0f}")
    assert page.locator("#text-classify-second").is_visible()
    check_accessible(page)


def test_a_summary_is_written(visit: Open, pair_model: Path) -> None:
    page = visit(view="summarize", text="one " * 20, method="model:pairs", length=6)
    page.get_by_text("The text is longer than the model reads").wait_for()
    written = langue.summarize("one " * 20, model=pair_model, max_tokens=6)
    assert page.locator(".card .text").inner_text() == written.text
    assert page.locator("#field-sentences").is_hidden()
    check_accessible(page)


def test_summarize(visit: Open) -> None:
    text = f"🙂 {NEWS} <b>Bread</b> is dear."
    page = visit(view="summarize", text=text, sentences=2)
    page.wait_for_selector(".tok.chosen")
    chosen = [one.text for one in langue.summarize(text, sentences=2).sentences]
    assert page.locator(".tok.chosen").all_inner_texts() == chosen
    assert page.locator(".text").inner_text() == text
    page.keyboard.press("Tab")
    page.locator(".tok.chosen").first.focus()
    page.keyboard.press("Enter")
    page.locator(".detail .facts").wait_for()
    page.keyboard.press("ArrowRight")
    until(page, "text => document.querySelector('.detail .words').innerText === text", chosen[1])
    page.locator("#pick-method").select_option("lead")
    until(page, "location.hash.includes('method=lead') && !document.querySelector('[aria-busy]')")
    assert page.locator(".tok.chosen").first.inner_text().startswith("🙂 The council met")
    check_accessible(page)


def test_answer_and_similar(visit: Open) -> None:
    page = visit(view="answer", where=NEWS, language="zh-CN")
    assert page.locator("h1").inner_text() == "问答"
    page.locator("#answer-query").fill("What does the bridge cost?")
    page.keyboard.press("Enter")
    page.locator(".passage mark").first.wait_for()
    expected = langue.answer("What does the bridge cost?", NEWS, k=3)
    sentences = "marks => marks.map((one) => one.firstChild.textContent)"
    marks = page.locator(".passage mark").evaluate_all(sentences)
    assert sorted(marks) == sorted(one.text for one in expected.candidates)
    check_accessible(page)
    page.locator("#answer-query").fill("zyx")
    page.keyboard.press("Enter")
    page.get_by_text("没有段落与它有共同的词").wait_for()
    page = visit(view="similar", query="the bridge", where=NEWS, phone=True)
    page.locator(".passage").wait_for()
    page.locator("#pick-by").select_option("bert")
    until(page, "location.hash.includes('by=bert') && !document.querySelector('[aria-busy]')")
    assert page.locator(".passage").inner_text() == NEWS
    check_accessible(page)


def test_text_of_users_is_never_markup(visit: Open) -> None:
    text = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    page = visit(view="surprise", a="ngram", text=text)
    page.wait_for_selector(".tok")
    page.locator(".tok").nth(3).click()
    page.wait_for_selector(".why table")
    assert page.locator("main img, main script").count() == 0
    assert "owned" not in page.title()
    assert "<img" in re.sub(r"\s", "", page.locator(".text").inner_text())


def test_first_paint_waits_for_no_model_and_an_error_is_told(visit: Open) -> None:
    page = visit(view="surprise", a="ngram", text="a")
    held: list[Any] = []
    page.route("**/v1/score", lambda route: held.append(route))  # no answer comes until it is let through
    page.reload()
    until(page, "performance.getEntriesByType('paint').length")
    assert not page.locator(".tok").count()
    for _ in range(MILLISECONDS // 20):
        if held:
            break
        page.wait_for_timeout(20)
    assert held
    for request in held:
        request.continue_()
    page.wait_for_selector(".tok")
    page.goto(page.url.split("#")[0] + "#view=fill&fill-text=nothing")
    page.reload()
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").inner_text() == "There is no [MASK] in the text."
