"""What the specification does not know is refused by name: no function takes it for the last thing that it knows."""

from __future__ import annotations

import pytest

from pinhold.mm import flags as k
from pinhold.mm import madvise, task, trap
from pinhold.mm.file import file_create
from pinhold.mm.flags import USER_RDMA
from pinhold.mm.gup import PIN_USER_PAGES_FAST, is_valid_gup_args
from pinhold.mm.limits import LIMITS
from pinhold.mm.operations import NAMES, OPERATIONS
from pinhold.mm.pin import memlock_charge_after
from pinhold.mm.step import run
from pinhold.mm.trap import TRAPS, Unspecified, refuse_trapped
from play import Play, row

MAPPED = "map P x anon\nwrite P x 0x11\nmadvise P x dontfork\n"
STAGES = ("FN_FAULT", "FN_PIN", "FN_GUP_FAST", "FN_GUP_SLOW", "FN_FORK", "FN_PAGEOUT", "FN_KSM_MERGE", "FN_MADVISE")


def begun(function: int, flags: int = 0) -> Play:
    """A process with a page that fork() leaves out, and a call of the function on it, pushed and not run."""
    played = Play(row(), MAPPED)
    mm, address = played.address()
    task.call(played.m, 0, function, mm, address, address + 1, flags, 0)
    return played


def test_an_unknown_advice_is_refused_and_changes_no_vma() -> None:
    """An advice that only the language knew would be no MADV_DOFORK: VM_DONTCOPY stays."""
    unknown = 1 + max(advice.number for advice in madvise.ADVICES)
    played = begun(task.FN_MADVISE, unknown)
    with pytest.raises(Unspecified, match=f"advice that .*: madvise, .* flags {unknown:#x}"):
        run(played.m, 0)
    assert played.m.vma_flags[0] & k.VM_DONTCOPY


def test_every_advice_has_its_line() -> None:
    """Each number of an advice stands once in ADVICES, and no other."""
    known = sorted(value for name, value in vars(madvise).items() if name.startswith("MADV_"))
    assert sorted(advice.number for advice in madvise.ADVICES) == known


def test_every_operation_has_its_line() -> None:
    """Each number of an operation stands once in OPERATIONS, and no other."""
    known = sorted(value for name, value in vars(task).items() if name.startswith("FN_") and name != "FN_NONE")
    assert sorted(operation.number for operation in OPERATIONS) == known


@pytest.mark.parametrize("name", STAGES)
def test_an_unknown_stage_is_refused(name: str) -> None:
    """A program counter that a step function does not have is not taken for its last one."""
    played = begun(getattr(task, name))
    played.m.act_pc[task.current(played.m, 0)] = 99
    with pytest.raises(Unspecified, match="stage"):
        run(played.m, 0)


def test_an_unknown_function_is_refused() -> None:
    """A number without a step function is no idle task."""
    with pytest.raises(Unspecified, match="number"):
        run(begun(1 + max(NAMES)).m, 0)


def test_an_unknown_entry_point_of_gup_is_refused() -> None:
    """It is not taken for get_user_pages()."""
    m = Play(row(), MAPPED).m
    is_valid_gup_args(m, PIN_USER_PAGES_FAST + 1, 0)
    with pytest.raises(Unspecified, match="entry point"):
        refuse_trapped(m)


def test_an_unknown_user_of_pins_is_refused() -> None:
    """It is not left uncharged."""
    played = Play(row(), f"{MAPPED}pin P x as p\n")
    played.m.pin_user[0] = USER_RDMA + 1
    memlock_charge_after(played.m, 0)
    with pytest.raises(Unspecified, match="user"):
        refuse_trapped(played.m)


def test_an_unknown_kind_of_file_is_refused() -> None:
    """It is not taken for shmem."""
    m = Play(row(), MAPPED).m
    file_create(m, 0, k.FILE_HUGETLB + 1, 0)
    with pytest.raises(Unspecified, match="kind"):
        refuse_trapped(m)


def test_every_trap_has_its_sentence() -> None:
    """No number without words, and no two with the same."""
    numbers = sorted(value for name, value in vars(trap).items() if name.startswith("TRAP_"))
    assert numbers == sorted(TRAPS)
    assert len(set(TRAPS.values())) == len(TRAPS) and min(numbers) > max(LIMITS)
