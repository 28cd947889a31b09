"""The fixtures of the rules: what each holds, and what is expected of it."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from torch import nn

from paramscope import Snapshot, capture

FOLDER = Path(__file__).parents[2] / "fixtures" / "rules"
_BLAME = re.compile(r"#.*?\bblame: ([\w, ]+)")


class Case(NamedTuple):
    """One builder of a fixture."""

    code: str
    builder: str
    build: Any
    expected: tuple[tuple[str, tuple[str, ...]], ...]
    """(severity, paths) of each finding."""
    lines: tuple[int, ...]
    """Lines of the fixture that are to blame; none where the fault is assigned from outside."""
    values: bool
    """Whether the rule is to look at values."""
    run: str | None
    """What is run of the model."""
    inputs: Any
    """What forward is given."""
    loss: Any
    """What makes a scalar of its output."""
    can_build: bool
    """Whether this torch has what the builder takes."""

    def snapshot(self) -> Snapshot:
        """What the rule sees."""
        built = self.build()
        model, optimizer = built if isinstance(built, tuple) else (built, None)
        if self.run is None:
            return capture(model, optimizer=optimizer, values=self.values)
        from paramscope.probe import snapshot_of_run

        return snapshot_of_run(model, optimizer, run=self.run, inputs=self.inputs, loss=self.loss)


def codes() -> list[str]:
    """Codes of the rules that have a fixture."""
    return sorted(path.stem.upper() for path in FOLDER.glob("ps*.py"))


def cases() -> Iterator[Case]:
    """Every builder of every fixture."""
    for code in codes():
        module = importlib.import_module(f"fixtures.rules.{code.lower()}")
        yield from _cases(code, module)


def _cases(code: str, module: ModuleType) -> Iterator[Case]:
    source = Path(str(module.__file__)).read_text(encoding="utf-8").splitlines()
    expected = module.EXPECTED
    for name, value in vars(module).items():
        if not re.fullmatch(r"(bad|good|near)(_\w+)?", name) or not callable(value) or isinstance(value, nn.Module):
            continue
        lines = tuple(
            number
            for number, line in enumerate(source, 1)
            if (match := _BLAME.search(line)) and name in re.split(r"[, ]+", match[1])
        )
        wanted = tuple((severity, tuple(paths)) for severity, paths in expected.get(name, ()))
        run, inputs, loss = (_of_builder(module, word, name) for word in ("RUN", "INPUTS", "LOSS"))
        can_build = getattr(module, "NEEDS", {}).get(name, True)
        values = getattr(module, "VALUES", False)
        yield Case(code, name, value, wanted, lines, values, run, inputs, loss, can_build)
    missing = set(expected) - set(vars(module))
    assert not missing, f"{code}: EXPECTED names {missing}, which the fixture does not hold"


def _of_builder(module: ModuleType, word: str, builder: str) -> Any:
    """What a fixture says for all of its builders, or, in a dict by their names, for some."""
    said = getattr(module, word, None)
    return said.get(builder) if isinstance(said, dict) else said
