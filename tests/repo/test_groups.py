"""Tests that share what takes long to make are one worker's."""

import os

import pytest


@pytest.mark.xdist_group("together")
def test_a_group_is_one_workers(request: pytest.FixtureRequest) -> None:
    """Workers are told a test's group by its id: another pytest or another xdist may leave it away without a word, and
    each worker would compile everything and boot every kernel."""
    if "PYTEST_XDIST_WORKER" not in os.environ or not request.config.getoption("loadgroup", False):
        pytest.skip("needs several workers, and their groups: pytest -n 2 --dist loadgroup")
    assert request.node.nodeid.endswith("@together")
