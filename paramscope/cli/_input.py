"""A word of a command line → the report that it saved, or that on the model that it stands for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from paramscope.cli._building import FLAGS
from paramscope.cli._waiting import waiting
from paramscope.config import Config, read_config
from paramscope.errors import TargetError
from paramscope.load.building import look, subject_of

if TYPE_CHECKING:
    from paramscope.load.building import Building
    from paramscope.report.face import Report


def project() -> Config:
    """What is declared where a command is run. Raises ConfigError."""
    return read_config(os.getcwd())


def load_report(word: str, building: Building) -> Report:
    """The report on a TARGET, or on a declared model: read, where it is a saved one, else built and audited."""
    subject = subject_of(word, building, project)
    if subject.declared is None:
        saved = saved_report(word, is_built=any(building), options=FLAGS)
        if saved is not None:
            return saved
    from paramscope.api import judge

    snapshot = look(subject, waiting=waiting)
    with waiting(f"auditing {subject.name}"):
        return judge(snapshot, target=subject.name)


def saved_report(target: str, *, is_built: bool, options: str) -> Report | None:
    """A saved report; None for a TARGET that is none. Raises TargetError where options say how to build it."""
    if not target.endswith(".json"):
        return None
    if is_built:
        raise TargetError(
            f"{target} is a saved report: nothing is built, so {options} do not apply",
            "Leave them out, or name the code: path/model.py:build.",
        )
    from paramscope.report.face import Report
    from paramscope.wire.reader import read_report_file

    with waiting(f"reading {target}"):
        return read_report_file(target, Report)
