"""A search of the explorer as one still image: new states by depth, and below it the run that shows what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pinhold.pictures.chartstill import chart_still
from pinhold.pictures.depths import depths
from pinhold.pictures.searched import levels, title
from pinhold.pictures.still import still, tag
from pinhold.pictures.story import story
from pinhold.scenario.runfile import RunFile


def search_still(file: RunFile) -> str:
    """All searches of the file, one below the other."""
    images = []
    for search in file.searches:
        images.append(chart_still(depths(title(search), [levels(search)])))
        runs = [story(run) for run in file.runs if search.run and run.name == search.run]
        images += [still(runs, search.run)] if runs else []
    return _stacked(images)


def _stacked(images: Sequence[str]) -> str:
    """One below the other; what each is called keeps its own number."""
    width = height = 0
    parts = []
    for number, image in enumerate(images):
        size = re.search(r'width="(\d+)" height="(\d+)"', image)
        assert size is not None
        named = re.sub(r'(id|aria-labelledby)="t( d)?"', rf'\1="t{number}"', image).replace('id="d"', f'id="d{number}"')
        parts.append(named.replace("<svg ", f'<svg y="{height}" ', 1))
        width, height = max(width, int(size[1])), height + int(size[2])
    ground = tag("rect", fill="#ffffff", width=width, height=height)
    frame = {"width": width, "height": height, "viewBox": f"0 0 {width} {height}"}
    return tag("svg", ground + "".join(parts), xmlns="http://www.w3.org/2000/svg", **frame) + "\n"
