"""Scenarios played on the specification under a row of rules, action by action, to be looked into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pinhold.mm import flags as k
from pinhold.mm import releases, rules
from pinhold.mm.machine import Machine
from pinhold.mm.pgtable import level_pages, pt_leaf_level, pt_walk, pte_pfn
from pinhold.mm.state import X86_64, Geometry
from pinhold.scenario.parse import parse
from pinhold.scenario.steps import Action
from pinhold.targets.model import sight
from pinhold.targets.model.session import ModelSession
from pinhold.targets.model.target import ModelTarget
from pinhold.targets.runner import run_scenario

Row = Mapping[str, int]

BASE = "6.2"


def row(release: str = BASE, **values: str) -> dict[str, int]:
    """A release's rules, some switched by name: row("6.2", gup_unshares="anon")."""
    return releases.row(release) | {name: rules.BY_NAME[name].names.index(value) for name, value in values.items()}


def model(chosen: Row, geometry: Geometry = X86_64, **config: int) -> ModelTarget:
    """The model under these rules."""
    target = ModelTarget(BASE, config, geometry=geometry, checked=True)
    target.row = dict(chosen)
    return target


def verdict(chosen: Row, text: str) -> str:
    """What the scenario's expectations come to: held, violated, livelock, …"""
    return run_scenario(model(chosen), parse(f"scenario probe\n{text}")).verdict.kind


class Play:
    """A scenario without expectations, played action by action, and the session to look into.

    errnos and sites (names of decisions): per action, in order.  stop: how many actions to play at first.
    """

    def __init__(
        self, chosen: Row, text: str, stop: int | None = None, geometry: Geometry = X86_64, **config: int
    ) -> None:
        self.errnos: list[int] = []
        self.sites: list[list[str]] = []
        scenario = parse(f"scenario probe\n{text}")
        self.actions = cast(list[Action], list(scenario.steps))
        with model(chosen, geometry, **config).open(scenario) as session:
            self.session: ModelSession = session
        self.m: Machine = session.m
        self.play(stop)

    def play(self, stop: int | None = None) -> Play:
        """Play on, to the end or up to action number `stop`."""
        for action in self.actions[len(self.errnos) : stop]:
            outcome = self.session.do(action)
            self.errnos.append(outcome.errno)
            self.sites.append([decision.site for decision in outcome.decisions])
        return self

    def address(self, region: str = "x", page: int = 0, process: str = "P") -> tuple[int, int]:
        """The process's number, and the page's address."""
        return self.session.names.mms[process], self.session.names.regions[process][region][0] + page

    def entry(self, region: str = "x", page: int = 0, process: str = "P") -> int:
        """The leaf entry that maps the page, or 0."""
        mm, address = self.address(region, page, process)
        return self.m.pte[pt_walk(self.m, mm, address, pt_leaf_level(self.m, mm, address))]

    def writable(self, region: str = "x", page: int = 0) -> bool:
        return self.entry(region, page) & k.PTE_RW != 0

    def frame(self, region: str = "x", page: int = 0, process: str = "P") -> int:
        """The frame that the page has."""
        mm, address = self.address(region, page, process)
        offset = address & (level_pages(self.m, pt_leaf_level(self.m, mm, address)) - 1)
        return pte_pfn(self.entry(region, page, process)) + offset

    def view(self, region: str = "x", page: int = 0, process: str = "P") -> sight.Row:
        """What an observer sees of the page."""
        return sight.page_row(self.m, *self.address(region, page, process))

    def state(self, region: str = "x", page: int = 0, process: str = "P") -> str:
        return self.view(region, page, process).state
