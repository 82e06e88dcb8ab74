"""Real boots: skipped with the reason where QEMU or a kernel is missing."""

import pytest

from pinhold.lab.errors import LabError
from pinhold.lab.qemu import missing
from pinhold.lab.store import Kernel, Store


@pytest.fixture
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """The stock kernel of the series that the test is parametrized with."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    try:
        return Store().find(request.param)
    except LabError as absent:
        pytest.skip(str(absent))
