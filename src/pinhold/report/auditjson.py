"""What `pinhold audit` found as one JSON document (docs/reference/audit.md), which --baseline reads again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from pinhold import __version__
from pinhold.audit.audit import Audit
from pinhold.audit.compare import Backport, Difference
from pinhold.audit.finding import Finding, printable
from pinhold.audit.sites import Site
from pinhold.audit.values import Alternative

SCHEMA = 1


class NoBaseline(ValueError):
    """The text is no document of this kind; the message says why."""


def auditjson(audit: Audit, shown: Sequence[Finding], confirmed: dict[str, str] | None = None) -> Iterator[str]:
    """The lines of the document."""
    document = {
        "schema": SCHEMA,
        "pinhold": __version__,
        "release": audit.release,
        "rules": audit.rules,
        "files": {"seen": audit.reading.tree.seen, "parsed": len(audit.reading.units)},
        "left_out": [printable(sentence) for sentence in audit.reading.tree.left_out],
        "torn": [printable(sentence) for sentence in audit.torn],
        "aliases": dict(sorted(audit.reading.names.aliases.items())),
        "wrappers": {name: [_at(site) for site in sites] for name, sites in sorted(audit.reading.wrappers.items())},
        "findings": [_finding(one, confirmed or {}) for one in shown],
        "calls": [_call(site) for site in audit.sites],
    }
    yield from json.dumps(document, indent=1).splitlines()


def difference_json(found: Difference, old: Audit, new: Audit, confirmed: dict[str, str]) -> Iterator[str]:
    """What differs between two trees."""
    document = {
        "schema": SCHEMA,
        "pinhold": __version__,
        "releases": [old.release, new.release],
        "rules": [old.rules, new.rules],
        "new": [_finding(one, confirmed) for one in found.new],
        "gone": [_finding(one, confirmed) for one in found.gone],
        "both": found.both,
    }
    yield from json.dumps(document, indent=1).splitlines()


def series_json(found: Sequence[Backport], older: str, newer: str, confirmed: dict[str, str]) -> Iterator[str]:
    """What is stale by the rules of the older release alone."""
    document = {
        "schema": SCHEMA,
        "pinhold": __version__,
        "rules": [older, newer],
        "backports": [
            {
                "finding": _finding(one.finding, confirmed),
                "alike": None
                if one.alike is None
                else {"path": printable(one.alike.path), "function": one.alike.function, "name": one.alike.name},
            }
            for one in found
        ],
    }
    yield from json.dumps(document, indent=1).splitlines()


def keys(text: str) -> set[tuple[str, ...]]:
    """The keys of the findings of such a document.  Raises NoBaseline."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict) or "findings" not in document:
            raise NoBaseline("it is not what pinhold audit --format json has written")
        if document.get("schema") != SCHEMA:
            raise NoBaseline(f"it has schema {document.get('schema')!r}, and this pinhold reads schema {SCHEMA}")
        return {tuple(str(part) for part in one["key"]) for one in document["findings"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, NoBaseline):
            raise
        raise NoBaseline("it is not what pinhold audit --format json has written") from None


def _at(site: Site) -> str:
    return f"{printable(site.path)}:{site.line}"


def _finding(one: Finding, confirmed: dict[str, str]) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "severity": one.severity,
        "path": printable(one.path),
        "line": one.line,
        "function": one.function,
        "call": one.call,
        "flags": one.flags,
        "says": one.says,
        "when": list(one.when),
        "callers": [
            [{"function": step.function, "path": printable(step.path), "line": step.line} for step in way]
            for way in one.callers
        ],
        "memory": dict(one.memory),
        "advice": list(one.advice),
        "documentation": one.case,
        "scenario": one.scenario or None,
        "confirmed": confirmed.get(one.scenario) if one.scenario else None,
        "key": list(one.key),
    }


def _call(site: Site) -> dict[str, Any]:
    return {
        "path": printable(site.path),
        "line": site.line,
        "function": site.function,
        "name": site.call.name,
        "expression": site.expression,
        "resolved": site.resolved,
        "alternatives": [_alternative(one) for one in site.value],
    }


def _alternative(one: Alternative) -> dict[str, Any]:
    return {
        "flags": one.words,
        "when": [condition.words for condition in one.when],
        "callers": [step.function for step in one.path],
    }
