"""Jobs side by side on this machine, as its processors and its memory allow; the live kernel is one job's alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from pinhold.cluster.campaign import Job


def side_by_side(
    do: Callable[[int], dict[str, Any]],
    jobs: Sequence[Job],
    numbers: Sequence[int],
    count: int,
    memory: int,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """do(number) for the jobs of these numbers, in their order as far as there is room; what each gives as it ends.

    count: at once; memory: MiB for all.  A job that takes more than there is runs by itself.  stop: ends those that are
    at work, when nobody wants them any more.
    """
    waiting = list(numbers)
    at_work: dict[Future[dict[str, Any]], int] = {}
    with ThreadPoolExecutor(count) as pool:
        try:
            while waiting or at_work:
                for number in [*waiting]:
                    if len(at_work) < count and fits(jobs[number], [jobs[n] for n in at_work.values()], memory):
                        waiting.remove(number)
                        at_work[pool.submit(do, number)] = number
                ended, _ = wait(at_work, return_when=FIRST_COMPLETED)
                for future in ended:
                    del at_work[future]
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            stop()


def fits(job: Job, others: Sequence[Job], memory: int) -> bool:
    if not others:
        return True
    if job.live and any(other.live for other in others):
        return False
    return job.memory + sum(other.memory for other in others) <= memory
