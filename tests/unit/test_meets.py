"""What a step that fails says: a promise was broken, or something could not be set up."""

from __future__ import annotations

import pytest

from pinhold.scenario import steps as s
from pinhold.scenario.errnos import ERRNO
from pinhold.scenario.meets import Meets

STEPS = s.actions()

REACHING = {"Read", "Write", "SwapIn", "Pin", "Vmsplice", "IoUring", "Poke", "Madvise", "Mremap", "UffdioContinue"}
REACHING |= {cls.__name__ for cls in STEPS if issubclass(cls, (s.Copy, s.Fill, s.Schedule))}
"""Steps that promise something: that memory is reached."""


@pytest.mark.parametrize("cls", STEPS, ids=lambda cls: cls.__name__)
def test_every_step_says_what_it_may_meet(cls: type) -> None:
    """A declaration of its own class; its errnos are the kernel's, and each means one thing."""
    meets = cls.meets
    assert isinstance(meets, Meets)
    named = [*meets.promise, *meets.refused, *meets.declined]
    assert set(named) <= set(ERRNO)
    assert not meets.promise & {*meets.refused, *meets.declined}
    assert not set(meets.refused) & set(meets.declined)


@pytest.mark.parametrize("cls", STEPS, ids=lambda cls: cls.__name__)
def test_only_memory_that_is_not_reached_breaks_a_promise(cls: type) -> None:
    """EFAULT does, for whoever reaches memory; what makes or changes something can be violated by no errno."""
    broken = {name for name, number in ERRNO.items() if cls.meets.judge(number)[0] == "violated"}
    assert broken <= {"EFAULT", "EIO", "EEXIST", "ENOENT"}
    assert ("EFAULT" in broken) == (cls.__name__ in REACHING)
    if not issubclass(cls, (s.Poke, s.UffdioContinue, s.Schedule)):
        assert broken <= {"EFAULT"}


@pytest.mark.parametrize("cls", [c for c in STEPS if not issubclass(c, s.Schedule)], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("name", ["ENOSYS", "EPERM", "EACCES", "ENOMEM", "EMFILE"])
def test_what_a_sandbox_or_a_full_machine_answers_is_skipped(cls: type, name: str) -> None:
    """Any call can be forbidden, hidden or short of memory; the reason ends with the errno."""
    kind, why = cls.meets.judge(ERRNO[name])
    assert kind == "skipped"
    assert why.endswith(f" ({name})") and len(why) > len(name) + 10


def test_an_errno_that_nothing_explains_is_the_tools() -> None:
    """It is neither passed over nor held against the kernel; numbers without a name included."""
    assert s.Write.meets.judge(ERRNO["EBADF"]) == ("error", "EBADF, which this step is not known to meet")
    assert s.Map.meets.judge(999) == ("error", "errno 999, which this step is not known to meet")


def test_what_the_target_says_about_it_is_the_reason() -> None:
    """It knows more than the errno: the size of a pool, the signal that killed a process."""
    assert s.Map.meets.judge(ERRNO["ENOMEM"], "the pool has 0") == ("skipped", "the pool has 0 (ENOMEM)")
    assert s.Read.meets.judge(ERRNO["EFAULT"], "killed by SIGBUS") == ("violated", "EFAULT (killed by SIGBUS)")
