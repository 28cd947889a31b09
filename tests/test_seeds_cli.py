"""Experiments of the source articles that end in an error: the command says what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.targets import run

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixtures are named from the root of the project."""
    monkeypatch.chdir(ROOT)


def test_learning_rate_is_called_lr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "fixtures/vit.py:build", "--meta", "-O", "fixtures/optimizers.py:learning_rate") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "unexpected keyword argument 'learning_rate'" in err
    assert err.endswith("help: Adam calls it lr: write return torch.optim.Adam(model.parameters(), lr=0.001)\n")


def test_a_bare_tensor_in_a_parameters_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", "fixtures/linear_shapes.py:bare_tensor") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "    lin.weight = torch.rand(5, 3)\n" in err
    assert err.endswith("wrap it in nn.Parameter, lin.weight = nn.Parameter(torch.rand(5, 3))\n")
