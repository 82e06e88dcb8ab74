"""The suite `stock`, printed in the words of present-day selftests."""

from collections.abc import Callable
from functools import cache

from ktap_readers import kernel, lava
from pinhold.commands.registry import make_target
from pinhold.commands.runs import run_target
from pinhold.commands.select import select
from pinhold.report.ktap import ktap


@cache
def printed() -> list[str]:
    """The KTAP document of the suite."""
    target = make_target("model:6.18")
    return ktap([run_target(target, target.info(), select(["stock"]))])


def test_the_whole_document_is_the_golden_one(golden: Callable[[str, str], None]) -> None:
    """On model:6.18 every test holds but the four known leaks, which are `ok N NAME # XFAIL`."""
    lines = printed()
    assert sum(line.startswith("ok ") and "# XFAIL" in line for line in lines) == 4
    assert not any(line.startswith("not ok") for line in lines)
    golden("stock-model-6.18.ktap", "\n".join(lines) + "\n")


def test_what_dashboards_make_of_it_is_the_golden_list(golden: Callable[[str, str], None]) -> None:
    """A name that changes is another test there: each is as it was when somebody last looked at it."""
    assert [number for _, number, _, _ in kernel(printed())] == list(range(1, 278))
    golden("stock-model-6.18.lava", "".join(f"{line}\n" for line in lava(printed())))
