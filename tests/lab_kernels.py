"""The kernels of the lab that slow tests take, and those that the nightly run takes as well."""

import pytest


def nightly(*names: str) -> list[object]:
    """As parameters of a test."""
    return [pytest.param(name, marks=pytest.mark.nightly) for name in names]


KERNELS = ["6.1", "6.12", *nightly("5.10", "6.18", "newest")]
