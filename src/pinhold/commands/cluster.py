"""`pinhold cluster`: what a cluster of machines needs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from pinhold.cluster import NoCluster
from pinhold.cluster.address import CA, CERTIFICATE, KEY
from pinhold.cluster.certificates import DAYS, make
from pinhold.commands import NothingToRun, UsageError
from pinhold.report import terminal


def main(options: Namespace) -> int:
    """Make certificates, and say how a cluster begins with them."""
    folder = Path(options.directory)
    try:
        make(folder)
    except NoCluster as reason:
        raise NothingToRun(str(reason)) from None
    except OSError as error:
        raise UsageError(f"{error.filename or folder}: {error.strerror}") from None
    tls = f"--tls-ca-file {folder / CA} --tls-cert {folder / CERTIFICATE} --tls-key {folder / KEY}"
    terminal.write(
        [
            f"{folder} has certificates for {DAYS} days. Copy it to each machine of the cluster, and to no other:",
            "who has it can run commands on all of them.",
            "",
            "on one machine:   dask scheduler --protocol tls --host HOST --no-dashboard \\",
            f"                      {tls}",
            "on each machine:  dask worker tls://HOST:8786 --nthreads 1 --no-dashboard \\",
            f"                      {tls}",
            "",
            f"pinhold explore SCOPE --cluster tls://HOST:8786 --certificates {folder} --spill SHARED-DIRECTORY",
        ]
    )
    return 0
