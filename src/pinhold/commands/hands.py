"""Who does the work that can be shared out: threads of this process, processes of this machine, a cluster."""

from __future__ import annotations

import argparse
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pinhold import trust
from pinhold.commands import NothingToRun, UsageError
from pinhold.explore.run import Options
from pinhold.mm.kernel import PATCHES


@contextmanager
def shared_out(options: argparse.Namespace, how: Options) -> Iterator[Options]:
    """How to search, with a directory for what lies in files, and with workers where they are asked for.

    Raises UsageError, NothingToRun.
    """
    if options.certificates and not options.cluster:
        raise UsageError("--certificates are those of a --cluster tls://HOST:PORT")
    if not (options.spill or options.workers or options.cluster):
        yield how
        return
    if options.checkpoint:
        raise UsageError("--checkpoint is one file; --spill, --workers and --cluster put a search into a directory")
    if options.cluster and PATCHES:
        raise UsageError("--with is not for a --cluster, whose workers have their own pinhold: take --workers N")
    from pinhold.cluster import NoCluster
    from pinhold.cluster.address import address_of
    from pinhold.cluster.dask import connected, started

    try:
        with ExitStack() as stack:
            how = replace(how, engine="compiled", spill=_directory(options, stack))
            if options.workers:
                how = replace(
                    how, hands=stack.enter_context(started(options.workers, [patch.file for patch in PATCHES]))
                )
            elif options.cluster:
                workers = stack.enter_context(connected(address_of(options.cluster, options.certificates)))
                assert how.spill is not None
                if blind := workers.blind_to(how.spill, secrets.token_hex(8)):
                    raise NoCluster(
                        f"worker {blind} does not see {how.spill}: --spill DIR has to be a directory that all machines "
                        "of the cluster have under that name"
                    )
                how = replace(how, hands=workers)
            yield how
    except NoCluster as reason:
        raise NothingToRun(str(reason)) from None


def _directory(options: argparse.Namespace, stack: ExitStack) -> Path:
    """The one that was named, made if need be; or one for as long as the search goes on."""
    if options.spill is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pinhold-search-")))
    return made(Path(options.spill).absolute())


def made(directory: Path) -> Path:
    """A directory to write to, made if need be.

    Raises UsageError where it cannot be made; and as root where others can change it: they could put links there.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        others = trust.foreign(directory) if os.geteuid() == 0 else None
    except OSError as error:
        raise UsageError(f"{error.filename or directory}: {error.strerror}") from None
    if others:
        raise UsageError(f"{others}; name a directory of yours alone")
    return directory
