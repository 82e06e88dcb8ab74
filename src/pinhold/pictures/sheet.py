"""What every page has: its colours, and a policy by which browsers use nothing but its own style and script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pinhold.pictures.still import STRONG, TINTS

DARK_TINTS = ("#17304f", "#47340f", "#14402a", "#3f2050", "#3a3a3a", "#532319")
DARK_STRONG = ("#a9cdfb", "#f5cf83", "#8fdcb0", "#e0b3f0", "#d6d6d6", "#ffb9a8")

LIGHT = {
    "ground": "#fff", "ink": "#1a1a1a", "soft": "#555", "edge": "#d8d8d8", "red": "#b00020", "pink": "#fdecee",
    "green": "#17603a", "on": "#fff", "card": "#f6f6f6", "focus": "#0b57d0",
}  # fmt: skip
DARK = {
    "ground": "#141414", "ink": "#f0f0f0", "soft": "#b4b4b4", "edge": "#3c3c3c", "red": "#ff8a8a", "pink": "#3a1a1d",
    "green": "#8fdcb0", "on": "#101010", "card": "#202020", "focus": "#8ab4f8",
}  # fmt: skip

SCRIPTED = ("matrix", "timeline")
"""Pages that have a script."""


def render(name: str, style: str, values: Mapping[str, Any]) -> str:
    """The page of a template, with the style sheet and, where there is one, the script of its name.

    style: what is the page's own.  Raises ImportError where jinja2 is missing.
    """
    script = _file(f"{name}.js") if name in SCRIPTED else ""
    sheet = f"{_themes()}\n{style}\n{style_of(name)}\n{_print_theme()}"
    own = f"style-src '{_hash(sheet)}'" + (f"; script-src '{_hash(script)}'" if script else "")
    policy = f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"
    template = _environment().get_template(f"{name}.html")
    page: str = template.render(style=Markup(sheet), script=Markup(script), policy=policy, **values)
    return page


def part(name: str, values: Mapping[str, Any]) -> Markup:
    """What a template makes, to be put into a page; its style sheet comes by style_of()."""
    return Markup(_environment().get_template(f"{name}.html").render(**values))


def style_of(name: str) -> str:
    """The style sheet of that name."""
    return _file(f"{name}.css")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_file), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@cache
def _file(name: str) -> str:
    return (files("pinhold.pictures") / "templates" / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _themes() -> str:
    """Light and dark, as the reader's system or the page's button says; and which band has which colour."""
    light, dark = _variables(LIGHT, TINTS, STRONG, "light"), _variables(DARK, DARK_TINTS, DARK_STRONG, "dark")
    classes = "".join(
        f".b{i} {{ fill: var(--b{i}); }} .n{i} {{ --fill: var(--n{i}); }} "
        f".c{i} {{ stroke: var(--b{i}); }} .h{i} text {{ stroke: var(--b{i}); }}\n"
        for i in range(len(TINTS))
    )
    return (
        f":root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}\n"
        f":root[data-theme=dark] {{ {dark} }}\n.nx {{ --fill: var(--soft); }}\n{classes}"
    )


def _print_theme() -> str:
    light = _variables(LIGHT, TINTS, STRONG, "light")
    return f"@media print {{ :root, :root[data-theme=dark], :root:not([data-theme=light]) {{ {light} }} }}"


def _variables(words: Mapping[str, str], tints: Sequence[str], strong: Sequence[str], scheme: str) -> str:
    colours = {**words, **{f"b{i}": c for i, c in enumerate(tints)}, **{f"n{i}": c for i, c in enumerate(strong)}}
    return " ".join(f"--{name}: {value};" for name, value in colours.items()) + f" color-scheme: {scheme};"
