"""Stand-ins for targets and results, for tests of what lies above the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pinhold.report.results import CaseResult, TargetRun
from pinhold.scenario.observation import Observation, PageView, Run
from pinhold.scenario.ran import TargetInfo
from pinhold.scenario.steps import Action, Range, Scenario
from pinhold.scenario.verdict import Verdict
from pinhold.targets.base import CannotDo, Outcome, Session, Unavailable
from pinhold.targets.runner import Result


class FakeSession:
    """Memory in which every page reads as `byte` and every pin works."""

    def __init__(self, byte: int, refusal: str | None) -> None:
        self._byte, self._refusal = byte, refusal

    def do(self, action: Action) -> Outcome:
        """Succeed, or refuse everything with the one reason."""
        if self._refusal:
            raise CannotDo(self._refusal)
        return Outcome()

    def observe(self) -> Observation:
        """One present page."""
        return Observation(0, (PageView("P", "x", 0, state="present", frame=self._byte, byte=self._byte),))

    def pools(self) -> Mapping[str, str]:
        """Nothing that could be used up."""
        return {}

    def contents(self, proc: str, range: Range) -> Sequence[Run]:
        """One page."""
        return (Run(0, 1, self._byte),)

    def pin_contents(self, pin: str) -> Sequence[Run]:
        """One page."""
        return (Run(0, 1, self._byte),)

    def page_state(self, proc: str, range: Range) -> Sequence[tuple[int, int, str]]:
        """One present page."""
        return ((0, 1, "present"),)


class FakeTarget:
    """A target that answers every byte alike, refuses every step, or is not there at all."""

    def __init__(self, name: str, byte: int = 0, refusal: str | None = None, absent: str | None = None) -> None:
        self.name = self.what = name
        self._byte, self._refusal, self._absent = byte, refusal, absent

    def info(self) -> TargetInfo:
        """Raises Unavailable where `absent` says why."""
        if self._absent:
            raise Unavailable(self._absent)
        return TargetInfo(self.name, "6.2", "6.2", {}, {})

    @contextmanager
    def open(self, scenario: Scenario) -> Iterator[Session]:
        """A session of its own."""
        yield FakeSession(self._byte, self._refusal)


def case_result(
    number: int, title: str, verdict: Verdict, text: str = "It holds", pin: str | None = None
) -> CaseResult:
    """A result; `pin` names the mechanism of its one pin."""
    mechanisms = {"p": pin} if pin else {}
    return CaseResult(
        number, f"seed/{number}", text, Result("fake", Scenario(title, ()), verdict, (), mechanisms, 0.25)
    )


def target_run(name: str, *results: CaseResult) -> TargetRun:
    """A run of those results, on release 6.2."""
    return TargetRun(TargetInfo(name, "6.2", "6.2", {"THP": "on"}, {}), results, 1.5)
