"""Which accelerator: TCG, or KVM where a kernel has booted with it.

/dev/kvm alone proves nothing: with some providers QEMU opens it and then hangs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from pinhold.lab.conversation import GuestLost
from pinhold.lab.errors import LabError

PROVIDERS = ("/sys/module/kvm_intel", "/sys/module/kvm_amd")
DEVICE = "/dev/kvm"

_proved: dict[str, str] = {}


def accelerator(trial: Callable[[str], None]) -> str:
    """ "kvm" or "tcg".  trial: boots with an accelerator and raises GuestLost or LabError where that fails.

    It is asked once, for the first kernel that boots at all.
    """
    if "kind" not in _proved:
        if not promising():
            _proved["kind"] = "tcg"
        else:
            try:
                trial("kvm")
                _proved["kind"] = "kvm"
            except (GuestLost, LabError):
                _proved["kind"] = "tcg"
    return _proved["kind"]


@lru_cache(maxsize=1)
def promising() -> bool:
    """Whether a trial is worth its time."""
    return any(os.path.isdir(path) for path in PROVIDERS) and os.access(DEVICE, os.R_OK | os.W_OK)
