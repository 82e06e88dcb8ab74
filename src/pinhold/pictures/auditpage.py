"""What `pinhold audit` found as one HTML file: the worst first, each finding under its call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from pinhold import __version__
from pinhold.audit.audit import Audit
from pinhold.audit.finding import KINDS, SEVERITIES, Finding, printable
from pinhold.audit.values import way_words
from pinhold.pictures.sheet import render, style_of


def audit_page(audit: Audit, shown: Sequence[Finding], confirmed: Mapping[str, str]) -> str:
    """The page.  Raises ImportError where jinja2 is missing."""
    counts = [(severity, sum(one.severity == severity for one in shown)) for severity in SEVERITIES]
    groups = [
        (severity, [list(same) for _, same in groupby(found, key=lambda one: (one.path, one.line))])
        for severity in SEVERITIES
        if (found := [one for one in shown if one.severity == severity])
    ]
    gup = [site for site in audit.sites if site.gup]
    values = {
        "version": __version__,
        "release": audit.release,
        "rules": audit.rules,
        "counts": counts,
        "groups": groups,
        "kinds": KINDS,
        "calls": len(gup),
        "known": sum(site.resolved for site in gup),
        "files": len(audit.reading.units),
        "left_out": [printable(sentence) for sentence in (*audit.reading.tree.left_out, *audit.torn)],
        "printable": printable,
        "confirmed": confirmed,
        "ways": lambda one: [way_words(way) for way in one.callers],
    }
    return render("audit", style_of("chart"), values)
