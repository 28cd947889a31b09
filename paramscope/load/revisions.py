"""TARGET at a git revision → its report, built in a process of its own from a temporary worktree."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from paramscope.errors import TargetError
from paramscope.report.face import Report
from paramscope.report.finding import Finding, Location
from paramscope.wire.reader import read_report_file


def report_at(revision: str | None, target: str, options: Sequence[str]) -> Report:
    """The report on a TARGET as a revision has it; as the working tree has it for None. options: of `paramscope
    inspect`, that say how to build it.

    Raises TargetError where there is no git, no such revision, or the target cannot be built there.
    """
    with tempfile.TemporaryDirectory(prefix="paramscope-") as folder:
        file = os.path.join(folder, "report.json")
        if revision is None:
            return _built(target, options, Path.cwd(), {}, file, "the working tree")
        top = Path(_git("rev-parse", "--show-toplevel"))
        commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        tree = os.path.join(folder, "tree")
        # Hooks prepare a tree that people work in, and say what they like.
        _git("-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--quiet", "--detach", tree, commit)
        try:
            here = Path(tree) / Path.cwd().resolve().relative_to(top.resolve())
            if not here.is_dir():
                raise TargetError(f"{revision} has no folder {os.path.relpath(here, tree)}", "Go to one that it has.")
            asked, *others = (_from_here(each, top.resolve()) for each in (target, *options))
            report = _built(asked, others, here, _surroundings(top, Path(tree)), file, revision)
            return report.having(findings=tuple(_at_home(each, tree, str(top)) for each in report.findings))
        finally:
            _git("worktree", "remove", "--force", tree)


def _git(*arguments: str) -> str:
    """What git answers. Raises TargetError with what it complains of."""
    # In a hook it is the index of the commit that is being made, and a checkout would write over it.
    environment = {name: value for name, value in os.environ.items() if name != "GIT_INDEX_FILE"}
    try:
        done = subprocess.run(["git", *arguments], env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise TargetError("there is no git to ask for revisions", "Install it, or compare saved reports.") from None
    if done.returncode:
        asked = arguments[-1].removesuffix("^{commit}")
        said = done.stderr.strip().removeprefix("fatal: ") or f"there is no revision {asked!r}"
        raise TargetError(said, "Name two revisions, or one: paramscope diff HEAD~1 HEAD -- model.py:build")
    return done.stdout.strip()


def _from_here(target: str, top: Path) -> str:
    """A target that a revision has too, where a whole path names one of the working tree. Raises TargetError."""
    place, colon, attribute = target.rpartition(":")
    file = Path(place)
    if not file.is_absolute():
        return target
    folder = file.parent.resolve()
    if not folder.is_relative_to(top):
        raise TargetError(f"{place} does not lie in {top}", "Name what its revisions hold.")
    return f"{os.path.relpath(folder / file.name, Path.cwd().resolve())}{colon}{attribute}"


def _at_home(finding: Finding, tree: str, top: str) -> Finding:
    """A finding at the file of the working tree: that of the worktree is gone when somebody reads of it."""
    location, start = finding.location, os.path.join(os.path.realpath(tree), "")
    if location is None or not os.path.realpath(location.path).startswith(start):
        return finding
    home = os.path.join(top, os.path.realpath(location.path)[len(start) :])
    return finding._replace(location=Location(home, location.line))


def _surroundings(top: Path, tree: Path) -> dict[str, str]:
    """An environment in which what is imported from the repository is imported from the worktree."""
    within = [Path(each).resolve() for each in sys.path[1:] if each]
    moved = [tree / each.relative_to(top.resolve()) for each in within if each.is_relative_to(top.resolve())]
    known = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    return {"PYTHONPATH": os.pathsep.join([*map(str, moved), *known])}


def _built(
    target: str, options: Sequence[str], folder: Path, surroundings: dict[str, str], file: str, revision: str
) -> Report:
    command = [sys.executable, "-m", "paramscope", "inspect", target, *options, "-f", "json", "-o", file]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **surroundings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise TargetError(f"{target} cannot be built at {revision}", detail=done.stdout.strip())
    return read_report_file(file, Report).having(target=f"{target} at {revision}")
