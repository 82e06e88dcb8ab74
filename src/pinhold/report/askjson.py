"""The answer to `pinhold ask` as one JSON document (docs/ask.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pinhold import __version__
from pinhold.ask.answer import Answer
from pinhold.ask.cell import SAYABLE, Cell
from pinhold.ask.memlock import PAGES, UNTOUCHED
from pinhold.ask.memory import MEMORY, Memory
from pinhold.ask.refused import Refusal
from pinhold.ask.rlimit import COUNTERS, Limit, limits
from pinhold.mm.kernel import PATCHES, patch_digests
from pinhold.scenario.printer import format_scenario

SCHEMA = 1


def askjson(answer: Answer, mebibytes: int = 64) -> Iterator[str]:
    """The lines of the document.  mebibytes: the size of a buffer whose limit is told."""
    request = answer.request
    sayable = request.pin and not request.passed & ~SAYABLE
    untouched = answer.charges.get(UNTOUCHED.name, {})
    document = {
        "schema": SCHEMA,
        "pinhold": __version__,
        "call": {"entry_point": request.entry, "flags": [flag.name for flag in request.flags]},
        "left_out": {flag.name: flag.left_out for flag in request.flags if flag.left_out},
        "releases": list(answer.releases),
        **({"patches": patch_digests()} if PATCHES else {}),
        "invalid": {r: _refusal(why) for r, why in answer.invalid.items()},
        "invalid_fast": {r: _refusal(why) for r, why in answer.fast_invalid.items()},
        "memory": [{**_named(m), "cells": {r: _cell(answer, r, m, sayable) for r in answer.releases}} for m in MEMORY],
        "advice": [
            {
                "release": a.release,
                "failing": [_named(m) for m in a.failing],
                "use": None
                if a.use is None
                else {"entry_point": a.use.entry, "flags": [flag.name for flag in a.use.flags]},
                "reliable": [_named(m) for m in a.cured],
                "reliable_with_dontfork": [_named(m) for m in a.cured_with_dontfork],
                "left": [{**_named(m), "answer": word} for m, word in a.left],
                "lost": [{**_named(m), "answer": word} for m, word in a.lost],
            }
            for a in answer.advice
        ],
        "instead": [
            {
                "name": x.name,
                "who": x.who,
                "words": x.words,
                "source": x.source,
                "answers": None if x.answers is None else dict(x.answers),
            }
            for x in answer.instead
        ],
        "changes": [
            {
                **_named(c.memory),
                "old": c.old,
                "new": c.new,
                "before": c.before,
                "after": c.after,
                "together": c.together,
                "causes": [
                    {"rule": x.rule.name, "function": x.rule.function, "before": x.before, "after": x.after}
                    for x in c.causes
                ],
            }
            for c in answer.changes
        ],
        "memlock": {
            "pages": PAGES,
            "charged": {u: {r: x.pages for r, x in by.items()} for u, by in untouched.items()},
            "allocated": {r: x.fresh for by in list(untouched.values())[:1] for r, x in by.items()},
            "charged_by_memory": {
                what: {u: {r: x.pages for r, x in by.items()} for u, by in users.items()}
                for what, users in answer.charges.items()
            },
        },
        "rlimit_memlock": limits_json(limits(answer.releases[-1]), mebibytes),
    }
    yield from json.dumps(document, indent=1).splitlines()


def limits_json(those: Sequence[Limit], mebibytes: int) -> list[dict[str, Any]]:
    """One object an interface."""
    return [
        {
            "interface": limit.interface,
            "mebibytes": mebibytes,
            "bytes": limit.needed(mebibytes, False),
            "bytes_of_huge_pages": limit.needed(mebibytes, True),
            "counter": limit.counter,
            "counter_has": COUNTERS[limit.counter],
            "waived_by_cap_ipc_lock": limit.waived,
            "errno": limit.error,
            "source": limit.source,
        }
        for limit in those
    ]


def _named(memory: Memory) -> dict[str, str]:
    return {"group": memory.group, "name": memory.name}


def _refusal(why: Refusal) -> dict[str, str]:
    return {"answer": why.word, "why": why.sentence}


def _cell(answer: Answer, release: str, memory: Memory, sayable: bool) -> dict[str, Any]:
    """sayable: whether the scenario says all flags, so that it can be run as it is."""
    cell: Cell = answer.columns[release][memory]
    fast = answer.fast[release].get(memory, cell)
    why = answer.refused.get(release, {}).get(memory)
    return {
        "answer": cell.word,
        "answer_fast": fast.word,
        "why": why.sentence if why else None,
        "scenario": format_scenario(cell.scenario) if cell.scenario and sayable else None,
        "decisions": [
            {"function": d.function, "rule": d.rule, "commit": d.commit, "sentence": d.sentence} for d in cell.decisions
        ],
    }
