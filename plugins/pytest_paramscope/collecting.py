"""`pytest --paramscope`: a test for each model that a pyproject.toml declares, `pyproject.toml::gpt2`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from paramscope.config import MODEL_EXAMPLE, Config, DeclaredModel, read_config
from paramscope.errors import ParamscopeError

OPTION = "--paramscope"
_CONFIG = pytest.StashKey[Config]()


def declared_in(config: pytest.Config) -> Config:
    """What is declared for pytest's root, read once a process. Raises UsageError."""
    if _CONFIG not in config.stash:
        try:
            config.stash[_CONFIG] = read_config(config.rootpath)
        except ParamscopeError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[_CONFIG]


def ask_for_models(config: pytest.Config) -> None:
    """Adds the file that declares models to what is collected, unless that has it already. Raises UsageError where
    there is none."""
    found = declared_in(config)
    if not found.models:
        raise pytest.UsageError(f"{OPTION}: there is no model\nDeclare one in pyproject.toml: {MODEL_EXAMPLE}")
    file = _file_of(found)
    if not any(file == each or file.is_relative_to(each) for each in _paths(config)):
        config.args.append(str(file))


def _file_of(config: Config) -> Path:
    return config.at.source.folder / "pyproject.toml"


def _paths(config: pytest.Config) -> Iterable[Path]:
    """The files and folders that are collected."""
    for each in config.args:
        yield Path(os.path.abspath(config.invocation_params.dir / each.partition("::")[0]))


def models_of(file: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """What collects the models of a pyproject.toml; None for one that declares none for pytest's root."""
    found = declared_in(parent.config)
    if not found.models or file != _file_of(found):
        return None
    # Of a file above its root pytest would make no name.
    name = os.path.relpath(file, parent.config.rootpath).replace(os.sep, "/")
    return Models.from_parent(parent, path=file, nodeid=name)


class Models(pytest.File):
    """A pyproject.toml."""

    def collect(self) -> Iterator[pytest.Item]:
        for model in declared_in(self.config).models:
            yield ModelTest.from_parent(self, name=model.name, model=model)


class ModelTest(pytest.Item):
    """One model, which is built, judged, and held to what is declared of it."""

    def __init__(self, *, model: DeclaredModel, **others: object) -> None:
        super().__init__(**others)  # type: ignore[arg-type]
        self.model = model

    def runtest(self) -> None:
        """Fails where it is not as declared, and for findings at or above the severity that fails a check."""
        from pytest_paramscope.models import failure

        if found := failure(self.model, declared_in(self.config)):
            pytest.fail(found, pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is declared, and what heads a failure, in which pytest would take dots for steps of its own."""
        line = self.model.at.line
        return self.path, line and line - 1, f"model {self.name}"
