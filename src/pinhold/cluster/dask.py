"""The engine: tasks on the workers of a Dask cluster, this machine's own or somebody's.

What is done is a function of pinhold, by its name, with numbers and texts; what comes back is a small record.  A task
whose worker is lost is done again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pinhold import __version__
from pinhold.cluster import NoCluster
from pinhold.cluster.address import CA, CERTIFICATE, KEY, Address
from pinhold.compiler.patch import patched

LOSSES = 1000
"""Workers that a task may lose before it is the task's own fault."""

MEMORY = "memory"
"""The resource that workers have, in MiB."""

PATIENCE = 30
"""Seconds for which a cluster may be silent at first."""


class Workers:
    """Does tasks by the workers of a client (explore.hands.Hands)."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def each(
        self, task: Callable[..., Any], calls: Sequence[tuple[Any, ...]], memory: Sequence[int] = ()
    ) -> Iterator[Any]:
        """memory: MiB that each call takes of what a worker has.  Raises what a task raises; NoCluster where the
        cluster ends, or has no worker with so much."""
        from distributed import CancelledError, as_completed  # noqa: PLC0415
        from distributed.comm.core import CommClosedError  # noqa: PLC0415

        takes: list[Any] = [{"resources": {MEMORY: taken}} for taken in memory] or [{}] * len(calls)
        self.check_memory(max(memory, default=0))
        both = zip(calls, takes, strict=True)
        futures = [self.client.submit(task, *call, pure=False, retries=2, **taken) for call, taken in both]
        try:
            for future in as_completed(futures, loop=self.client.loop):  # type: ignore[no-untyped-call]
                yield future.result()
                future.release()
        except (CancelledError, CommClosedError) as error:
            raise NoCluster(f"the cluster has ended, or cannot be reached any more ({error})") from None
        finally:
            self.client.cancel([future for future in futures if not future.done()])

    def check_memory(self, most: int) -> None:
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        there = max((int(worker["resources"].get(MEMORY, 0)) for worker in workers), default=0)
        if there < most:
            raise NoCluster(
                f"a job takes {most} MiB, and no worker of the cluster has more than {there}: start them with "
                f'dask worker … --resources "{MEMORY}={most}"'
            )

    def __len__(self) -> int:
        return len(self.client.scheduler_info(n_workers=-1)["workers"])

    def on_each(self, task: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """What it gives on each worker, by the worker's address."""
        told: dict[str, Any] = self.client.run(task, *arguments)
        return told

    def blind_to(self, directory: Path, name: str) -> str:
        """A worker that does not see what is written to the directory, or nothing.  name: of a file that may be made
        there for a moment."""
        mark = directory / name
        mark.touch(exist_ok=False)
        try:
            sees = self.on_each(os.path.exists, str(mark))
        finally:
            mark.unlink()
        return next((worker for worker, seen in sees.items() if not seen), "")


@contextmanager
def connected(address: Address) -> Iterator[Workers]:
    """Somebody's cluster.  Raises NoCluster."""
    with ready() as (distributed, stack):
        security = None
        if (folder := address.certificates) is not None:
            of = {
                f"tls_{role}_{what}": str(folder / name)
                for role in ("client", "scheduler", "worker")
                for what, name in (("cert", CERTIFICATE), ("key", KEY))
            }
            security = distributed.Security(tls_ca_file=str(folder / CA), require_encryption=True, **of)
        try:
            client = distributed.Client(address.url, security=security, timeout=PATIENCE, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise NoCluster(f"{address.url}: no cluster answers there ({error})") from None
        workers = Workers(stack.enter_context(client))
        if not len(workers):
            raise NoCluster(f"{address.url}: the cluster has no workers; start one: dask worker {address.url}")
        check_versions(client, address)
        yield workers


def version() -> str:
    """Of the pinhold where this is called."""
    return __version__


def check_versions(client: Any, address: Address) -> None:
    """Raises NoCluster where a part of the cluster has no pinhold, or another one."""
    try:
        versions = {client.run_on_scheduler(version), *client.run(version).values()}
    except (ImportError, AttributeError, RuntimeError):
        versions = set()
    if versions != {__version__}:
        raise NoCluster(
            f"{address.url}: scheduler and workers need this pinhold, {__version__}, in their Python; there is "
            + (", ".join(sorted(versions - {__version__})) or "none somewhere")
        )


@contextmanager
def started(count: int, patches: Sequence[str] = (), memory: int = 0) -> Iterator[Workers]:
    """A cluster of so many processes of this machine.  It listens on loopback alone, and behind certificates that live
    as long as it does: no other user of this machine can talk to it.  patches: files whose functions are in force in
    its processes (compiler/patch.py).  memory: MiB that each may give its tasks.  Raises NoCluster."""
    with ready() as (distributed, stack):
        cluster = distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            security=distributed.Security.temporary(),
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,
            resources={MEMORY: memory},
            silence_logs=logging.CRITICAL,
        )
        stack.enter_context(cluster)
        client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        if patches:
            client.register_plugin(patched_workers(patches))
        yield Workers(client)


def patched_workers(patches: Sequence[str]) -> Any:
    """What puts these files' functions in force in each worker, also in one that takes another's place."""
    from distributed import WorkerPlugin  # noqa: PLC0415

    class Patched(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            self.patched = patched(patches)
            self.patched.__enter__()

    return Patched()


@contextmanager
def ready() -> Iterator[tuple[Any, ExitStack]]:
    """The engine, quiet, and what is to be closed behind it."""
    try:
        import dask  # noqa: PLC0415
        import distributed  # noqa: PLC0415
    except ImportError:
        raise NoCluster("several processes or machines need Dask: pip install 'pinhold[cluster]'") from None
    quiet = {
        "distributed.scheduler.allowed-failures": LOSSES,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
    }
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(quiet), ExitStack() as stack:
        yield distributed, stack
