"""What of a mark is left when its colour is gone: the shape that stands out from the ground, measured in the pixels."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

SIDE = 24
"""Of the square that is looked at, in CSS pixels."""
FINE = 2
"""Device pixels a CSS pixel: where a mark begins within one then hardly counts."""
CONTRAST = 3.0
"""By which a mark stands out from the ground, as WCAG asks of graphics."""

Shape = frozenset[int]
"""The numbers of the pixels of the square that stand out."""

_ALONE = """selectors => {
  document.querySelectorAll("[data-seen]").forEach(each => each.removeAttribute("data-seen"));
  const seen = selectors.map(selector => document.querySelector(selector));
  seen.forEach(each => each.setAttribute("data-seen", ""));
  seen[0].scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const boxes = seen.map(each => each.getBoundingClientRect());
  return [
    Math.min(...boxes.map(box => box.left)), Math.max(...boxes.map(box => box.right)),
    Math.min(...boxes.map(box => box.top)), Math.max(...boxes.map(box => box.bottom)),
  ];
}"""
_GREY = """
html { filter: grayscale(1); background: var(--ground) !important; }
* { visibility: hidden !important; }
[data-seen], table:has([data-seen]) { visibility: visible !important; }
"""
_STYLE = """sheet => {
  document.querySelectorAll("style.grey").forEach(each => each.remove());
  const style = document.createElement("style");
  style.className = "grey";
  style.textContent = sheet;
  document.head.append(style);
}"""
_PIXELS = """async source => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  return [...canvas.getImageData(0, 0, image.width, image.height).data];
}"""


class Grey:
    """A page without colour.  planted: a style sheet on top of the page's own."""

    def __init__(self, page: Any, reader: Any, planted: str = "") -> None:
        self._page, self._reader = page, reader
        page.evaluate(_STYLE, _GREY + planted)

    def shape(self, marks: Sequence[str], edge: bool = False) -> Shape:
        """What stands out of the first elements of these selectors, alone on the page.

        edge: of the square around the middle of their left edge, not of the one around their middle.
        """
        left, right, top, bottom = self._page.evaluate(_ALONE, list(marks))
        x, y = (left if edge else (left + right) / 2) - SIDE / 2, (top + bottom) / 2 - SIDE / 2
        clip = {"x": x, "y": y, "width": SIDE, "height": SIDE}
        png = self._page.screenshot(clip=clip)
        data = self._reader.evaluate(_PIXELS, "data:image/png;base64," + base64.b64encode(png).decode())
        assert data[0::4] == data[1::4] == data[2::4], "there is colour left"
        ground = self._page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        back = int(ground.removeprefix("rgb(").split(",")[0])
        return frozenset(k for k, level in enumerate(data[0::4]) if contrast(level, back) >= CONTRAST)


def contrast(one: int, other: int) -> float:
    """Of two levels of grey, 0 to 255, by WCAG's formula: 1 to 21."""
    light, dark = sorted(map(_luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(level: int) -> float:
    share = level / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def apart(one: Shape, other: Shape) -> float:
    """How different two shapes are: 0 the same, 1 nothing in common."""
    return 1 - len(one & other) / len(one | other) if one | other else 0.0
