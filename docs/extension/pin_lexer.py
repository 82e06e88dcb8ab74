"""Colours for scenarios in the book: the words are the grammar's own."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import Comment, Keyword, Name, Number, String, Text

from pinhold.scenario.steps.table import forms

_FIRST = sorted({form.verbs.split()[0] for _, form in forms()} | {"watch", "xfail", "vm_only", "observe", "small"})


class PinLexer(RegexLexer):
    """The language of docs/language.md."""

    name = "pin"
    aliases: ClassVar[list[str]] = ["pin"]
    filenames: ClassVar[list[str]] = ["*.pin"]
    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"^(scenario)(.*)$", bygroups(Keyword, Name.Function)),
            (r"#.*$", Comment.Single),
            (r'"(?:\\.|[^"\\])*"', String),
            (words(_FIRST, prefix=r"^", suffix=r"\b"), Keyword),
            (r"\b(?:0x[0-9a-f]{2}|\d+)\b", Number),
            (r"\w+", Name),
            (r"\s+", Text),
            (r".", Text),
        ]
    }
