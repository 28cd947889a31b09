"""Every way in which paramscope refuses: each error says what is wrong and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable


class ParamscopeError(Exception):
    """Something the user can fix: `problem` says what is wrong, `advice` what to write instead.

    `exit_code` is what the command line ends with. `detail`, where there is one, is text to show
    between the two, such as the traceback of the user's own code.
    """

    exit_code = 2

    def __init__(self, problem: str, advice: str = "", *, detail: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments do not survive the default pickling of exceptions (xdist sends them).
        return _rebuild, (type(self), self.problem, self.advice, self.detail)

    def __str__(self) -> str:
        parts = [self.problem, self.detail.rstrip(), self.advice]
        return "\n".join(part for part in parts if part)


def _rebuild(kind: type[ParamscopeError], problem: str, advice: str, detail: str) -> ParamscopeError:
    return kind(problem, advice, detail=detail)


class NotAModule(ParamscopeError, TypeError):
    """What was passed is not a `torch.nn.Module` (or a dict of them)."""


class NameClash(ParamscopeError, ValueError):
    """Two roots whose names make the paths below them ambiguous."""


class NotAnOptimizer(ParamscopeError, TypeError):
    """What was passed as an optimizer has no param groups."""


class RunError(ParamscopeError, RuntimeError):
    """A model cannot be run as was asked: what forward is given does not fit, the loss is no scalar, its own code
    raises."""


class RanksError(ParamscopeError, RuntimeError):
    """Ranks cannot be asked together: there is no group of them, one does not come, or the audit of one failed."""


class MissingLibrary(ParamscopeError, ImportError):
    """A library that was asked for, and that comes with no installation of this package, is not there."""


class TargetError(ParamscopeError):
    """A TARGET of the command line cannot be found, imported or built."""


class ReportError(ParamscopeError, ValueError):
    """A saved report is damaged, foreign, from a newer version, or hostile."""


class FormatError(ParamscopeError, ValueError):
    """A format that does not exist, or an option that it does not take."""


class GlobError(ParamscopeError, ValueError):
    """A path glob that is empty or matches nothing."""


class MeshError(ParamscopeError, ValueError):
    """A mesh of ranks that cannot be, or a model that cannot be planned for one."""


class PathError(ParamscopeError, KeyError):
    """A path at which there is nothing."""


class FindingsError(ParamscopeError, AssertionError):
    """A report has findings that it should not have: `Report.raise_for_findings`."""

    exit_code = 1


class WatchError(ParamscopeError, RuntimeError):
    """A watch was asked for what it cannot tell any more: it was closed, or its model is gone."""


class FindingsWarning(UserWarning):
    """What a watch found in a training loop, said once."""


class OutputError(ParamscopeError):
    """The result cannot be written to the requested place."""


def nearest(word: str, known: Iterable[str], *, n: int = 1, cutoff: float = 0.6) -> list[str]:
    """Words that a mistyped one may have meant: those that begin with it, shortest first, before those that
    `difflib.get_close_matches`, which is imported only where something is mistyped, takes for the nearest."""
    from difflib import get_close_matches

    words = list(known)
    begun = sorted((each for each in words if word and each.startswith(word)), key=len)
    return list(dict.fromkeys([*begun, *get_close_matches(word, words, n=n, cutoff=cutoff)]))[:n]
