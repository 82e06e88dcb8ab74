"""What a task may do next: begin one of its scope's operations, or take the next atomic step of the one it is in.

All is of the subset that compiles: the searches run the same functions, interpreted and in a scope's image.  Some are
functions for the compiler's sake, and say so.
"""

from __future__ import annotations

from pinhold.explore.record import SearchState
from pinhold.mm.chance import choose
from pinhold.mm.device import device_write
from pinhold.mm.flags import BLOCKED, FAULT_FLAG_WRITE, PIN_FREE, PIN_LIVE
from pinhold.mm.kernel import kernel
from pinhold.mm.operations import arg_is_content
from pinhold.mm.pinning import pin_start
from pinhold.mm.state import State
from pinhold.mm.step import step
from pinhold.mm.task import FN_FORK, FN_KSM_MERGE, FN_UNPIN, call

ACT_CALL, ACT_PIN, ACT_DEVICE_WRITE = 0, 1, 2
"""Kinds of operations: a call, the taking of a pin, a device's write through a pin (one step, no task's work)."""

NO_PIN = -1


@kernel
def begin(
    m: SearchState, task: int, kind: int, function: int, mm: int, addr: int, end: int, flags: int, arg: int
) -> bool:
    """Start an operation, if it makes sense now: its process lives, a slot of its pin is free (to be used: live)."""
    if kind == ACT_DEVICE_WRITE:
        pin = pin_slot(m, arg, PIN_LIVE)
        if pin != NO_PIN:
            device_write(m, pin, stored(m, flags))
        return pin != NO_PIN
    if kind == ACT_CALL and function == FN_UNPIN:
        pin = pin_slot(m, arg, PIN_LIVE)
        if pin != NO_PIN:
            call(m, task, function, mm, addr, end, flags, pin)
        return pin != NO_PIN
    if not m.mm_alive[mm] or being_forked(m, mm):
        return False
    if kind == ACT_PIN:
        pin = pin_slot(m, arg, PIN_FREE)
        if pin != NO_PIN:
            pin_start(m, task, pin, mm, addr, end, flags, user_of(m, function))
        return pin != NO_PIN
    if function == FN_FORK and m.mm_alive[arg]:
        return False
    if function == FN_KSM_MERGE and (not m.mm_alive[arg] or being_forked(m, arg)):
        return False
    if arg_is_content(function) and flags & FAULT_FLAG_WRITE:
        call(m, task, function, mm, addr, end, flags, stored(m, arg))
    else:
        call(m, task, function, mm, addr, end, flags, arg)
    return True


@kernel
def pin_slot(m: SearchState, first: int, state: int) -> int:
    """Of the pool that begins with the slot `first` one in that state, or NO_PIN.

    To be taken, the first free one: nothing tells them apart.  To be used or let go of, any live one.
    """
    candidates = 0
    for pin in range(first, first + 1 + m.pool_rest[first]):
        if m.pin_state[pin] == state:
            candidates += 1
    skipped = choose(m, candidates) if state == PIN_LIVE else 0
    for pin in range(first, first + 1 + m.pool_rest[first]):
        if m.pin_state[pin] == state:
            if skipped == 0:
                return pin
            skipped -= 1
    return NO_PIN


@kernel
def user_of(m: SearchState, function: int) -> int:
    """The pin's user (mm/users.py), for which the taking of a pin uses the word `function`: 0 where no pin has one."""
    return function if m.pin_users else 0


@kernel
def stored(m: SearchState, byte: int) -> int:
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
        for act in range(m.task_stack[task], m.task_stack[task] + m.task_depth[task]):
            if arg_is_content(m.act_function[act]) and m.act_arg[act] == token:
                return True
    return False


@kernel
def being_forked(m: State, mm: int) -> bool:
    """Whether the process is a child that fork() has not finished."""
    for task in range(len(m.task_depth)):
        if m.task_depth[task] and m.act_function[m.task_stack[task]] == FN_FORK and m.act_arg[m.task_stack[task]] == mm:
            return True
    return False


@kernel
def move(
    m: SearchState, task: int, kind: int, function: int, mm: int, addr: int, end: int, flags: int, arg: int
) -> bool:
    """One transition of a task: the next step of what it is in, or an operation begun and its first step taken.

    False: it cannot move.  The state is then as it was, but where an operation was begun and has to wait in its first
    step: it is to be thrown away.  The result of an operation that has ended is forgotten, as nothing depends on it.
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
    """Whether the task is in the middle of one.  A function for the compiler's sake: the inner loop knows no field."""
    return m.task_depth[task] != 0


@kernel
def set_chance(m: State, chance: int) -> None:
    """Which outcome the next step has of those that nobody decides (mm/chance.py).  For the inner loop, as above."""
    m.choice[0] = chance
    m.choices[0] = 1


@kernel
def get_chances(m: State) -> int:
    """How many outcomes the last step could have had.  For the inner loop, as above."""
    return m.choices[0]
