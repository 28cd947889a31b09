"""Where the keys of a TOML file stand: every key that tomllib finds, at a place that spells it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramscope.config.toml_keys import Keys, key_places

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCUMENTS = [
    "",
    "# [no.table]\nkey = 1 # [nor.this]",
    'a.b = 1\n"a b"."c.d" = 2\n\'e"\' = { f = [1, { g = 2 }, [ ] ], "h]" = "]" }\r\n[t]\r\nx = 1\r\n',
    '[a]\ntext = """\n[no]\nx = 1 \\""" "" """""\nafter = 1\nraw = \'\'\'\n[no]\n\\\'\'\'\'\nlast = 2\n',
    "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[[a.e]]\nf = 4\n[[a.e]]\n",
    'many = [ # one ]\n  "x", # two\n  """]""",\n  { a = 1 },\n]\ndate = 1979-05-27 07:32:00 # 3\nf = -1e5\nt = [true, false]',
    '[ tool . "paramscope" .models."gpt2 \\u00fc\\t" ]\ntarget="a"\n  indented = \'b\'',
    'ü = "x"'.replace("ü", '"ü"') + "\nempty = ''\nno = \"\"\nother = 3",
]


def paths(value: Any, keys: Keys = ()) -> Iterator[Keys]:
    """The way to every value of a parsed file."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*keys, key)
        yield from paths(member, (*keys, key))


def assert_every_key_is_found(text: str) -> None:
    found = key_places(text)
    assert found.keys() == set(paths(tomllib.loads(text)))
    lines = text.split("\n")
    for keys, (line, column) in found.items():
        rest, key = lines[line - 1][column - 1 :], keys[-1]
        if isinstance(key, str) and rest[0] not in "\"'":
            assert rest.startswith(key)
        elif isinstance(key, str):
            spelt = tomllib.loads(f"x = {rest[: rest.index(rest[0], 1) + 1]}")["x"] if "\\" not in rest else key
            assert spelt == key


@pytest.mark.parametrize("text", DOCUMENTS)
def test_every_key_of_a_file_is_found_where_it_stands(text: str) -> None:
    assert_every_key_is_found(text)


def test_a_place_is_a_line_and_a_column_from_1() -> None:
    found = key_places('[tool.x]\n  a.b = 1\nlist = [\n  { code = 1 },\n  { "é" = 2, code = 3 },\n]\n')
    assert found["tool", "x"] == (1, 7)
    assert found["tool", "x", "a", "b"] == (2, 5)
    assert found["tool", "x", "list", 1] == (5, 3)
    assert found["tool", "x", "list", 1, "code"] == (5, 14)


KEYS = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", '"\\u00fc]"', "1", '"[h]"'])
STRINGS = st.sampled_from(
    [
        '"x"',
        '""',
        "''",
        "'\\'",
        '"\\""',
        '"""\n[t]\nk = 1"""',
        "'''\n\"\"\"'''",
        '"""a""""',
        "'''''b'''",
        '"#"',
        '"]},"',
    ]
)
SCALARS = STRINGS | st.sampled_from(
    ["1", "-1.5e3", "true", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00", "0xff", "inf"]
)


def inline(pairs: list[tuple[str, str]]) -> str:
    return "{ " + ", ".join(f"{key} = {value}" for key, value in dict(pairs).items()) + " }"


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: "[ # ]\n" + ", # }\n".join(each) + "\n]")
        | st.lists(st.tuples(KEYS, inner), max_size=3).map(inline)
    ),
    max_leaves=6,
)
PAIRS = st.dictionaries(KEYS, VALUES, max_size=3).map(
    lambda each: "".join(f"{key} = {value} # k = 1\n" for key, value in each.items())
)
TABLES = st.lists(st.tuples(st.sampled_from(["[x.%d]", "[[y]]", "[[y.z]]", '[ "w" . "%d" ]']), PAIRS), max_size=5)


@given(PAIRS, TABLES)
def test_whatever_is_written_is_found(first: str, tables: list[tuple[str, str]]) -> None:
    text = first + "".join(
        f"{header.replace('%d', str(number))}\n{pairs}" for number, (header, pairs) in enumerate(tables)
    )
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # a table that is there already
        return
    assert_every_key_is_found(text)
