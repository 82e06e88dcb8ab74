"""What `pinhold audit` found as SARIF 2.1.0, which forges show beside the lines of a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from pinhold import __version__
from pinhold.audit.finding import KINDS, Finding, Kind
from pinhold.audit.values import way_words

_ROOT = "where pinhold audit was started; where that is inside of the sources, or beside them, their own root"
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def auditsarif(shown: Sequence[Finding], prefix: str = "") -> Iterator[str]:
    """The lines of the document.  prefix: the folder of the tree, as seen from where the forge counts paths."""
    names = list(KINDS)
    run = {
        "tool": {
            "driver": {"name": "pinhold", "version": __version__, "rules": [_rule(kind) for kind in KINDS.values()]}
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": _ROOT}}},
        "results": [_result(one, names.index(one.kind), prefix) for one in shown],
    }
    yield from json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1).splitlines()


def _rule(kind: Kind) -> dict[str, Any]:
    return {
        "id": kind.name,
        "shortDescription": {"text": kind.words},
        "defaultConfiguration": {"level": kind.severity},
    }


def _result(one: Finding, rule: int, prefix: str) -> dict[str, Any]:
    sentences = [one.says]
    if one.callers:
        sentences.append(f"passed by {'; '.join(way_words(way) for way in one.callers[:3])}")
    sentences += [*one.advice, *([f"pin_user_pages.rst: {one.case}"] if one.case else [])]
    path = f"{prefix}/{one.path}" if prefix else one.path
    return {
        "ruleId": one.kind,
        "ruleIndex": rule,
        "level": one.severity,
        "message": {"text": f"{one.function}(): {'. '.join(sentences)}."},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(path, errors="surrogateescape"), "uriBaseId": "SRCROOT"},
                    "region": {"startLine": one.line},
                }
            }
        ],
        "partialFingerprints": {"pinhold/v1": hashlib.sha256("\0".join(one.key).encode()).hexdigest()[:32]},
    }
