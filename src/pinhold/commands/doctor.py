"""`pinhold doctor`: what this machine can do, what is missing, and what --allow-change would change."""

from __future__ import annotations

from argparse import Namespace

from pinhold.commands import kerneldoctor
from pinhold.commands.findings import head, rules, say
from pinhold.report import terminal
from pinhold.report.remedies import STEP, remedy
from pinhold.scenario.suites import SUITES, suite
from pinhold.scenario.verdict import EXIT_HELD, EXIT_NOTHING_RUN
from pinhold.system.doctor import examine
from pinhold.system.host import Host
from pinhold.system.needs import ALLOWABLE, needs_of
from pinhold.system.plan import preview
from pinhold.targets.live.kernel import RunningKernel


def main(options: Namespace) -> int:
    """0: the target can run here; 4: it cannot."""
    if options.target not in (None, "live"):
        return kerneldoctor.main(options.target)
    host = Host()
    findings = examine(host)
    for finding in findings:
        step = None if finding.good else remedy(finding.words)
        told = f"{finding.words} {STEP} {step}" if step else finding.words
        say(head(finding.good, finding.about), told)
    live = next(finding.good for finding in findings if finding.about == "live")
    if live:
        say(*rules(RunningKernel().release()))
        title = "What all suites need and --allow-change would change, as root and until the end of a run:"
        print("", *terminal.narrowed(title, indent=0), sep="\n")
        needs = needs_of(test.scenario for name in SUITES for test in suite(name).tests)
        for area in ALLOWABLE:
            try:
                words = list(preview(host, area, needs))
            except (OSError, ValueError) as error:
                words = [str(error)]
            say(f"      {area}", "; ".join(words) or "nothing: what is needed is there")
    return EXIT_HELD if live else EXIT_NOTHING_RUN
