"""What the controller, the fork server and the processes of a scenario say to one another: one class a message.

A request names, as its parameter, the reply that it gets where nothing fails.  `op` is the word that a message goes by
on the channel and in an error.  Descriptors travel beside a message, see channel.py.

A request that may change what its process sees is answered with that, too: one message there and one back is a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, dataclass_transform

from pinhold.targets.live.channel import Message

Piece = tuple[int, int, int | None]
"""First page, how many, the byte that they all hold."""


@dataclass(frozen=True, slots=True)
class Said:
    """Any message."""

    op: ClassVar[str] = ""


M = TypeVar("M", bound=Said)
R = TypeVar("R", bound=Said)

MESSAGES: dict[str, type[Said]] = {}
"""All of them, by the word that they go by."""


@dataclass_transform(frozen_default=True)
def message(op: str) -> Callable[[type[M]], type[M]]:
    """Makes a class a message of that name."""

    def made(cls: type[M]) -> type[M]:
        known = dataclass(frozen=True, slots=True)(cls)
        known.op = op
        assert op not in MESSAGES, op
        MESSAGES[op] = known
        return known

    return made


def encode(said: Said) -> Message:
    """As the channel takes it."""
    names: tuple[str, ...] = type(said).__match_args__
    return (said.op, *[getattr(said, name) for name in names])


def decode(received: Message) -> Said:
    """The inverse.  Raises KeyError, TypeError for what is no message."""
    return MESSAGES[received[0]](*received[1:])


# Replies


@message("done")
class Done(Said):
    """Nothing failed, and there is nothing to tell."""


@message("failed")
class Failed(Said):
    """By that errno."""

    errno: int


@message("cannot")
class Cannot(Said):
    """CannotDo, for that reason."""

    reason: str


@message("broken")
class BrokenDown(Said):
    """The tool itself failed, in those words."""

    what: str


@message("pid")
class Pid(Said):
    """Of the process that answers, or of the one that it has started."""

    pid: int


@message("status")
class Status(Said):
    """An exit status (negative: the signal); None: there is no such process to wait for, or not yet.  over: whether it
    need not be asked again."""

    status: int | None
    over: bool = True


@message("gone")
class Gone(Said):
    """Whether nothing of a group is left."""

    gone: bool


@message("acquired")
class Acquired(Said):
    """Pages taken, and those of them that are charged, see Taken.  keep: descriptors that cannot be sent, and stay open
    there until Drop."""

    held: int
    detail: Sequence[int]
    pid: int
    charged: int
    keep: Sequence[int] = ()


@message("runs")
class Runs(Said):
    """The bytes of some pages."""

    runs: Sequence[Piece]


@message("address")
class Address(Said):
    """Where some pages are."""

    address: int
    pages: int
    pid: int


@message("called")
class Called(Said):
    """What a system call came to: its value, its errno, and its buffers afterwards, in hex."""

    value: int
    number: int
    buffers: Sequence[str]


@message("words")
class Words(Said):
    """The pagemap words of some pages."""

    words: Sequence[int]


@message("stretches")
class Stretches(Said):
    """(first, count, state) of pages; huge_known: whether "huge" can be told from "present"."""

    runs: Sequence[tuple[int, int, str]]
    huge_known: bool


Seen = tuple[int, int | None, bool | None, bool | None, int | None]
"""Of a page: its pagemap word, its byte, whether it is in the zero page, and in a huge entry, and its entry (see
entries.py)."""

News = Mapping[str, Sequence[Seen]]
"""Of the watched pages, by region: of those regions that do not look as they were told last."""


@message("answer")
class Answer(Said):
    """What the process of a scenario sends: the reply, encoded, and what it sees.

    seen: an errno where it could not look, None where the request changed nothing.
    """

    reply: Message
    seen: News | int | None


# Requests to the process of a scenario


@dataclass(frozen=True, slots=True)
class Request(Said, Generic[R]):
    """A message that is answered by R, or by Failed, Cannot or BrokenDown."""


@dataclass(frozen=True, slots=True)
class Ranged(Request[R]):
    """A request about pages [first, end) of a region."""

    region: str
    first: int
    end: int


class Pages(NamedTuple):
    """What a ranged request begins with."""

    region: str
    first: int
    end: int


@message("map")
class Map(Request[Address]):
    """The file to map, if any, comes beside it.  size: of huge pages, None for others."""

    region: str
    kind: str
    pages: int
    shared: bool
    prot: str
    size: str | None


@message("unmap")
class Unmap(Ranged[Done]): ...


@message("read")
class Read(Ranged[Done]): ...


@message("write")
class Write(Ranged[Done]):
    byte: int


@message("fork")
class Fork(Request[Pid]):
    """The child's end of its channel comes beside it."""


@message("wait")
class Wait(Request[Status]):
    """Reap a child that has been told to exit, or has died."""

    pid: int


@message("exit")
class Exit(Request[Done]):
    """Nothing answers."""


@message("keep")
class Keep(Request[Done]):
    """Outlive the parent, or die with the present one again."""

    on: bool


@message("mprotect")
class Mprotect(Ranged[Done]):
    prot: str


@message("madvise")
class Madvise(Ranged[Done]):
    advice: str


@message("mremap")
class Mremap(Ranged[Address]):
    to: str


@message("uffdio_continue")
class UffdioContinue(Ranged[Done]): ...


@message("writeback")
class Writeback(Ranged[Done]): ...


@message("clear_softdirty")
class ClearSoftDirty(Request[Done]): ...


@message("drain")
class Drain(Request[Done]): ...


@message("memlock")
class LimitMemlock(Request[Done]):
    pages: int


@message("capability")
class Capability(Request[Done]):
    on: bool


@message("acquire")
class Acquire(Ranged[Acquired]):
    """Take pages by that mechanism; the descriptors that hold them come beside the reply.  charged: see
    Holder.acquire()."""

    mechanism: str
    write: bool
    fast: bool
    charged: int


@message("drop")
class Drop(Request[Done]):
    """Close descriptors that were kept."""

    keep: Sequence[int]


@message("copy")
class Copy(Ranged[Runs]):
    mechanism: str


@message("fill")
class Fill(Ranged[Done]):
    mechanism: str
    byte: int


@message("force")
class Force(Ranged[Done]):
    """Write by /proc/PID/mem."""

    byte: int


@message("where")
class Where(Ranged[Address]): ...


@message("who")
class Who(Request[Pid]): ...


@message("call")
class Call(Request[Called]):
    """A system call for an external pin mechanism.  An argument is a number, {"fd": index into the descriptors beside
    it} or {"buffer": hex}."""

    number: int
    arguments: Sequence[int | Mapping[str, Any]]


@message("watch")
class Watch(Request[Done]):
    """What to see from now on, here and in what is forked.  pages: the watched ones of each region, by its name; zero:
    whether to ask the kernel about the zero page."""

    pages: Mapping[str, Sequence[int]]
    zero: bool


# Requests that only look


@message("look")
class Look(Request[Done]):
    """At the watched pages."""


@message("frames")
class Frames(Request[Words]):
    """Of single pages."""

    region: str
    pages: Sequence[int]


@message("contents")
class Contents(Ranged[Runs]):
    """Pages that are present and readable, the others as None."""


@message("states")
class States(Ranged[Stretches]): ...


STILL = (Frames, Contents, States, Where, Who, Wait, Keep, Drop, Watch, Call)
"""Requests that are not answered with what is seen: they change nothing of it, or are a part of something."""

REMAPS = (Map, Unmap, Mprotect, Mremap, Call)
"""Requests after which a process may touch other memory than before."""


# Requests to the fork server


@message("spawn")
class Spawn(Request[Pid]):
    """The first process of a scenario, on `cpu`, where the helper is from then on, too; its end of the channel comes
    beside it.  seconds: of processor time that it and each of its children may use."""

    cpu: int
    seconds: int | None


@message("reap")
class Reap(Request[Status]):
    """The exit status of a process without a parent of its own, if it ends within a moment."""

    pid: int


@message("signal")
class Signal(Request[Gone]):
    """To the whole group of a scenario; what has ended of it is reaped."""

    leader: int
    number: int


@message("reap the group")
class ReapGroup(Request[Gone]):
    """What has ended of a scenario's group, waiting a moment for it."""

    leader: int
