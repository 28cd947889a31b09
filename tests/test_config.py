"""pyproject.toml: what may be declared, where it is looked for, and what is said of what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paramscope.config import Config, ConfigError, DeclaredIgnore, Source, read_config, to_config
from paramscope.report.finding import Severity

FULL = """
[project]
name = "mine"

[tool.paramscope]
select = ["PS1", "PS501"]
fail-on = "error"
severity = { PS104 = "error", PS101 = "info" }
ignore = [
    { code = "PS104", path = "encoder.*", reason = "filled by the data loader" },
    { code = "PS1", path = ["a", "b"], target = "net.py:*", file = ["third_party/*"], reason = " theirs " },
]
"""


def test_everything_that_may_be_declared(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(FULL)
    first = DeclaredIgnore("PS104", "filled by the data loader", ("encoder.*",), origin="pyproject.toml: ignore[0]")
    second = DeclaredIgnore(
        "PS1", "theirs", ("a", "b"), ("net.py:*",), ("third_party/*",), origin="pyproject.toml: ignore[1]"
    )
    severity = (("PS104", Severity.ERROR), ("PS101", Severity.INFO))
    found = read_config(tmp_path)
    assert found == Config(("PS1", "PS501"), (first, second), severity, "error", (), found.at)
    assert str(found.at) == "pyproject.toml:5:7"


def test_the_nearest_file_that_has_the_table_is_read(tmp_path: Path) -> None:
    inner = tmp_path / "packages" / "one"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[tool.paramscope]\nselect = ["PS1"]\n')
    (inner.parent / "pyproject.toml").write_text('[project]\nname = "other"\n')
    found = read_config(inner)
    assert found.select == ("PS1",)
    assert found.at.source.file == str(tmp_path / "pyproject.toml")
    assert found.at.source.folder == tmp_path
    (inner / "pyproject.toml").write_text("[tool.paramscope]\n")
    found = read_config(inner)
    assert found == Config(at=found.at)
    assert found.at.source.file == "pyproject.toml"


def test_nothing_declared_is_nothing(tmp_path: Path) -> None:
    assert read_config(tmp_path).ignore == ()


WRONG = [
    ('selekt = ["PS1"]', "[tool.paramscope] has an unknown key 'selekt'", "Did you mean select?"),
    ("fail_on = 'error'", "has an unknown key 'fail_on'", "Did you mean fail-on?"),
    ("zzz = 1", "has an unknown key 'zzz'", "Choose from select, ignore, severity, fail-on, models."),
    ("fail-on = 'errors'", "fail-on cannot be 'errors'", "Did you mean error?"),
    ("fail-on = 3", "fail-on cannot be 3", "Choose from error, warning, info, never."),
    ("select = 3", "select is neither a string nor a list of strings", 'Write select = ["…"]'),
    ("select = ['']", "select is neither a string nor a list of strings", 'Write select = ["…"]'),
    ("ignore = 'PS104'", "ignore is not a list", "reason ="),
    ("ignore = ['PS104']", "ignore[0] is 'PS104': an ignore has to say why", "reason ="),
    ("ignore = [3]", "ignore[0]: an ignore has to say why", "reason ="),
    ("ignore = [{code = 'PS104'}]", "ignore[0]: the ignore of PS104 has no reason", "Say why this is right"),
    ("ignore = [{code = 'PS104', reason = ' '}]", "ignore[0]: the ignore of PS104 has no reason", "Say why"),
    ("ignore = [{reason = 'x'}]", "ignore[0] names no code", "code ="),
    ("ignore = [{code = 'PS104', reson = 'x'}]", "ignore[0] has an unknown key 'reson'", "Did you mean reason?"),
    ("ignore = [{code = 'PS104', reason = 'x', path = 3}]", "ignore[0].path is neither", 'Write path = ["…"]'),
    ("severity = 'error'", "severity is not a table", 'severity = { PS104 = "error" }'),
    ("severity = {PS104 = 'eror'}", "severity.PS104 cannot be 'eror'", "Did you mean error?"),
    ("severity = {PS104 = 'off'}", "severity.PS104 cannot be 'off'", "Choose from error, warning, info."),
]


@pytest.mark.parametrize(("line", "problem", "advice"), WRONG, ids=[line for line, _, _ in WRONG])
def test_what_cannot_be(tmp_path: Path, line: str, problem: str, advice: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.paramscope]\n{line}\n")
    with pytest.raises(ConfigError) as error:
        read_config(tmp_path)
    assert error.value.exit_code == 2
    assert error.value.problem.startswith("pyproject.toml:2:")
    assert problem in error.value.problem
    assert advice in error.value.advice


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[tool.paramscope\n", "is not TOML: "),
        (b"\xff\xfe[tool.paramscope]\n", "is not TOML: not UTF-8 at byte 0"),
        (b"a = " + b"[" * 50_000, "is not TOML: "),
        (b"tool = 3\n[tool.paramscope]\n", "is not TOML: "),
        (b"#" * (1 << 23), "is larger than"),
    ],
)
def test_what_is_no_toml(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"pyproject\.toml") as error:
        read_config(tmp_path)
    assert told in error.value.problem
    assert error.value.advice


def test_a_tool_that_is_no_table_declares_nothing(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 3\n")
    assert read_config(tmp_path) == Config()
    (tmp_path / "pyproject.toml").write_text("[tool]\nparamscope = 3\n")
    with pytest.raises(ConfigError, match="is not a table"):
        read_config(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["select", "ignore", "severity", "fail-on", "code", "reason", "path"]), inner
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_stands_there_is_read_or_refused_with_advice(table: object) -> None:
    refused: ConfigError | None = None
    found = Config()
    try:
        found = to_config(table, Source("pyproject.toml"))
    except ConfigError as error:
        refused = error
    assert refused is None or refused.advice
    assert all(ignore.reason and ignore.code for ignore in found.ignore)
