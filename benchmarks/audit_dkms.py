"""Debian's packages of modules that are built on the machine (*-dkms): fetched, unpacked, and audited.

By apt, without root and without touching the machine's own, as the lab fetches kernels.  Nothing of a package is run.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pinhold import trust
from pinhold.audit.audit import Audit, audit
from pinhold.audit.files import find
from pinhold.audit.finding import NOTE
from pinhold.audit.oracle import Oracle
from pinhold.lab.apt import Apt, unpack
from pinhold.lab.errors import LabError

SUITES = {"bookworm": "6.1", "trixie": "6.12"}
"""Of Debian, and the release by whose rules its modules are judged."""
COMPONENTS = ("main", "contrib", "non-free")
HEAD = "| suite | package | version | calls | flags known | findings |\n|---|---|---|---|---|---|"


def modules(folder: Path, wanted: Sequence[str]) -> Iterator[str]:
    """The table: a row for each package whose sources name a function; `folder` keeps them, and none is fetched twice.

    wanted: parts of names, () for all packages.  Raises LabError.
    """
    yield HEAD
    for suite, release in SUITES.items():
        apt = Apt(trust.cache_dir() / f"apt-dkms-{suite}", suites=(suite,), security=(), components=COMPONENTS)
        apt.prepare()
        names = [name for name in apt.names("-dkms$") if not wanted or any(part in name for part in wanted)]
        place = folder / suite
        place.mkdir(parents=True, exist_ok=True)
        oracle, naming = Oracle(release), 0
        for number, name in enumerate(names, 1):
            print(f"{suite}: {number} of {len(names)}: {name}", file=sys.stderr)
            try:
                package = _package(apt, name, place)
                made = _audited(package, place / "unpacked", release, oracle)
            except LabError as reason:
                yield f"| {suite} | {name} | not read: {reason} | | | |"
                continue
            if made is not None and made.sites:
                naming += 1
                yield row(suite, package.name, made)
        yield f"| {suite} | {len(names)} packages, {naming} of which name the functions | | | | |"


def _package(apt: Apt, name: str, place: Path) -> Path:
    """The file, fetched where it is not there.  Raises LabError."""
    draft = place / "fetched"
    kept = sorted(place.glob(f"{name}_*.deb"))
    if kept:
        return kept[-1]
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    (file,) = apt.download([name], draft, lambda done, total: None)
    return Path(shutil.move(file, place / file.name))


def _audited(package: Path, folder: Path, release: str, oracle: Oracle) -> Audit | None:
    """What is found in a package's sources; None where it has none."""
    shutil.rmtree(folder, ignore_errors=True)
    unpack(package, folder)
    sources = folder / "usr" / "src"
    made = audit(find([str(sources)]), release, oracle) if sources.is_dir() else None
    shutil.rmtree(folder, ignore_errors=True)
    return made


def row(suite: str, file: str, made: Audit) -> str:
    """Calls of GUP itself, those whose flags are known, and the errors and warnings by kind and function."""
    name, version = re.sub(r"%3a", ":", file).split("_")[:2]
    calls = [site for site in made.sites if site.gup]
    told = [f"{one.kind} {one.path.rpartition('/')[2]}:{one.line} {one.function}()"
            for one in made.findings if one.severity != NOTE]  # fmt: skip
    known = sum(site.resolved for site in calls)
    return f"| {suite} | {name} | {version} | {len(calls)} | {known} | {'; '.join(told)} |"
