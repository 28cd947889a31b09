"""`paramscope graph`: the ending of the file tells the format, and every choice reaches the picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.boxes import Picture
from support.targets import run

LAYOUT = "paramscope.render.picture._layout"
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixtures are named from the root of the project."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("ending", "start"),
    [
        ("svg", b"<?xml"),
        ("png", b"\x89PNG"),
        ("pdf", b"%PDF"),
        ("dot", b"digraph"),
        ("gv", b"digraph"),
        ("mmd", b"flowchart"),
    ],
)
def test_endings(tmp_path: Path, ending: str, start: bytes) -> None:
    path = tmp_path / f"model.{ending}"
    assert run("graph", "fixtures/tying.py:tied", "-O", "fixtures/tying.py:adam", "-o", str(path)) == 0
    assert path.read_bytes().startswith(start)


def test_stdout_holds_dot_or_what_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("graph", "fixtures/tying.py:tied") == 0
    assert capsys.readouterr().out.startswith("digraph")
    assert run("graph", "fixtures/tying.py:tied", "-f", "mermaid") == 0
    assert capsys.readouterr().out.startswith("flowchart")


def test_choices_reach_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "model.svg"

    def titles(*options: str) -> str:
        assert run("graph", "fixtures/vit.py:build", "--meta", "-o", str(path), *options) == 0
        return " ".join(label.text for label in Picture(path.read_text(encoding="utf-8")).labels)

    assert "layers.[0-5]" in titles()
    assert "layers.3" in titles("--no-fold")
    assert "modules inside" in titles("--depth", "1")
    assert "only frozen: there is none" in titles("--only", "frozen")
    assert "mlp_head.1" not in titles("--around", "pos_embedding")


def test_a_saved_report_is_drawn_as_the_model(tmp_path: Path) -> None:
    saved, one, two = tmp_path / "r.json", tmp_path / "1.dot", tmp_path / "2.dot"
    assert run("inspect", "fixtures/tying.py:tied", "-o", str(saved)) == 0
    assert run("graph", "fixtures/tying.py:tied", "-o", str(one)) == 0
    assert run("graph", str(saved), "-o", str(two)) == 0
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-o", "model.gif"], "no graph is written to such a file"),
        (["-f", "table"], "a graph cannot be written as 'table'"),
        (["--only", "tied"], "Choose from ties, frozen, hidden, optimizer."),
        (["--depth", "-1"], "a depth cannot be -1"),
        (["--around", "heed.weight"], "Near it: head.weight"),
    ],
)
def test_what_cannot_be_drawn_is_told(capsys: pytest.CaptureFixture[str], options: list[str], told: str) -> None:
    assert run("graph", "fixtures/tying.py:tied", *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err


def test_without_graphviz_nothing_is_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{LAYOUT}.shutil.which", lambda name: None)
    monkeypatch.setattr(f"{LAYOUT}.importlib.util.find_spec", lambda name: None)
    assert run("graph", "no_such_file.py:build", "-o", str(tmp_path / "model.svg")) == 2
    assert "paramscope[svg]" in capsys.readouterr().err
