"""#if lines that a release decides: what is dead for it is blanked, line by line, so that offsets and lines stay.

LINUX_VERSION_CODE, KERNEL_VERSION(), numbers, and a tree's own macros for them are known; other distributions' version
macros (RHEL_*, SLE_*) are 0, as on mainline; everything else is undecided, and both branches stay.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

from pinhold.audit.macros import Macro, Macros
from pinhold.audit.values import Condition

_DIRECTIVE = re.compile(rb"[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b(.*)", re.S)
_LINES = re.compile(
    rb"^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif|define|undef|include)\b((?:[^\n\\]|\\\r?\n|\\)*)\n?", re.M
)
_IFS = re.compile(rb"^[ \t]*#[ \t]*(?:if|el|endif)", re.M)
_TOKEN = re.compile(r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|(\w+)|(&&|\|\||[<>=!]=|<<|>>|[-+*/%&|^<>!~()?:,])|(\S))")
_CONSTANT = re.compile(r"\b(?:\d|[A-Z_]{2}|true\b|false\b)")
_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.S)
_ELSEWHERE = re.compile(r"RHEL_|SLE_|SUSE|UBUNTU|CONFIG_SUSE_|OPENEULER|CENTOS|EL\d|SLES")
_BACKPORTS = frozenset({"LINUX_VERSION_IS_GEQ", "LINUX_VERSION_IS_LESS", "LINUX_VERSION_IN_RANGE"})
_LEVELS = ({"||"}, {"&&"}, {"|"}, {"^"}, {"&"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"<<", ">>"}, {"+", "-"}, {"*"})
"""Binary operators, from the one that binds least."""
_DEEPEST = 60
_LONGEST = 4096
_NESTED = 200
_INCLUDES = 8
"""Operators in each other, and characters, of an expression; #if lines in each other: beyond it nothing is decided.
And headers in each other."""
IF = "#if"


class _Undecided(Exception):
    """No value that is known here."""


def decide(text: bytes, release: str, macros: Macros | None = None) -> bytes:
    """The same text without the lines that are dead for the release.  macros: gets what is defined."""
    return _decided(text, version_code(release), macros if macros is not None else Macros(), (), 0)


def _decided(text: bytes, code: int, macros: Macros, outer: tuple[Condition, ...], depth: int) -> bytes:
    out: list[bytes] = []
    stack: list[_Branch] = []
    lines = list(_LINES.finditer(text))
    at = 0
    for number, match in enumerate(lines):
        live = all(branch.live for branch in stack)
        between = text[at : match.start()]
        out.append(between if live else b"\n" * between.count(b"\n"))
        word, rest = match[1], match[2]
        at = match.end()
        if word in (b"define", b"undef", b"include"):
            keep = live
            when = (*outer, *(branch.condition for branch in stack if branch.condition is not None))
            if word == b"define":
                macros.define(rest, when) if live else macros.dead(rest)
            elif word == b"undef" and live:
                macros.undefine(rest, when)
            elif live and depth < _INCLUDES and (header := macros.include(macros.path, rest)) is not None:
                path, macros.path = macros.path, header[0]
                _decided(header[1], code, macros, when, depth + 1)
                macros.path = path
        else:
            guard = word == b"ifndef" and _guards(rest, lines, number, macros)
            keep = _directive(stack, word, _COMMENT.sub(b" ", rest), code, macros, guard)
            if len(stack) > _NESTED:
                return text
        out.append(match[0] if keep else b"\n" * match[0].count(b"\n"))
    live = all(branch.live for branch in stack)
    out.append(text[at:] if live else b"\n" * text.count(b"\n", at))
    return b"".join(out)


def _guards(rest: bytes, lines: list[re.Match[bytes]], number: int, macros: Macros) -> bool:
    """Whether #ifndef X is followed by #define X alone, and X was nowhere: afterwards it is there in any case."""
    name = rest.split()[:1]
    after = lines[number + 1] if number + 1 < len(lines) else None
    if not name or after is None or after[1] != b"define" or after[2].split() != name:
        return False
    return name[0].decode("latin1") not in macros.known


def version_code(release: str) -> int:
    """LINUX_VERSION_CODE of a release."""
    numbers = [int(number) for number in re.findall(r"\d+", release)[:3]] + [0, 0, 0]
    return (numbers[0] << 16) + (numbers[1] << 8) + min(numbers[2], 255)


class _Branch:
    """One #if: whether it is decided, whether what stands here is live, and whether some part was.

    condition: what nobody decides, where it is not."""

    def __init__(self, value: bool | None, condition: Condition) -> None:
        self.decided = value is not None
        self.live = value is not False
        self.taken = value is True
        self.condition = None if self.decided else condition


def branch(words: str, holds: bool = True) -> Condition:
    """An #if as a condition; the same words are the same condition."""
    name = re.sub(r"\bdefined\s*\(?\s*(\w+)\s*\)?|\s+", r"\1", words)
    if name.startswith("!") and name[1:].isidentifier():
        name, holds = name[1:], not holds
    return Condition("", IF, holds, zlib.crc32(name.encode()))


def _whole_line(lines: list[bytes], at: int) -> tuple[int, bytes]:
    """A directive with the lines that it goes on over; any other line alone."""
    line = lines[at]
    if not line.lstrip().startswith(b"#"):
        return 1, line
    count, parts = 1, [line.rstrip()]
    while parts[-1].endswith(b"\\") and at + count < len(lines):
        parts[-1] = parts[-1][:-1]
        parts.append(lines[at + count].rstrip())
        count += 1
    return count, b" ".join(parts)


def _directive(stack: list[_Branch], word: bytes, rest: bytes, code: int, macros: Macros, guard: bool) -> bool:
    """Go on by one directive; gives whether its line stays."""
    outer = all(branch.live for branch in stack)
    if word in (b"if", b"ifdef", b"ifndef"):
        value = _value(rest, code, macros) if word == b"if" else _defined(word, rest, macros)
        stack.append(_Branch(True if guard else value, branch(rest.decode("latin1"), word != b"ifndef")))
        return outer and not stack[-1].decided
    if not stack:
        return True
    here = stack[-1]
    if word == b"endif":
        stack.pop()
        return not here.decided and all(one.live for one in stack)
    if here.decided:
        value = True if word == b"else" else _value(rest, code, macros)
        here.live = not here.taken and value is not False
        here.taken = here.taken or value is not False
        return False
    if here.condition is not None:
        here.condition = here.condition.negated() if word == b"else" else branch(rest.decode("latin1"))
    return all(one.live for one in stack[:-1])


def _defined(word: bytes, rest: bytes, macros: Macros) -> bool | None:
    """#ifdef of what the tree defines, or mainline never does."""
    name = rest.strip().decode("latin1")
    found = macros.defined(name)
    if found is None and _ELSEWHERE.match(name):
        found = False
    return None if found is None else found == (word == b"ifdef")


def _value(expression: bytes, code: int, macros: Macros) -> bool | None:
    words = expression.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").decode("latin1")
    value = _number(words, code, macros)
    return None if value is None else bool(value)


def number(expression: str, release: str, macros: Macros | Mapping[str, str], always: bool = False) -> int | None:
    """What a constant expression is on a release; None for what is none, or not known.

    always: look at it whatever its words are, not at numbers, capitals and truth values alone.
    """
    if not always and not _CONSTANT.search(expression):
        return None
    if not isinstance(macros, Macros):
        macros = Macros(known={name: (Macro(name, None, text),) for name, text in macros.items()})
    return _number(expression, version_code(release), macros)


def _number(text: str, code: int, macros: Macros) -> int | None:
    if len(text) > _LONGEST:
        return None
    try:
        tokens = _tokens(text)
        reader = _Reader(tokens, code, macros)
        value = reader.binary(0)
        reader.end()
    except (_Undecided, RecursionError, OverflowError, MemoryError):
        return None
    return value


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match[4]:
            raise _Undecided
        found.append(match[1] or match[2] or match[3])
        at = match.end()
    return found


class _Reader:
    """A #if expression; None is a value that is not known."""

    def __init__(
        self, tokens: list[str], code: int, macros: Macros, depth: int = 0, inside: frozenset[str] = frozenset()
    ) -> None:
        self._tokens, self._code, self._macros, self._depth, self._inside = tokens, code, macros, depth, inside
        self._at = 0

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise _Undecided

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        token = self._next()
        if not token or (wanted and token != wanted):
            raise _Undecided
        self._at += 1
        return token

    def binary(self, level: int) -> int | None:
        """Operators of this level and of those that bind more."""
        self._depth += 1
        if self._depth > _DEEPEST * len(_LEVELS):
            raise _Undecided
        if level == len(_LEVELS):
            value = self._unary()
        else:
            value = self.binary(level + 1)
            while self._next() in _LEVELS[level]:
                operator = self._take()
                value = _apply(operator, value, self.binary(level + 1))
        self._depth -= 1
        return value

    def _unary(self) -> int | None:
        token = self._take()
        if token == "!":
            value = self._unary()
            return None if value is None else int(not value)
        if token == "-":
            value = self._unary()
            return None if value is None else -value
        if token == "(":
            value = self.binary(0)
            self._take(")")
            return value
        if token[0].isdigit():
            return int(token, 0 if token[:2] in ("0x", "0X") or token == "0" else 10)
        if not (token[0].isalpha() or token[0] == "_"):
            raise _Undecided
        return self._name(token)

    def _name(self, name: str) -> int | None:
        if name == "defined":
            if self._next() == "(":
                self._take("(")
                what = self._take()
                self._take(")")
            else:
                what = self._take()
            if what in ("LINUX_VERSION_CODE", "KERNEL_VERSION"):
                return 1
            found = self._macros.defined(what)
            return int(found) if found is not None else 0 if _ELSEWHERE.match(what) else None
        begun = self._at
        arguments = self._arguments() if self._next() == "(" else None
        if name == "LINUX_VERSION_CODE":
            return self._code
        if name == "KERNEL_VERSION":
            return _code(arguments)
        if name.startswith("RTLNX_VER_") or (name in _BACKPORTS and not self._macros.of(name)):
            return self._ranged(name, arguments or [])
        if _ELSEWHERE.match(name) or (name.startswith("RTLNX_") and arguments is not None):
            return 0
        return self._macro(name, begun, arguments)

    def _macro(self, name: str, begun: int, arguments: list[int | None] | None) -> int | None:
        """A macro of the tree, where it has one text.  begun: the token after its name."""
        known = self._macros.of(name)
        if len(known) != 1 or self._macros.defined(name) is None:
            return None
        if name in self._inside or self._depth >= _DEEPEST * len(_LEVELS):
            return None
        (macro,) = known
        words: str | None = macro.body
        if macro.parameters is not None:
            passed = "".join(f" {token}" for token in self._tokens[begun + 1 : self._at - 1])
            words = macro.expanded(passed.split(",")) if arguments is not None else None
        if words is None:
            return None
        reader = _Reader(_tokens(words), self._code, self._macros, self._depth + 1, self._inside | {name})
        value = reader.binary(0)
        reader.end()
        return value

    def _arguments(self) -> list[int | None]:
        self._take("(")
        found: list[int | None] = []
        while self._next() != ")":
            found.append(self.binary(0))
            if self._next() == ",":
                self._take(",")
            elif self._next() != ")":
                raise _Undecided
        self._take(")")
        return found

    def _ranged(self, name: str, arguments: list[int | None]) -> int | None:
        """Words for a version in VirtualBox, _MIN(a,b,c), _MAX, _RANGE(a,b,c, d,e,f); and in drivers ported back."""
        least = _code(arguments[:3])
        if name in ("RTLNX_VER_MIN", "LINUX_VERSION_IS_GEQ"):
            return int(self._code >= least)
        if name in ("RTLNX_VER_MAX", "LINUX_VERSION_IS_LESS"):
            return int(self._code < least)
        return int(least <= self._code < _code(arguments[3:]))


def _code(numbers: list[int | None] | None) -> int:
    if numbers is None or len(numbers) != 3:
        raise _Undecided
    first, second, third = (0 if number is None else number for number in numbers)
    if any(number is None for number in numbers):
        raise _Undecided
    return (first << 16) + (second << 8) + min(third, 255)


def _apply(operator: str, left: int | None, right: int | None) -> int | None:  # noqa: PLR0912
    if operator == "&&":
        if left == 0 or right == 0:
            return 0
        return None if left is None or right is None else 1
    if operator == "||":
        if left or right:
            return 1
        return None if left is None or right is None else 0
    if left is None or right is None:
        return None
    match operator:
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)
        case ">":
            return int(left > right)
        case "<=":
            return int(left <= right)
        case ">=":
            return int(left >= right)
        case "+":
            return left + right
        case "-":
            return left - right
        case "|":
            return left | right
        case "&":
            return left & right
        case "^":
            return left ^ right
    if operator == "<<" and 0 <= right < 32 and abs(left) < 1 << 32:
        return left << right
    if operator == ">>" and 0 <= right < 32:
        return left >> right
    if operator == "*" and abs(left) < 1 << 32 and abs(right) < 1 << 32:
        return left * right
    raise _Undecided


def has_if(text: bytes) -> bool:
    """Whether an #if, or a part of one, is left in it."""
    return _IFS.search(text) is not None


def picked(text: bytes, part: str) -> bytes:
    """Of every #if that is left the first part alone ("if"), or the last ("else"); with as many lines."""
    out: list[bytes] = []
    stack: list[bool] = []
    lines = text.split(b"\n")
    at = 0
    while at < len(lines):
        count, whole = _whole_line(lines, at)
        match = _DIRECTIVE.match(whole)
        if match is None:
            out += lines[at : at + count] if all(stack) else [b""] * count
        else:
            word = match[1]
            if len(stack) > _NESTED:
                return text
            if word in (b"if", b"ifdef", b"ifndef"):
                stack.append(part == "if")
            elif stack and word == b"endif":
                stack.pop()
            elif stack:
                stack[-1] = part == "else" and word == b"else"
            out += [b""] * count
        at += count
    return b"\n".join(out)


_ATTRIBUTES = re.compile(
    rb"\b(?:__must_check|__user|__iomem|__force|__rcu|__percpu|__init|__exit|__maybe_unused|__always_unused|noinline"
    rb"|__always_inline|__cold|__sched|notrace|noinline_for_stack|asmlinkage|__no_kcsan|__ref|__kprobes|__unused"
    rb"|__(?:releases|acquires|must_hold|context_unsafe|printf|counted_by|cond_acquires|free)\([^()\n]*\))"
)


def blanked(text: bytes) -> bytes:
    """Without attributes that the grammar does not know; each is as many spaces."""
    return _ATTRIBUTES.sub(lambda match: b" " * len(match[0]), text)
