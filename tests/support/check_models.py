"""A folder of models with known faults, for whoever checks them at the command line."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from paramscope.load import importing

MODELS = """
    import torch
    from torch import nn

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [
                nn.Linear(4, 4),  # INLINE
            ]

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(4, 4)
            self.mask = torch.ones(4, 4)  # PLAIN

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = Hidden()
            self.plain = Plain()

    def hidden():
        return Hidden()

    def plain():
        return Plain()

    def both():
        return Both()

    def clean():
        return nn.Linear(4, 4)

    def sized(dim):
        return nn.ModuleList(Hidden() for _ in range(dim))

    def adam(model):
        return torch.optim.Adam(model.parameters())
"""
"""`hidden` has one error (PS101), `plain` one warning (PS104), `both` both of them, `clean` nothing."""


def write_models(folder: Path, *, inline: str = "", plain: str = "") -> Path:
    """The models with these comments in place."""
    path = folder / "models.py"
    source = textwrap.dedent(MODELS).lstrip()
    for mark, comment in (("# INLINE", inline), ("# PLAIN", plain)):
        source = source.replace(f"  {mark}", f"  {comment}" if comment else "")
    path.write_text(source, encoding="utf-8")
    return path


def line_of(folder: Path, text: str) -> int:
    """The first line of the models that holds a text."""
    lines = (folder / "models.py").read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def forget_imports() -> None:
    """The next command imports its targets anew, as one in a process of its own does."""
    importing._loaded.clear()


@pytest.fixture
def model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the models in it."""
    write_models(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path
