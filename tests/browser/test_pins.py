"""The page of `pinhold pins` in a browser: without a network, for a screen reader, with names that would be markup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pinhold.cli import main
from pinhold.commands import pins
from pinhold.inspect.records import (
    MEANING,
    Buffer,
    Counters,
    Holder,
    Looked,
    Owner,
    PinnedFolio,
    Process,
    ProcessPins,
    State,
    Told,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

Open = Callable[..., Any]
NAME = "<img src=//a/b>"
"""What a process may call itself: 15 bytes, which would ask a server for a picture."""
MARKUP = "<script>document.title='it ran'</script>"
ME, OTHER = Process(7, NAME), Process(8, 'x" onclick="y\x1b[')
AT = 0x7F00_0000_0000


def folio(pfn: int, **members: Any) -> PinnedFolio:
    one = PinnedFolio(
        pfn, "anon", 4096, 0, "Normal", 1, True, (Owner(ME, AT + pfn * 4096),), (Holder("io_uring", ME, 3),)
    )
    return replace(one, **{"state": State.SAME, **members})


TOLD = Told(
    source="RAM",
    release=f"6.1.0-{MARKUP}",
    processes=(ProcessPins(ME, 2 << 20, 4096), ProcessPins(OTHER, 0, 8192)),
    buffers=(Buffer(Holder("VFIO", OTHER, 5, address=AT), 1 << 21, reason=f"no tables: {MARKUP}"),),
    folios=(
        folio(1),
        *(
            folio(pfn, state=state, reason="" if state is not State.UNKNOWN else "why")
            for pfn, state in enumerate(State, 3)
        ),
        folio(20, holders=(Holder("unknown", ME, 9, module=MARKUP),), cma=MARKUP),
        folio(21, owners=(Owner(OTHER, AT),), holders=(Holder("transient"),), zone="Movable"),
    ),
    counters=Counters(9, 2, True),
    looked=Looked("processes", 9, inconsistent=1),
    missing=("It takes more.",),
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one page a grouping, as the command writes it."""
    folder = tmp_path_factory.mktemp("pins")
    looking = SimpleNamespace(look=lambda selection: TOLD, close=lambda: None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pins, "Looking", lambda source: looking)
        for by in ("process", "holder", "zone"):
            assert main(["pins", "--by", by, "--html", str(folder / f"{by}.html")]) == 0
    return folder


@pytest.mark.parametrize("by", ["process", "holder", "zone"])
def test_names_are_text(by: str, pages: Path, opened: Open) -> None:
    """Nothing is asked of a network, nothing runs, and no element is made of a name; all of it is there to be read."""
    page = opened(pages / f"{by}.html", viewport={"width": 390, "height": 800})
    assert page.title() != "it ran" and page.locator("td img, th img, [onclick]").count() == 0
    text = page.locator("body").inner_text()
    assert NAME in text and MARKUP in text and "\x1b" not in text
    for state in State:
        assert page.locator("td", has_text=state).count() > 0
        assert state is State.UNKNOWN or text.count(MEANING[state]) == 1
    assert page.locator("td.bad", has_text="STALE").count() > 0
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("by", ["process", "holder", "zone"])
def test_axe_finds_nothing(by: str, scheme: str, pages: Path, opened: Open) -> None:
    """Contrast, names, order."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe: make test-browser")
    found = axe.Axe().run(opened(pages / f"{by}.html", color_scheme=scheme, bypass_csp=True))
    assert found.violations_count == 0, found.generate_report()
