"""The JSON Schema of a report, made from the types that it is read by; kept in `schema.json`.

`python -m paramscope.wire.schema` writes that file anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from paramscope.wire.records import VERSION, Report

SCHEMA_FILE = Path(__file__).with_name("schema.json")


def report_schema() -> dict[str, Any]:
    """The whole schema (draft 2020-12). Further keys are allowed everywhere: a later version may add some."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A paramscope report, version {VERSION}",
        **msgspec.json.schema(Report),
    }


def schema_text() -> str:
    """What `schema.json` holds."""
    return json.dumps(report_schema(), indent=1) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
