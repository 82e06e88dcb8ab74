"""Programs in the compiler's subset, made at random: some functions that call one another, over a small record.

What a program computes stays small, so that numbers of 64 bits and of any length are the same; loops end.  One in
twenty has something in it that the subset lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from pinhold.mm.machine import Machine
from pinhold.mm.state import Geometry, Ints, State, constant, constant_per, per

KINDS = ("int", "bool", "tuple[int, int]", "None")
CONSTANTS = {"ZERO": 0, "ONE": 1, "MASK": 6, "FAULT": 14}


class Board(State):
    """Arrays of four: wide and narrow, one whose elements all stay 3, a constant one; and scalars."""

    wide: Ints = per("four", 8, 8, low=-(1 << 62))
    narrow: Ints = per("four", 2, 1, low=-128)
    alike: Ints = per("four", 4, 2)
    fixed: Ints = constant_per("four", 8, 8)
    size: int = constant()
    turns: int = constant()

    @classmethod
    def dimensions(cls, geometry: Geometry) -> dict[str, int]:
        return super().dimensions(geometry) | {"four": 4}


class BoardMachine(Board, Machine):
    """A board, interpreted."""


ARRAYS = ("wide", "narrow", "alike", "fixed")
SCALARS = {"size": 4, "turns": 2}
ALIKE = 3


@dataclass
class Function:
    """One that is being written.  ints, truths: the local names that have a value; loops: around the place."""

    name: str
    result: str
    ints: list[str]
    truths: list[str] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    loops: int = 0


class Writer:
    """Writes a program, asking `choose` (one of 0 … n - 1) for every decision."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self.choose = choose
        self.written: list[tuple[str, str, int]] = []
        self.names = 0
        self.f = Function("", "", [])

    def one(self, *of: str) -> str:
        return of[self.choose(len(of))]

    def named(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def program(self) -> str:
        """The functions; the last one is `f(m, a, b)`, and gives an integer."""
        helpers = [self.function(f"h{i}", KINDS[self.choose(4)], self.choose(3)) for i in range(self.choose(4))]
        return "\n\n".join([*helpers, self.function("f", "int", 2)])

    def function(self, name: str, result: str, count: int) -> str:
        self.f = Function(name, result, ["a", "b"][:count])
        taken = ", ".join(["m: Board", *(f"{p}: int" for p in self.f.ints)])
        self.block(1 + self.choose(5), "    ", top=True)
        if name == "f" and self.choose(20) == 13:
            self.foreign()
        self.line("    ", self.returned())
        self.written.append((name, result, count))
        return "\n".join(["@kernel", f"def {name}({taken}) -> {result}:", *self.f.lines])

    def line(self, indent: str, text: str) -> None:
        self.f.lines.append(indent + text)

    # --- expressions ---

    def small(self) -> str:
        """A number that nothing has to be known for."""
        return self.one("0", "1", "2", "3", "5", "7", *CONSTANTS)

    def index(self, depth: int) -> str:
        return self.one("0", "1", "2", "3") if self.choose(2) else f"{self.integer(depth - 1)} & 3"

    def element(self, depth: int) -> str:
        of = self.one(*(f"m.{array}" for array in ARRAYS), *self.f.arrays)
        return f"{of}[{self.index(depth)}]"

    def called(self, result: str, depth: int) -> str | None:
        """A call that gives this."""
        fitting = [(name, count) for name, gives, count in self.written if gives == result]
        if not fitting:
            return None
        name, count = fitting[self.choose(len(fitting))]
        return f"{name}({', '.join(['m', *(self.integer(depth - 1) for _ in range(count))])})"

    def integer(self, depth: int = 2) -> str:
        if depth <= 0:
            return self.one(self.small(), *self.f.ints) if self.f.ints and self.choose(3) else self.small()
        match self.choose(14):
            case 0 | 1:
                return self.integer(0)
            case 2:
                return self.element(depth)
            case 3 | 4:
                return f"({self.integer(depth - 1)} {self.one('+', '-', '&', '|', '^')} {self.integer(depth - 1)})"
            case 5:
                return f"({self.integer(depth - 1)} * {self.integer(depth - 1)} & 255)"
            case 6:
                return (
                    f"({self.integer(depth - 1)} {self.one('//', '%', '<<', '>>')} {self.one('1', '2', '3', 'MASK')})"
                )
            case 7:
                return f"{self.one('-', '~')}{self.integer(depth - 1)}"
            case 8:
                return f"({self.integer(depth - 1)} if {self.condition(depth - 1)} else {self.integer(depth - 1)})"
            case 9:
                return f"{self.one('min', 'max')}({self.integer(depth - 1)}, {self.integer(depth - 1)})"
            case 10:
                return self.one("m.size", "m.turns", "len(m.wide)", "len(m.narrow)")
            case 11:
                return f"({self.integer(depth - 1)} {self.one('+', '-', '*')} ({self.truth(depth - 1)}))"
            case 12:
                pair = self.called("tuple[int, int]", depth)
                return f"{pair}[{self.one('0', '1')}]" if pair else self.element(depth)
            case _:
                return self.called("int", depth) or self.element(depth)

    def truth(self, depth: int = 2) -> str:
        match self.choose(8):
            case 0:
                return self.one("True", "False", *self.f.truths)
            case 1 if depth > 0:
                return f"not ({self.condition(depth - 1)})"
            case 2 if depth > 0:
                return f"({self.truth(depth - 1)} {self.one('and', 'or')} {self.truth(depth - 1)})"
            case 3:
                return f"{self.integer(depth - 1)} in ({self.small()}, {self.integer(depth - 1)})"
            case 4:
                return f"{self.small()} <= {self.integer(depth - 1)} < {self.integer(depth - 1)}"
            case 5:
                return self.called("bool", depth) or self.one("True", *self.f.truths)
            case _:
                order = self.one("==", "!=", "<", "<=", ">", ">=")
                return f"{self.integer(depth - 1)} {order} {self.integer(depth - 1)}"

    def condition(self, depth: int = 2) -> str:
        """What only the truth of is asked for."""
        match self.choose(5):
            case 0:
                return self.integer(depth)
            case 1 if depth > 0:
                return f"({self.condition(depth - 1)} {self.one('and', 'or')} {self.condition(depth - 1)})"
            case _:
                return self.truth(depth)

    # --- statements ---

    def block(self, count: int, indent: str, top: bool = False) -> None:
        for _ in range(count):
            self.statement(indent, top)

    def inner(self, indent: str, loop: bool = False) -> None:
        """A block of which not every turn comes to its end: what gets a first value in it has none behind it."""
        ints, truths = list(self.f.ints), list(self.f.truths)
        self.f.loops += loop
        self.block(1 + self.choose(2), indent + "    ")
        self.f.loops -= loop
        self.f.ints, self.f.truths = ints, truths

    def bounded(self) -> str:
        """An integer that does not grow from turn to turn."""
        return f"{self.integer()} & 4095" if self.f.loops else self.integer()

    def statement(self, indent: str, top: bool) -> None:
        deep = len(indent) > 12
        match self.choose(16):
            case 0 | 1 | 2:
                name = self.one(*self.f.ints) if self.f.ints and self.choose(2) else self.named("x")
                self.line(indent, f"{name} = {self.bounded()}")
                self.f.ints += [name] if name not in self.f.ints else []
            case 3:
                name = self.one(*self.f.truths) if self.f.truths and self.choose(2) else self.named("t")
                self.line(indent, f"{name} = {self.truth()}")
                self.f.truths += [name] if name not in self.f.truths else []
            case 4 if self.f.ints:
                change = f"{self.one('+=', '-=')} {self.small()}"
                self.line(indent, f"{self.one(*self.f.ints)} {self.one(change, f'^= {self.integer()} & 63')}")
            case 5 | 6:
                self.line(indent, f"m.wide[{self.index(2)}] = {self.integer()} & 65535")
            case 7:
                self.line(indent, f"m.narrow[{self.index(2)}] {self.one('=', '&=', '|=')} {self.integer()} & 127")
            case 8:
                self.line(indent, f"m.wide[{self.index(1)}] {self.one('+=', '-=', '^=')} {self.integer(1)} & 63")
            case 9:
                self.line(indent, f"m.alike[{self.index(1)}] {self.one(f'= {ALIKE}', '+= 0', '|= ZERO')}")
            case 10 | 11 if not deep:
                self.line(indent, f"if {self.condition()}:")
                self.inner(indent)
                if self.choose(2):
                    self.line(indent, "else:")
                    self.inner(indent)
            case 12 if not deep:
                self.turns(indent)
            case 13:
                self.two(indent)
            case 14 if top:
                name = self.named("array")
                self.line(indent, f"{name} = m.{self.one('wide', 'fixed')}")
                self.f.arrays.append(name)
            case 14 if self.f.loops:
                self.line(indent, f"if {self.condition()}:")
                self.line(indent, f"    {self.one('break', 'continue')}")
            case 15 if not top:
                self.line(indent, f"if {self.condition(1)}:")
                self.line(indent, f"    {self.returned()}")
            case _:
                self.line(indent, self.called(self.one(*KINDS), 2) or "pass")

    def turns(self, indent: str) -> None:
        """A loop."""
        name = self.named("i")
        if self.choose(2):
            over = self.one("range(m.turns)", "range(1)", "range(0)", "range(3, 0, -1)", f"(1, {self.integer(1)})")
            self.line(indent, f"for {name} in {self.one(over, f'range({self.integer(1)} & 3)')}:")
            self.f.ints.append(name)
            self.inner(indent, loop=True)
            self.f.ints.remove(name)
        else:
            self.line(indent, f"{name} = {self.integer(1)} & 3")
            self.line(indent, f"while {name} > 0{self.one('', f' and ({self.truth(1)})')}:")
            self.line(indent, f"    {name} -= 1")
            self.inner(indent, loop=True)

    def two(self, indent: str) -> None:
        """Two names at once."""
        names = [self.named("y"), self.one(*self.f.ints) if self.f.ints else self.named("y")]
        pair = self.called("tuple[int, int]", 2)
        if pair and not self.f.loops:
            self.line(indent, f"{names[0]}, {names[1]} = {pair}")
        else:
            self.line(indent, f"{names[0]}, {names[1]} = {self.integer(1)} & 4095, {self.bounded()}")
        self.f.ints += [name for name in names if name not in self.f.ints]

    def returned(self) -> str:
        match self.f.result:
            case "int":
                return f"return {self.integer()}"
            case "bool":
                return f"return {self.truth()}"
            case "None":
                return "return"
            case _:
                return f"return ({self.integer()}, {self.integer()})"

    def foreign(self) -> None:
        """Something that the subset lacks."""
        self.line("    ", self.one("z = y = 1", "FAULT = 3", "z = a or 6", "z = [1]", "assert m.size", "z: int = 2"))


def _drawn(draw: st.DrawFn) -> str:
    return Writer(lambda n: draw(st.integers(0, n - 1)) if n > 1 else 0).program()


programs = st.composite(_drawn)
