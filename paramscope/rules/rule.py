"""What a rule is and what it yields: metadata beside the check, problems, and what it could not decide."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from paramscope.report.finding import Severity

if TYPE_CHECKING:
    from paramscope.source.causes import Cause
    from paramscope.source.finder import Assignment

Need = Literal["optimizer", "values", "run", "backward", "step", "loop", "ranks"]
"""`run` is one of any kind; `backward` one that went so far, as `step` did, too. What needs a `loop` judges no
snapshot but the steps of one, while `watch` looks on. `ranks` were asked together."""


class Rule(NamedTuple):
    """One rule. A file of the rule folders holds it as `RULE`, and beside it `check(facts)`; the file's docstring is
    the rule's documentation."""

    code: str
    """`PS101`: it never changes its meaning."""
    name: str
    """`module-in-container`."""
    severity: Severity
    """What a problem is unless it says otherwise."""
    needs: Need | None = None
    """What it needs besides the model."""
    yields_to: tuple[str, ...] = ()
    """Codes of rules that name the cause better: a problem whose first place is among the places of one of theirs is
    not reported by this rule."""
    yields_from: Severity | None = None
    """The lowest severity of theirs that it yields to; None for any."""


class Blame(NamedTuple):
    """A line to blame that is not the assignment of a slot or a module, or why there is none."""

    kind: Literal["optimizer", "attribute", "replaced", "line", "none"]
    name: str
    """`optimizer`: the line that builds the optimizer of this name. `attribute`: the line, wherever it is, that
    assigns an attribute of this name to what is at `path`. `replaced`: the line that put something new at `path`, or,
    if that is unknown, the one that builds the optimizer of this name too early. `line`: that of `at`. `none`: the
    reason why no line is known."""
    path: str = ""
    at: Assignment | None = None

    @classmethod
    def line(cls, at: Assignment) -> Blame:
        """A line that the rule itself has found."""
        return cls("line", "", "", at)

    @classmethod
    def optimizer(cls, name: str) -> Blame:
        """The line that builds an optimizer."""
        return cls("optimizer", name)

    @classmethod
    def replaced(cls, path: str, name: str) -> Blame:
        """The line that replaced a slot after an optimizer was built, or the one that builds the optimizer."""
        return cls("replaced", name, path)

    @classmethod
    def none(cls, reason: str) -> Blame:
        """No line, though one is to blame."""
        return cls("none", reason)

    @classmethod
    def attribute(cls, path: str, name: str) -> Blame:
        """The line that assigns an attribute, such as `require_grad`, to a module or a Parameter."""
        return cls("attribute", name, path)


class Problem(NamedTuple):
    """Something that a rule found, before similar problems become one finding."""

    paths: tuple[str, ...]
    """Every place involved; the first is the one it is about."""
    message: str
    """What PyTorch will do, and why that differs from what was meant: one or two sentences. `{0}` stands for the
    first path, `{1}` for the second; of problems that become one finding, for all of theirs, folded. `{0|is|are}`
    stands for one word or the other, as `{0}` is one path or several."""
    help: str
    """The line to write instead, with the user's own names in it; placeholders as in `message`."""
    severity: Severity | None = None
    """If it differs from the rule's own."""
    blame: str | Blame | None = ""
    """Path of what was assigned on the line to blame; empty for the first of `paths`, None where no one line is to
    blame. Or another kind of line: that of an optimizer, say."""
    alike: Hashable = None
    """What makes problems of equal message, help and severity one finding; where it is None, they are one if their
    first paths are of one attribute of modules of one class."""
    is_apart: bool = False
    """Whether its places form one thing, such as one memory. When such problems become one finding, the first is
    described, with its own help, and then the others for which the same holds, one by one: their paths are never
    joined into one list, and `help` may differ."""
    cause: Cause = "any"
    """What the assignment to blame must be able to produce: other assignments to the same name are not blamed."""


class Undecided(NamedTuple):
    """What a rule yields when it cannot decide: the report lists it as skipped, with the reason."""

    reason: str


Check = Callable[[Any], Iterator[Problem | Undecided]]
"""Is given the `Facts` of a snapshot; where a rule needs a loop, a `Step` of it."""


class Loaded(NamedTuple):
    """A rule with its check and its documentation."""

    rule: Rule
    check: Check
    doc: str
    """The docstring of its file."""
    origin: str
    """The package that it comes from: `paramscope`, or that of a plugin."""
