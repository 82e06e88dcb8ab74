"""What the book takes from pinhold as it is built: pages made of its tables, and pictures that it draws.

A line `{{ NAME }}` of a page becomes the text of that name in `made.TEXTS`.  The directive `picture` runs a scenario
and shows who holds which page frame:

    ```{picture} seed/151
    :on: model:6.1 model:6.2

    The words below it.
    ```

`drawn` does the same with any command that ends with the option for a still image: "```{drawn} rules --svg".
"""

from __future__ import annotations

import html
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import made
from pin_lexer import PinLexer
from pinhold.cli import main

_MADE = re.compile(r"^\{\{ (\w+) \}\}$", re.MULTILINE)
_FOLDER = "_build/pictures"
_MENDED = (
    ('role="heading">', 'role="heading" aria-level="2">'),
    ('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="all pages">'),
    ('<aside class="toc-drawer">', '<aside class="toc-drawer" aria-label="this page">'),
    ("<pre>", '<pre tabindex="0">'),
    ('id="furo-main-content">\n          \n<noscript>', 'id="furo-main-content">\n<h1>Search</h1>\n<noscript>'),
)
"""What the theme lacks for a screen reader or a keyboard: levels of headings, names of what is beside a page, a way to
scroll what is wide, and a heading where one searches."""


class Drawn(SphinxDirective):
    """A still image, as the command draws it that is given without the name of a file."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    @property
    def words(self) -> list[str]:
        """The command's arguments, up to the option whose value is the file."""
        return str(self.arguments[0]).split()

    def run(self) -> list[nodes.Node]:
        """The figure, with its account in words as what a screen reader says."""
        name = re.sub(r"[^a-z0-9.]+", "-", " ".join(self.words)).strip("-")
        where = Path(self.env.srcdir) / _FOLDER / f"{name}.svg"
        if not where.exists():
            draw(self.words, where)
        told = re.search(r"<desc[^>]*>(.*?)</desc>", where.read_text(encoding="utf-8"), re.DOTALL)
        figure = nodes.figure()
        figure += nodes.image(uri=f"/{_FOLDER}/{where.name}", alt=html.unescape(told[1]) if told else name)
        if self.content:
            caption = nodes.caption()
            self.set_source_info(caption)
            caption += self.parse_inline("\n".join(self.content), lineno=self.content_offset)[0]
            figure += caption
        return [figure]


class Picture(Drawn):
    """A scenario's run on some targets."""

    option_spec: ClassVar[dict[str, Any]] = {"on": directives.unchanged_required}

    @property
    def words(self) -> list[str]:
        """`show TEST --on TARGET … --svg`."""
        on = [word for target in self.options["on"].split() for word in ("--on", target)]
        return ["show", self.arguments[0], *on, "--svg"]


def draw(words: list[str], where: Path) -> None:
    """Raises RuntimeError where pinhold does not draw it."""
    where.parent.mkdir(parents=True, exist_ok=True)
    with redirect_stdout(StringIO()):  # it prints the file's name
        status = main([*words, str(where)])
    if status != 0:
        raise RuntimeError(f"no picture: pinhold {' '.join(words)}")


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Put in what is made of pinhold's tables.  Raises KeyError for a name that `made` does not have."""
    source[0] = _MADE.sub(lambda match: made.TEXTS[match[1]](), source[0])


def fresh(app: Sphinx) -> None:
    """Pictures are drawn anew by each build, which may be of other code."""
    for old in (Path(app.srcdir) / _FOLDER).glob("*.svg"):
        old.unlink()


def mend(app: Sphinx, reason: Exception | None) -> None:
    """Pages that were built are for everybody."""
    if reason is not None or app.builder.name != "html":
        return
    for page in app.outdir.rglob("*.html"):
        if "_static" not in page.parts:
            text = page.read_text(encoding="utf-8")
            for lacking, mended in _MENDED:
                text = text.replace(lacking, mended)
            page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("drawn", Drawn)
    app.add_directive("picture", Picture)
    app.add_lexer("pin", PinLexer)
    app.connect("builder-inited", fresh)
    app.connect("source-read", fill)
    app.connect("build-finished", mend)
    return {"parallel_read_safe": False}
