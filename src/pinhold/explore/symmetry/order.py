"""An order of a pool's pins, and of what they hold, that looks at nothing but what symmetric states share.

No slot's number decides, nor that of a frame which has no new number yet: it is what a pin is, who is taking it, and
what the frames are that it holds.  Where nothing tells two pins apart they may be taken in either order; if they differ
all the same (in which of two like frames another pool's pins hold, say) a state has two forms, which costs states and
never a verdict.

Each function compares two things: negative if the first comes first, 0 if they are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pinhold.explore.record import SearchState
from pinhold.mm.flags import ZERO_PFN
from pinhold.mm.folio import page_folio, page_index
from pinhold.mm.generated import made
from pinhold.mm.kernel import kernel
from pinhold.mm.operations import arg_is_pin
from pinhold.mm.state import fields

COMPARED = {"page": "page_order", "token": "content_order"}
"""What a field names: the function that compares two such names.  Fields that name something else are passed over."""


@kernel
def pin_order(m: SearchState, pin: int, other: int) -> int:
    """Live pins first and free slots last; then who takes them, and run by run what they hold."""
    order = slot_order(m, pin, other)
    if order == 0:
        order = taker(m, pin) - taker(m, other)
    for run in range(m.pin_runs[pin]):
        if order == 0:
            order = run_order(m, pin * m.runs_per_pin + run, other * m.runs_per_pin + run)
    return order


@kernel
def taker(m: SearchState, pin: int) -> int:
    """The task that is at the pin, or the number of tasks."""
    for task in range(len(m.task_depth)):
        for act in range(m.task_stack[task], m.task_stack[task] + m.task_depth[task]):
            if arg_is_pin(m.act_function[act]) and m.act_arg[act] == pin:
                return task
    return len(m.task_depth)


@kernel
def page_order(m: SearchState, page: int, other: int) -> int:
    """By the new numbers; without them by what the pages and their folios are."""
    one = page_index(m, page)
    two = page_index(m, other)
    if one == two:
        return page - other
    if m.new_page[one] != m.new_page[two]:
        return m.new_page[two] - m.new_page[one]
    order = frame_order(m, one, two)
    if order == 0:
        order = frame_order(m, page_folio(m, page), page_folio(m, other))
    return order


@kernel
def content_order(m: SearchState, content: int, other: int) -> int:
    """By the bytes; tokens by the first numbered page that holds the same."""
    if not m.content_tokens:
        return content - other
    return content_place(m, content) - content_place(m, other)


@kernel
def content_place(m: SearchState, token: int) -> int:
    if token == 0:
        return ZERO_PFN
    place = len(m.page_content)
    for page in range(len(m.page_content)):
        if m.page_content[page] == token and 0 <= m.new_page[page] < place:
            place = m.new_page[page]
    return place


def order_lines(name: str, dim: str) -> Iterator[str]:
    yield f"def {name}(m: SearchState, one: int, two: int) -> int:"
    yield f'    """By every field that there is per {dim}; greater ones first."""'
    for field, f in fields():
        if f.dim != dim or f.constant:
            continue
        if not f.names:
            yield f"    if m.{field}[one] != m.{field}[two]:"
            yield f"        return m.{field}[two] - m.{field}[one]"
        elif f.names in COMPARED:
            yield f"    order = {COMPARED[f.names]}(m, m.{field}[one], m.{field}[two])"
            yield "    if order:"
            yield "        return order"
    yield "    return 0"


Order = Callable[[SearchState, int, int], int]

frame_order: Order = made(order_lines("frame_order", "pages"), globals())
run_order: Order = made(order_lines("run_order", "runs"), globals())
slot_order: Order = made(order_lines("slot_order", "pins"), globals())
