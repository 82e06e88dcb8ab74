"""Which accelerator: TCG, or KVM where a kernel has booted with it.

/dev/kvm alone proves nothing: with some providers QEMU opens it and then hangs.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import lru_cache

from pinhold.lab.conversation import GuestLost
from pinhold.lab.errors import LabError

PROVIDERS = ("/sys/module/kvm_intel", "/sys/module/kvm_amd")
DEVICE = "/dev/kvm"

_proved: dict[str, str] = {}
_proving = threading.Lock()


def accelerator(trial: Callable[[str], None]) -> str:
    """ "kvm" or "tcg".  trial: boots with an accelerator and raises GuestLost or LabError where that fails.

    It is asked once, for the first kernel that boots at all.
    """
    with _proving:
        if "kind" not in _proved:
            _proved["kind"] = "kvm" if promising() and _comes_up(trial) else "tcg"
    return _proved["kind"]


def _comes_up(trial: Callable[[str], None]) -> bool:
    try:
        trial("kvm")
    except (GuestLost, LabError):
        return False
    return True


@lru_cache(maxsize=1)
def promising() -> bool:
    """Whether a trial is worth its time."""
    return any(os.path.isdir(path) for path in PROVIDERS) and os.access(DEVICE, os.R_OK | os.W_OK)
