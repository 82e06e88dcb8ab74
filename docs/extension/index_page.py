"""The README as a package index shows it: a link to a file of the project is the file's name, as nothing is there to
follow.  Hatchling runs this when it builds the package."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!\w+:)[^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)]*)\)")


def index_page(text: str) -> str:
    """A picture of the project's is what its words say of it; a link is its text, and the file's name."""
    text = _PICTURE.sub(lambda match: f"*The picture: {match[1]}*", text)
    return _LINK.sub(lambda match: match[1] if match[1] == match[2] else f"{match[1]} (`{match[2]}`)", text)


class Readme(MetadataHookInterface):
    """The description of the package."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": index_page(text)}
