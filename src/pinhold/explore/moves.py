"""What a task may do next: begin one of its scope's operations, or take the next atomic step of the one it is in."""

from __future__ import annotations

from pinhold.mm.device import device_write
from pinhold.mm.flags import BLOCKED, FAULT_FLAG_WRITE, PIN_FREE, PIN_LIVE
from pinhold.mm.kernel import kernel
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import TASK_DEPTH, State
from pinhold.mm.step import step
from pinhold.mm.task import FN_ACCESS, FN_ACCESS_REMOTE, FN_FORK, FN_KSM_MERGE, FN_UNPIN, call

ACT_CALL, ACT_PIN, ACT_DEVICE_WRITE = 0, 1, 2
"""Kinds of operations: a call, the taking of a pin, a device's write through a pin (one step, no task's work)."""


@kernel
def begin(m: State, task: int, kind: int, function: int, mm: int, addr: int, end: int, flags: int, arg: int) -> bool:
    """Start an operation, if it makes sense now: its process lives, its pin is free (or, to be used, live)."""
    if kind == ACT_DEVICE_WRITE or function == FN_UNPIN:
        if m.pin_state[arg] != PIN_LIVE:
            return False
        if kind == ACT_DEVICE_WRITE:
            device_write(m, arg, stored(m, flags))
        else:
            call(m, task, function, mm, addr, end, flags, arg)
        return True
    if not m.mm_alive[mm] or being_forked(m, mm):
        return False
    if kind == ACT_PIN:
        if m.pin_state[arg] != PIN_FREE:
            return False
        pin_start(m, task, arg, mm, addr, end, flags, function)
        return True
    if function == FN_FORK and m.mm_alive[arg]:
        return False
    if function == FN_KSM_MERGE and (not m.mm_alive[arg] or being_forked(m, arg)):
        return False
    if function in (FN_ACCESS, FN_ACCESS_REMOTE) and flags & FAULT_FLAG_WRITE:
        call(m, task, function, mm, addr, end, flags, stored(m, arg))
    else:
        call(m, task, function, mm, addr, end, flags, arg)
    return True


@kernel
def stored(m: State, byte: int) -> int:
    """What a store stores: the byte, or, where content is tokens, one that nothing holds yet."""
    if not m.content_tokens:
        return byte
    token = 1
    while token_in_use(m, token):
        token += 1
    return token


@kernel
def token_in_use(m: State, token: int) -> bool:
    for page in range(len(m.page_content)):
        if m.page_content[page] == token:
            return True
    for slot in range(len(m.swap_content)):
        if m.swap_content[slot] == token:
            return True
    for task in range(len(m.task_depth)):
        for act in range(task * TASK_DEPTH, task * TASK_DEPTH + m.task_depth[task]):
            if m.act_function[act] in (FN_ACCESS, FN_ACCESS_REMOTE) and m.act_arg[act] == token:
                return True
    return False


@kernel
def being_forked(m: State, mm: int) -> bool:
    """Whether the process is a child that fork() has not finished."""
    for task in range(len(m.task_depth)):
        if m.task_depth[task] and m.act_function[task * TASK_DEPTH] == FN_FORK and m.act_arg[task * TASK_DEPTH] == mm:
            return True
    return False


@kernel
def move(m: State, task: int, kind: int, function: int, mm: int, addr: int, end: int, flags: int, arg: int) -> bool:
    """One transition of a task: the next step of what it is in, or an operation begun and its first step taken.

    False: it cannot move; the state is then to be thrown away.  The result of an operation that has ended is forgotten,
    as nothing depends on it any more.
    """
    if m.task_depth[task] == 0:
        if not begin(m, task, kind, function, mm, addr, end, flags, arg):
            return False
        if kind == ACT_DEVICE_WRITE:
            return True
    if step(m, task) == BLOCKED:
        return False
    if m.task_depth[task] == 0:
        m.task_result[task] = 0
    return True


@kernel
def in_operation(m: State, task: int) -> bool:
    return m.task_depth[task] != 0


@kernel
def set_chance(m: State, chance: int) -> None:
    """Which outcome the next step has of those that nobody decides (see mm/chance.py)."""
    m.choice[0] = chance
    m.choices[0] = 1


@kernel
def get_chances(m: State) -> int:
    """How many outcomes the last step could have had."""
    return m.choices[0]
