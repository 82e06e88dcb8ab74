"""A search by the workers of a cluster of this machine, one of which is killed: the answer is that of one thread."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")
pytest.importorskip("distributed")

from pinhold import __version__
from pinhold.cluster import NoCluster, campaign, job
from pinhold.cluster.address import Address
from pinhold.cluster.dask import Workers, connected, started
from pinhold.explore.compiled_search import CompiledSearch
from pinhold.explore.external.search import ExternalSearch
from pinhold.explore.result import SearchResult
from pinhold.explore.scope import library
from pinhold.explore.world import world
from pinhold.mm import releases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compiled")]


class Hunted:
    """Workers of which one is killed when it has tasks to do."""

    def __init__(self, workers: Workers, victim: int, after: int) -> None:
        self.workers, self.victim, self.after = workers, victim, after

    def __len__(self) -> int:
        return len(self.workers)

    def each(self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        for done in self.workers.each(task, calls):
            self.after -= 1
            if self.after == 0:
                os.kill(self.victim, signal.SIGKILL)
            yield done


def told(result: SearchResult) -> tuple[object, ...]:
    r = result
    return r.states, r.transitions, r.levels, r.violation, r.path, r.uses, r.sites, r.limit


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    """Two processes, one of them killed in the midst of the search: exact counts, and the counterexample of one thread.
    All that listens is on loopback."""
    scope = library()["dirty-cow"]
    made = world(scope, releases.switched(releases.row(scope.rules), scope.without))
    expected = told(CompiledSearch(made).run())
    assert expected[3] is not None
    with started(2) as workers:
        processes = set(workers.on_each(os.getpid).values())
        assert len(processes) == 2
        for address in workers.on_each(os.getpid):
            assert address.startswith("tls://127.0.0.1:")
        victim = min(processes)
        search = ExternalSearch(CompiledSearch(made), tmp_path / "search", Hunted(workers, victim, 9), 3, 4)
        assert told(search.run()) == expected
    assert subprocess.run(["ps", "-p", ",".join(map(str, processes))], capture_output=True, check=False).returncode


def test_jobs_of_a_campaign_are_done_by_workers(tmp_path: Path) -> None:
    """Where a worker has the memory that a job takes; where none has, a sentence says how to start one."""
    campaign.put(campaign.Campaign("x", (campaign.Job("run", "", "", ("version",)),)), tmp_path / job.CAMPAIGN)
    with started(1, memory=1000) as workers:
        with pytest.raises(
            NoCluster, match=r'takes 1001 MiB, and no worker .* more than 1000.*--resources "memory=1001"'
        ):
            list(workers.each(job.do, [(str(tmp_path), 0)], [1001]))
        (told,) = workers.each(job.do, [(str(tmp_path), 0)], [512])
    assert (told["number"], told["status"], told["said"]) == (0, 0, f"pinhold {__version__}\n")


def test_nobody_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port at which nobody answers."""
    monkeypatch.setattr("pinhold.cluster.dask.PATIENCE", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(NoCluster, match=f"{url}: no cluster answers there"), connected(Address(url)):
            pass
