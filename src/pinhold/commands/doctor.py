"""`pinhold doctor`: what this machine can do, what is missing, and what --allow-change would change."""

from __future__ import annotations

import textwrap
from argparse import Namespace

from pinhold.mm.releases import UnknownRelease, stand_in
from pinhold.report import terminal
from pinhold.report.table import WIDTH
from pinhold.scenario.suites import SUITES, suite
from pinhold.scenario.verdict import EXIT_HELD, EXIT_NOTHING_RUN
from pinhold.system.doctor import examine
from pinhold.system.host import Host
from pinhold.system.needs import ALLOWABLE, needs_of
from pinhold.system.plan import preview
from pinhold.targets.live.kernel import RunningKernel

_INDENT = 18


def main(options: Namespace) -> int:
    """0: the target live can run here; 4: it cannot."""
    host = Host()
    findings = examine(host)
    for finding in findings:
        _say(f"{'yes' if finding.good else 'no':<5} {finding.about}", finding.words)
    live = next(finding.good for finding in findings if finding.about == "live")
    if live:
        _say(*_rules(RunningKernel().release()))
        print("\nWhat all suites need and --allow-change would change, as root and until the end of a run:")
        needs = needs_of(test.scenario for name in SUITES for test in suite(name).tests)
        for area in ALLOWABLE:
            try:
                words = list(preview(host, area, needs))
            except (OSError, ValueError) as error:
                words = [str(error)]
            _say(f"      {area}", "; ".join(words) or "nothing: what is needed is there")
    return EXIT_HELD if live else EXIT_NOTHING_RUN


def _rules(release: str) -> tuple[str, str]:
    """Which release's model the kernel is compared with."""
    try:
        row, why = stand_in(release)
    except UnknownRelease as reason:
        return "no    rules", str(reason)
    return "yes   rules", f"compared with the rules of {row}" + (f": {why}" if why else "")


def _say(head: str, words: str) -> None:
    lines = textwrap.wrap(words, terminal.width(WIDTH) - _INDENT - 2, break_on_hyphens=False, break_long_words=False)
    for index, line in enumerate(lines):
        print(f"{head if index == 0 else '':<{_INDENT}}  {line}")
