"""A real browser for pages: Debian's chromium where it is installed, else the one that Playwright installed."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Error, async_playwright

ARGUMENTS = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
REMEDY = "Install Debian's chromium, or run: .venv/bin/playwright install chromium"


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start the browser; without one the test is skipped, and fails in CI, with what to do."""
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else ARGUMENTS
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        except Error as error:
            if os.environ.get("CI"):
                pytest.fail(f"no browser: {error}\n{REMEDY}")
            pytest.skip(f"no browser to test pages with. {REMEDY}")
        yield browser
        await browser.close()
