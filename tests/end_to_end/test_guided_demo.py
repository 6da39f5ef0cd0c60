"""A visitor plays the demo's story in a real browser, led by the guide: three people, one correction, one approval."""

import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser import open_browser

MINUTE_MS = 60_000
ADDRESS = re.compile(r"http://[\d.]+:\d+/workspace/")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    log = tmp_path / "demo.log"
    command = [sys.executable, "-m", "bot", "demo", "--folder", str(tmp_path / "demo"), "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 120
        while not (found := ADDRESS.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield found.group()
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
async def page(address: str) -> AsyncIterator[Page]:
    async with open_browser() as browser:
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(address)
        yield page


async def become(page: Page, name: str) -> None:
    """Press the guide's "Be ...", which it does not show to somebody who is there already."""
    button = page.get_by_label("Guide", exact=True).get_by_role("button", name=f"Be {name}")
    if await button.count():
        await button.click()


async def ask_what_is_suggested(page: Page) -> None:
    await page.get_by_label("Guide", exact=True).get_by_role("button", name="Put it in the composer").click()
    await page.get_by_label("Message #ask-apprentice").press("Enter")


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_visitor_goes_from_a_wrong_answer_to_an_approved_right_one(page: Page) -> None:
    guide, thread = page.get_by_label("Guide", exact=True), page.get_by_label("Thread", exact=True)

    await expect(guide.get_by_text("1. Ask a question")).to_be_visible()
    await become(page, "Ada Lindgren")
    await ask_what_is_suggested(page)
    await page.get_by_role("button", name="1 reply").click()
    await expect(thread.get_by_role("button", name="Correct this")).to_be_visible(timeout=2 * MINUTE_MS)
    await expect(thread).not_to_contain_text("7443")

    await become(page, "Priya Raman")
    await page.get_by_role("button", name="1 reply").click()
    await thread.get_by_role("button", name="Correct this").click()
    form = page.get_by_role("dialog")
    await form.get_by_role("textbox").fill("The order gateway listens on port 7443.")
    await form.get_by_role("button", name="Send").click()
    await expect(form).to_have_count(0)

    await expect(guide.locator(".step.active")).to_contain_text("Approve it", timeout=10 * MINUTE_MS)
    await become(page, "Marcus Lindqvist")
    await page.get_by_role("button", name="Approve").click()

    await expect(guide.locator(".step.active")).to_contain_text("Ask again", timeout=MINUTE_MS)
    await become(page, "Ada Lindgren")
    await ask_what_is_suggested(page)
    answered = page.get_by_role("button", name="1 reply")
    await expect(answered).to_have_count(2, timeout=2 * MINUTE_MS)
    await answered.last.click()
    await expect(thread).to_contain_text("7443", timeout=MINUTE_MS)
    await expect(guide.locator(".step.done")).to_have_count(5)
