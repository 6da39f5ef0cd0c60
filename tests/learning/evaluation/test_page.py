"""The report page, in a real browser: it needs nothing from outside, and says what the report says."""

import base64
import re
from pathlib import Path

from governance.gates import GateResult
from learning.evaluation import Report, write_report
from learning.evaluation.page import render
from tests.browser import open_browser
from tests.learning.evaluation.test_report import report

GATES = [
    GateResult("as_told", "passed", "as_told is 1.00.", 1.0, 1, 0.2, 1.0, 0.9),
    GateResult("general_lost", "failed", "general_lost is 0.50.", 0.5, 2, 0.1, 0.9, 0.05),
]


def test_the_same_report_gives_the_same_page() -> None:
    assert render(report(), GATES) == render(report(), GATES)


def test_a_page_asks_nothing_of_the_network() -> None:
    page = render(report(), GATES)
    plots = [base64.b64decode(data).decode() for data in re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", page)]

    assert len(plots) == 6
    assert not re.findall(r"""(?:src|href|srcset)=["'](?!data:)""", page)
    assert "url(http" not in page + "".join(plots)


def test_what_models_wrote_is_text_and_not_markup() -> None:
    said = report()
    hostile = said.changes[0].model_copy(update={"after": "<script>alert(1)</script>"})

    assert "<script>" not in render(said.model_copy(update={"changes": (hostile,)}))


def test_a_report_of_which_little_is_known_still_has_its_page() -> None:
    empty = Report(snapshot_digest="", metrics={}, before={}, tests=(), changes=(), answers=())

    assert "Not measured" in render(empty)


async def test_the_page_is_readable_on_a_telephone(tmp_path: Path) -> None:
    write_report(report(), tmp_path, GATES)
    async with open_browser() as browser:
        page = await browser.new_page(viewport={"width": 360, "height": 740})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto((tmp_path / "report.html").as_uri())

        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        shown = await page.inner_text("main")
        described = await page.eval_on_selector_all("img", "all => all.map(each => each.alt)")

    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert "General, lost: failed" in shown
    assert "wrong now: What is ice?" in shown
    assert shown.index("What is ice?") < shown.index("Where is the kiln?")
    assert "As it was told" in described[0]
    assert all(described)
