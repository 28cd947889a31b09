"""The JSON Schema of a report, made from the table of fields; kept in `schema.json`.

`python -m paramscope.wire.schema` writes that file anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from paramscope.wire import FORMAT, VERSION
from paramscope.wire.fields import LISTS, TOTALS, VALUE, schema_of

SCHEMA_FILE = Path(__file__).with_name("schema.json")


def report_schema() -> dict[str, Any]:
    """The whole schema (draft 2020-12). Further keys are allowed everywhere: a later version may add some."""
    producer = {
        "type": "object",
        "required": ["paramscope", "torch"],
        "properties": {"paramscope": {"type": "string"}, "torch": {"type": "string"}},
    }
    model = {
        "type": "object",
        "required": ["type", "training", "roots"],
        "properties": {
            "type": {"type": "string"},
            "training": {"type": ["boolean", "null"]},
            "roots": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
    }
    properties: dict[str, Any] = {
        "format": {"const": FORMAT},
        "version": {"const": VERSION},
        "producer": producer,
        "target": {"type": ["string", "null"]},
        "model": model,
        "values": {"type": ["array", "null"], "items": schema_of(VALUE)},
        "totals": schema_of(TOTALS),
    }
    for key, table in LISTS.items():
        properties[key] = {"type": "array", "items": schema_of(table)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A paramscope report, version 1",
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


def schema_text() -> str:
    """What `schema.json` holds."""
    return json.dumps(report_schema(), indent=1) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
