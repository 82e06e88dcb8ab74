"""The answer to `pinhold ask INTERFACE`: how it calls GUP, release by release, what that promises, what is charged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pinhold import __version__
from pinhold.ask.interfaces import Call
from pinhold.ask.promise import Promise, UsePromise
from pinhold.ask.rlimit import limit_of
from pinhold.mm.kernel import PATCHES, patch_digests
from pinhold.report.askjson import SCHEMA, limits_json
from pinhold.report.asktable import cells_table, charges_table, limits_table, meanings, patched, verdicts, wrap


def interface_table(found: Promise, mebibytes: int = 64) -> Iterator[str]:
    """The lines for a reader.  mebibytes: the size of a buffer whose limit is told."""
    interface = found.interface
    yield from wrap(f"{interface.name} {interface.what}: {interface.source}.", "")
    yield from wrap(patched(), "")
    for use in found.uses:
        yield ""
        yield from wrap(f"{use.use.words[0].upper()}{use.use.words[1:]}", "")
        yield from _calls(use)
        longterm = any(call.request.longterm for call in use.calls.values())
        yield from wrap(" ".join(verdicts(use.columns, longterm)))
        yield from cells_table(use.columns)
    yield ""
    every = {f"{use.use.words} {release}": column for use in found.uses for release, column in use.columns.items()}
    yield from meanings(every)
    yield ""
    yield from wrap(f"Locked memory: {interface.charge}.", "")
    rows = [(name, charges) for name, charges in found.uses[-1].charges.items()]
    if rows:
        yield from charges_table(rows, found.releases)
    if (limit := limit_of(interface.name)) is not None:
        yield f"RLIMIT_MEMLOCK for {mebibytes} MiB:"
        yield from limits_table([limit], mebibytes)
    flags = found.uses[0].calls[found.releases[-1]].request
    words = flags.words if flags.pin else "|".join(w for w in ("FOLL_GET", flags.words) if w != "0")
    yield ""
    yield from wrap(f"`pinhold ask '{words}'` says what to pass instead, and which switch made the difference.", "")


def _calls(use: UsePromise) -> Iterator[str]:
    """The calls, alike ones together."""
    together: dict[Call, list[str]] = {}
    for release, call in use.calls.items():
        together.setdefault(call, []).append(release)
    width = max(len(", ".join(releases)) for releases in together.values())
    for call, releases in together.items():
        since = ", ".join(word for word in (call.since, call.commit) if word)
        yield f"  {', '.join(releases):{width}}  {_words(call)}{f'  (since {since})' if since else ''}"


def _words(call: Call) -> str:
    return f"{call.request.entry}{'_fast' if call.fast else ''}({call.request.words})"


def interface_json(found: Promise, mebibytes: int = 64) -> Iterator[str]:
    """The lines of one document (docs/ask.md).  mebibytes: as of interface_table()."""
    interface = found.interface
    limit = limit_of(interface.name)
    document = {
        "schema": SCHEMA,
        "pinhold": __version__,
        "interface": interface.name,
        "source": interface.source,
        "charge": interface.charge,
        "releases": list(found.releases),
        **({"patches": patch_digests()} if PATCHES else {}),
        "rlimit_memlock": limits_json([limit] if limit else [], mebibytes),
        "uses": [_use(use) for use in found.uses],
    }
    yield from json.dumps(document, indent=1).splitlines()


def _use(use: UsePromise) -> dict[str, Any]:
    first = next(iter(use.columns.values()))
    return {
        "use": use.use.words,
        "calls": {
            release: {
                "entry_point": f"{call.request.entry}{'_fast' if call.fast else ''}",
                "flags": [flag.name for flag in call.request.flags],
            }
            for release, call in use.calls.items()
        },
        "memory": [
            {
                "group": memory.group,
                "name": memory.name,
                "cells": {release: column[memory].word for release, column in use.columns.items()},
            }
            for memory in first
        ],
        "charged": {name: {r: c.pages for r, c in by.items()} for name, by in use.charges.items()},
    }
