"""Sources that tests write, audited: each is an excerpt in the manner of drivers, none is taken from one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from pinhold.audit.audit import Audit, audit
from pinhold.audit.files import find
from pinhold.audit.finding import Finding
from pinhold.audit.oracle import Oracle
from pinhold.audit.sites import Reading, Site, sites

RELEASE = "6.12"


def write(folder: Path, sources: Mapping[str, str]) -> Path:
    """Files in a folder of their own."""
    root = folder / "tree"
    for name, text in sources.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return root


def reading(folder: Path, release: str = RELEASE, **sources: str) -> Reading:
    """A tree of files, read: driver="..." is driver.c, header_h="..." is header.h."""
    pytest.importorskip("tree_sitter", reason="sources are parsed by tree-sitter: pip install 'pinhold[audit]'")
    named = {f"{name[:-2]}.h" if name.endswith("_h") else f"{name}.c": text for name, text in sources.items()}
    return sites(find([str(write(folder, named))]), release)


def only(found: Reading) -> Site:
    """The one call of GUP itself."""
    (site,) = [one for one in found.sites if one.gup]
    return site


def flags(site: Site) -> set[str]:
    """The flag sets that a call may have."""
    return {one.words for one in site.value}


@cache
def oracle(release: str) -> Oracle:
    """One for all tests, which keeps nothing between runs."""
    return Oracle(release, keep=False)


def audited(folder: Path, release: str = RELEASE, **sources: str) -> Audit:
    """A tree of files, judged."""
    made = reading(folder, release, **sources)
    return audit(made.tree, release, oracle(release))


def found(folder: Path, kind: str, release: str = RELEASE, **sources: str) -> list[Finding]:
    """The findings of one kind."""
    return [one for one in audited(folder, release, **sources).findings if one.kind == kind]
