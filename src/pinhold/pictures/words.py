"""What a picture says in words: the steps, what came of them, and where two targets decide differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pinhold.pictures.story import Elsewhere, Place, Row, Story, Strand
from pinhold.scenario import steps as s
from pinhold.scenario.compare import Comparison, compare_runs
from pinhold.scenario.observation import MIXED
from pinhold.scenario.printer import format_step
from pinhold.scenario.ran import Decision, Turn
from pinhold.scenario.tokens import quote


def byte_word(byte: int | None) -> str:
    """Two digits; "mix" for a page whose bytes are not all alike."""
    return "" if byte is None else "mix" if byte == MIXED else f"{byte:02x}"


def step_words(row: Row) -> str:
    """The step, without the text of an expectation; of a schedule's step with its operation."""
    step = row.step
    match step:
        case s.Start():
            return f"{step.task} begins: {row.operation}"
        case s.Advance():
            return f"{step.task} goes on for {step.steps}: {row.operation}"
        case s.Require() | s.Expectation() if step.text is not None:
            return format_step(step).removesuffix(quote(step.text)).rstrip()
        case _:
            return row.recorded.step


def turns(stories: Sequence[Story], row: int) -> list[str]:
    """Who waits after the row, and whose operation has ended; with the target where they do not agree."""
    said = [(one.run.target, _turns(one.rows[row])) for one in stories if row < len(one.rows)]
    if len({words for _, words in said}) == 1:
        return list(said[0][1])
    return [f"{target}: {line}" for target, words in said for line in words]


def _turns(row: Row) -> tuple[str, ...]:
    return tuple(turn_words(turn) for turn in row.recorded.turns if turn.ended or turn.waited)


def turn_words(turn: Turn) -> str:
    """How a task stands after the step."""
    if turn.ended:
        return f"{turn.task} is done"
    place = f" in {turn.function}" if turn.function else ""
    return f"{turn.task} waits for a lock{place}" if turn.waited else f"{turn.task} stands{place}"


@dataclass(frozen=True, slots=True)
class Leak:
    """A write that somebody reads who should not: no pin has parted from its page, but a frame is shared.

    row: of the write; band: whose byte it changed; writer, reader: strands on that band; writer None: it is not shown.
    """

    row: int
    band: int
    writer: int | None
    reader: int


def leak(story: Story) -> Leak | None:
    """Of a violated run without a parting the last change of a byte that the verdict's step is about."""
    verdict = story.run.verdict
    if (
        verdict is None
        or verdict.kind not in ("violated", "xfail")
        or verdict.step is None
        or story.parting is not None
    ):
        return None
    end = next((row for row in story.rows if row.recorded.index == verdict.step), None)
    if end is None:
        return None
    for reader in _readers(story, end):
        band = story.strands[reader].at[end.index]
        if not isinstance(band, int):
            continue
        known = story.bands[band].known
        for row in range(end.index, 0, -1):
            if known[row - 1] is not None and known[row] != known[row - 1]:
                return Leak(row, band, _writer(story, row, band, reader), reader)
    return None


def wrong_at(story: Story) -> int | None:
    """The row with the mark that nobody misses: of a parting that breaks something, or of a leak."""
    if story.parting is not None:
        return None if story.may_part else story.parting
    found = leak(story)
    return None if found is None else found.row


def _readers(story: Story, end: Row) -> list[int]:
    """Whose bytes the verdict's step looks at: a pin before a process."""
    step = end.step
    strands = story.strands
    if isinstance(step, s.ExpectPinSees | s.ExpectPinByte):
        return [k for k, x in enumerate(strands) if x.is_pin and x.owner == step.pin]
    if isinstance(step, s.ExpectByte):
        pages = [k for k, x in enumerate(strands) if (x.owner, x.region) == (step.proc, step.range.region)]
        return [*pages, *(k for k, x in enumerate(strands) if x.is_pin)]
    return [k for k, x in enumerate(strands) if x.is_pin]


def _writer(story: Story, row: int, band: int, reader: int) -> int | None:
    step = story.rows[row].step
    proc = getattr(step.step if isinstance(step, s.Start) else step, "proc", None)
    there = (k for k, x in enumerate(story.strands) if x.at[row] == band and k != reader and x.owner == proc)
    return next(there, None)


def title_of(story: Story, name: str) -> str:
    """What the scenario is called, and which test it is."""
    return f"{story.run.text.partition(chr(10))[0].removeprefix('scenario ')} ({name})"


def outcome(story: Story) -> tuple[str, str]:
    """What it came to: the verdict in a word, and what both sides read, or why."""
    verdict = story.run.verdict
    if verdict is None:
        return "cut off", "the file ends before the verdict"
    if verdict.kind == "violated" and verdict.step is not None:
        return "VIOLATED", _both_bytes(story, verdict.step) or verdict.reason or ""
    if verdict.kind == "held":
        for row in reversed(range(len(story.rows))):
            for pin, _ in story.together(row):
                view = story.strands[pin].views[row]
                if view is not None and view.byte is not None:
                    return "held", f"both read {byte_word(view.byte)}"
    return verdict.kind, verdict.reason or ""


def _both_bytes(story: Story, index: int) -> str:
    for row in story.rows:
        if row.recorded.index == index:
            for pin, page in story.parted_at[row.index]:
                held, mapped = (story.strands[k].views[row.index] for k in (pin, page))
                if held is not None and mapped is not None and held.byte is not None and mapped.byte is not None:
                    return f"device reads {byte_word(held.byte)}, process reads {byte_word(mapped.byte)}"
    return ""


def account(story: Story) -> str:
    """Target, outcome and what became of pin and page, in one paragraph."""
    word, why = outcome(story)
    return f"{story.run.target}: {word}{f': {why}' if why else ''}. {sentence(story)}".rstrip()


def sentence(story: Story) -> str:
    """What became of pin and page, for a stranger; "" where there is nothing to say beyond the outcome."""
    verdict = story.run.verdict
    if verdict is not None and verdict.kind not in ("held", "violated", "xfail", "unknown"):
        return ""
    if story.parting is not None:
        return _parting_words(story, story.parting)
    found = leak(story)
    if found is not None:
        return _leak_words(story, found)
    return _together_words(story)


def _parting_words(story: Story, row: int) -> str:
    pin, page = (story.strands[k] for k in story.parted_at[row][0])
    at = f'They part at step {row + 1}, "{step_words(story.rows[row])}"'
    where = (
        f"{page.label} maps {place_word(story, page.at[row])}, {pin.label} still holds {place_word(story, pin.at[row])}"
    )
    if story.may_part:
        return f"{at}, as they may: {where}."
    return f"{at}: {where}. What the process writes from here on, the device never sees."


def _leak_words(story: Story, found: Leak) -> str:
    known = story.bands[found.band].known
    reader = story.strands[found.reader]
    verb = "holds" if reader.is_pin else "maps"
    who = "the pin" if reader.is_pin else reader.owner
    return (
        f'A leak: at step {found.row + 1}, "{step_words(story.rows[found.row])}", the frame that {reader.label} {verb} '
        f"({story.bands[found.band].label}) changes from {byte_word(known[found.row - 1])} to "
        f"{byte_word(known[found.row])}: what is written in private, {who} reads."
    )


def _together_words(story: Story) -> str:
    last = max((row.index for row in story.rows if story.together(row.index)), default=None)
    if last is None:
        return ""
    pin, page = (story.strands[k] for k in story.together(last)[0])
    frame = place_word(story, pin.at[last])
    after = last + 1
    if after < len(story.rows) and page.at[after] is Elsewhere.NOWHERE and pin.at[after] is not None:
        since = f"from step {after + 1} on {page.label} maps nothing, {pin.label} keeps {frame}"
        return f"The pin outlives the mapping: {since}."
    return f"They never part: {page.label} and {pin.label} are on one frame ({frame}) as long as the pin lasts."


def place_word(story: Story, place: Place) -> str:
    """Where a strand is: "f0", "nothing", "swap"."""
    if isinstance(place, int):
        return story.bands[place].label
    return {Elsewhere.SWAP: "swap", Elsewhere.UNSEEN: "a frame that is not shown"}.get(place, "nothing")  # type: ignore[arg-type]


def changes(story: Story, row: int) -> list[str]:
    """What a step changed, in words: all that its picture shows."""
    found = [words for strand in story.strands if (words := _moved(story, strand, row))]
    if row == story.parting:
        pin, page = (story.strands[k] for k in story.parted_at[row][0])
        found.append(f"{pin.label} and {page.label} have parted")
    return found


def _moved(story: Story, strand: Strand, row: int) -> str:
    now, before = strand.at[row], strand.at[row - 1] if row else None
    if now == before:
        return ""
    if now is None:
        return f"{strand.label} is gone"
    verb = {Elsewhere.SWAP: "is swapped out to"}.get(now, "holds" if strand.is_pin else "maps")  # type: ignore[arg-type]
    return f"{strand.label} {verb} {place_word(story, now)}"


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first step after which targets differ.  sides: per target what decided there, None: nothing recorded."""

    row: int
    sides: tuple[tuple[str, Decision | None], ...]


def divergence(stories: Sequence[Story]) -> Divergence | None:
    """Between the first target and the first that differs from it; None where no side says what decided."""
    for other in stories[1:]:
        one = stories[0]
        row = _row_apart(one, other)
        if row is None:
            continue
        left, right = _first_apart(_deciding(one, row), _deciding(other, row))
        if left is None and right is None:
            return None
        left, right = left or _same_function(one, row, right), right or _same_function(other, row, left)
        return Divergence(row, ((one.run.target, left), (other.run.target, right)))
    return None


def _row_apart(one: Story, other: Story) -> int | None:
    """The first row after which two targets look different; where none does, and only the verdicts differ, the first at
    which their rules decided differently."""
    found = compared(one, other).difference
    if found is not None:
        observed = [row.index for row in one.rows if row.recorded.observation is not None]
        return observed[found.index] if found.index < len(observed) else None
    if one.run.verdict is None or other.run.verdict is None or one.run.verdict.kind == other.run.verdict.kind:
        return None
    rows = range(min(len(one.rows), len(other.rows)))
    return next((row for row in rows if any(_first_apart(_deciding(one, row), _deciding(other, row)))), None)


def _same_function(story: Story, row: int, other: Decision | None) -> Decision | None:
    """What the function that decides on the other target decided here, where no rule was needed."""
    decisions = story.rows[row].recorded.decisions if row < len(story.rows) else ()
    return next((d for d in decisions if other is not None and d.function == other.function), None)


def _deciding(story: Story, row: int) -> list[Decision]:
    return [d for d in story.rows[row].recorded.decisions if d.rule] if row < len(story.rows) else []


def _first_apart(left: Sequence[Decision], right: Sequence[Decision]) -> tuple[Decision | None, Decision | None]:
    """The first two decisions, by a rule, that are not the same."""
    for index in range(max(len(left), len(right))):
        mine, theirs = (side[index] if index < len(side) else None for side in (left, right))
        if mine is None or theirs is None or (mine.site, mine.value) != (theirs.site, theirs.value):
            return mine, theirs
    return None, None


def compared(one: Story, other: Story) -> Comparison:
    """What both targets saw."""
    return compare_runs(*([row.recorded for row in story.rows] for story in (one, other)))


def merged(stories: Sequence[Story]) -> list[Story]:
    """Targets that did the same, in all that both saw, and came to the same verdict, as one story with both names."""
    found: list[Story] = []
    for one in stories:
        twin = next((k for k, other in enumerate(found) if _same(other, one)), None)
        if twin is None:
            found.append(one)
        else:
            both = f"{found[twin].run.target} = {one.run.target}"
            found[twin] = replace(found[twin], run=replace(found[twin].run, target=both))
    return found


def ran(story: Story) -> bool:
    """Whether there is something to draw: a test that was skipped, or broke, has a reason instead."""
    verdict = story.run.verdict
    return verdict is None or verdict.kind not in ("skipped", "error", "crashed")


def _same(one: Story, other: Story) -> bool:
    if one.run.verdict is None or other.run.verdict is None or one.run.verdict.kind != other.run.verdict.kind:
        return False
    comparison = compared(one, other)
    return comparison.difference is None and comparison.compared > 0
