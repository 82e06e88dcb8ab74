"""What is pinned as one JSON document: the records of inspect/records.py, by their names there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from pinhold import __version__
from pinhold.inspect.records import Told

SCHEMA = 1


def pinsjson(told: Told) -> Iterator[str]:
    """The lines of the document."""
    yield json.dumps({"schema": SCHEMA, "pinhold": __version__, **asdict(told)}, indent=1)
