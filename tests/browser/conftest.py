"""A browser for all tests here: Debian's chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One for all: a cold start takes seconds."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make test-browser")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium: apt-get install chromium")
    with sync_api.sync_playwright() as play:
        one = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a page; at the end none has said anything on the console, or asked for anything but files."""
    said: list[str] = []
    contexts = []

    def go(path: Path, where: str = "", **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.extend([] if request.url.startswith("file:") else [request.url]))
        page.goto(f"file://{path}{where}")
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == []
