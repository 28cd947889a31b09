"""The watch over a training loop: marks, whose differences make its timeline, and steps, which rules judge."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, get_args
from weakref import ref

import torch

from paramscope import text
from paramscope.capture import named_roots, without_modes
from paramscope.capture.handed import handed_over
from paramscope.collector import paused_collector
from paramscope.errors import FindingsError, FindingsWarning, FormatError, NotAnOptimizer, WatchError
from paramscope.loop.changes import UNHEARD, changes
from paramscope.loop.hooks import Hooks
from paramscope.loop.lanes import MOVING, Stood, drawn
from paramscope.loop.look import Held, look
from paramscope.loop.reducers import Reducers
from paramscope.loop.steps import Stepping
from paramscope.loop.timeline import Moment, Timeline, folded
from paramscope.render.terminal._finding_lines import lines_of
from paramscope.render.terminal._layout import Screen
from paramscope.report.finding import Finding, OnFinding, Severity
from paramscope.rules.findings import to_findings
from paramscope.rules.loop.seen import Step
from paramscope.rules.naming import literal
from paramscope.rules.rule import Loaded, Problem

if TYPE_CHECKING:
    from paramscope.report.face import Report

_COLUMNS = 100
"""Of findings as text."""
_OURS = __name__.partition(".")[0]


class Watch:
    """What `paramscope.watch` returns.

    It keeps neither the model nor the optimizers alive. Optimizers whose steps are watched keep it alive.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        *,
        steps: bool,
        on_finding: OnFinding,
        fail_on: Severity | str,
        rules: Iterable[Loaded],
        audit: Callable[..., Report],
    ) -> None:
        """rules: of them, those of loops are held against the steps. audit: makes the report of a model and its
        optimizers.

        Raises NotAModule, NotAnOptimizer, and ValueError for another `on_finding` or `fail_on`.
        """
        if on_finding not in get_args(OnFinding):
            raise ValueError(f"on_finding={on_finding!r}: write one of {', '.join(get_args(OnFinding))}")
        roots, handed = named_roots(model), handed_over(optimizer)
        if steps and not handed:
            raise NotAnOptimizer(
                "there are no steps to watch without an optimizer", "watch(model, optimizer, steps=True)"
            )
        self._roots = [(path, ref(root)) for path, root in roots]
        self._held = [Held(each) for each in handed]
        self._on_finding = on_finding
        self._least = Severity(fail_on)
        self._audit = audit
        self._is_closed = False
        self._findings: list[Finding] = []
        self._found_at: list[int] = []
        """Of each finding the number of its step."""
        self._said: set[tuple[str, str]] = set()
        self._moments: list[Moment] = []
        start, live = look(roots, self._held)
        self._last = start
        self._stood = [Stood.of(start)]
        """At the start and at each mark; the same record where nothing moved."""
        self._frozen = {
            path for path, is_trainable in zip(start.slots, start.is_trainable, strict=True) if not is_trainable
        }
        """Slots that were so in every step."""
        self._unheard: dict[str, str] = {}
        """Slots that were thawed and that no optimizer has taken up, by the mark at which that was seen."""
        self._rules = [loaded for loaded in rules if loaded.rule.needs == "loop"] if steps else []
        self._reducers = Reducers(roots if steps else (), start, live)
        self._steppings: list[Stepping] = []
        self._hooks: list[Hooks] = []
        for held in self._held if steps else ():
            words = f" of optimizer {literal(held.name)}" if len(self._held) > 1 else ""
            stepping = Stepping(held, start, words)
            self._hooks.append(Hooks(held, partial(self._begin, stepping), partial(self._end, stepping)))
            self._steppings.append(stepping)

    def mark(self, label: object) -> Moment:
        """Records what changed since the last mark, or since the watch began. No tensor is read or copied.

        Raises WatchError where the watch is closed, or its model gone.
        """
        if self._is_closed:
            raise WatchError("this watch is closed", "Mark before close(), or before the end of the `with` block.")
        with paused_collector(), torch._C.DisableTorchFunction():
            before, after = self._last, look(self._model(), self._held, self._last)[0]
            changed = changes(before, after)
        self._last = after
        for change in changed:
            if change.kind == "thawed" and change.facts == UNHEARD:
                self._unheard |= dict.fromkeys(change.paths, str(label))
        if self._unheard:
            waiting = zip(after.slots, after.is_trainable, after.places, strict=True)
            still = {path for path, is_trainable, places in waiting if is_trainable and not places}
            self._unheard = {path: since for path, since in self._unheard.items() if path in still}
        steps = tuple((stepping.held.name, stepping.number) for stepping in self._steppings)
        found = Moment(str(label), steps, changed, tuple(self._lost()), (before.slots, after.slots))
        self._moments.append(found)
        self._stood.append(self._stood[-1] if MOVING.isdisjoint(each.kind for each in changed) else Stood.of(after))
        return found

    @property
    def timeline(self) -> Timeline:
        """What each mark recorded."""
        return Timeline(self._moments)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found in the steps so far, in this order."""
        return tuple(self._findings)

    @property
    def report(self) -> Report:
        """A report on the model as it is now, with the findings of the watch among its own.

        Raises WatchError where the model is gone.
        """
        roots = self._model()
        model = roots[0][1] if [path for path, _ in roots] == [""] else dict(roots)
        optimizers = {held.name: held.holder for held in self._held if held.holder is not None}
        report = self._audit(model, optimizer=optimizers or None)
        found = sorted((*self._findings, *report.findings), key=lambda each: -each.severity.rank)
        return report.having(findings=tuple(found))

    def close(self) -> None:
        """Detaches from the optimizers and the model. What was recorded stays."""
        self._is_closed = True
        # torch.utils.swap_tensors refuses what is referred to, also weakly.
        self._last = self._last._replace(identities=[])
        for hooks, stepping in zip(self._hooks, self._steppings, strict=True):
            hooks.close()
            stepping.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        parts = [self._steps_seen(), str(self.timeline), *self._unheard_lines()]
        screen = Screen(_COLUMNS, color=False)
        parts += ["\n".join(lines_of(each, screen)) for each in self._findings]
        if not self._findings and any(stepping.number for stepping in self._steppings):
            parts.append("no findings")
        return "\n".join(part for part in parts if part) or "no marks yet"

    def render(self, format: str) -> str:
        """What was seen so far as `text`, which is `str(watch)`, or as `svg`: a lane for slots that fared alike, when
        they were trained and when not, marks and findings.

        Raises FormatError for another format.
        """
        if format == "text":
            return str(self)
        if format != "svg":
            raise FormatError(f"a watch has no format {format!r}", "Formats: text, svg.")
        steps = max((stepping.number for stepping in self._steppings), default=0)
        return drawn(self._stood, self._moments, list(zip(self._found_at, self._findings, strict=True)), steps)

    def _repr_html_(self) -> str:
        return self.render("svg")

    def __repr__(self) -> str:
        return f"<Watch of {len(self._moments)} marks, {len(self._findings)} findings>"

    def _model(self) -> list[tuple[str, Any]]:
        roots = [(path, root()) for path, root in self._roots]
        if any(root is None for _, root in roots):
            raise WatchError("the watched model is gone", "Keep a reference to it for as long as it is watched.")
        return roots

    def _begin(self, stepping: Stepping) -> bool:
        """Before a step; whether there is anything to look at after it."""
        roots = [(path, root()) for path, root in self._roots]
        if any(root is None for _, root in roots):
            return False
        with paused_collector(), torch.no_grad(), torch._C.DisableTorchFunction(), without_modes():
            now, live = look(roots, self._held, stepping.look)
            step = stepping.before(now, live, [path for path, _ in roots], self._frozen)
            step = step._replace(unreduced=self._reducers.lost(roots, now, live))
            del roots, live  # whoever keeps the error that a finding raises keeps its frames
        self._judge(step)
        return True

    def _end(self, stepping: Stepping, searches: bool) -> None:  # noqa: FBT001  called back
        with torch.no_grad(), torch._C.DisableTorchFunction(), without_modes():
            step = stepping.after(searches=searches)
        self._judge(step)

    def _judge(self, step: Step) -> None:
        found: list[Finding] = []
        for loaded in self._rules:
            code = loaded.rule.code
            problems = [
                each
                for each in loaded.check(step)
                if isinstance(each, Problem) and (code, each.paths[0]) not in self._said
            ]
            if problems:
                self._said |= {(code, each.paths[0]) for each in problems}
                found += to_findings(loaded.rule, problems, None)
        if not found:
            return
        self._findings += found
        self._found_at += [step.number] * len(found)
        failing = [finding for finding in found if finding.severity >= self._least]
        if failing and self._on_finding == "raise":
            problem = f"{text.plural(len(failing), 'finding')} at step {step.number}"
            raise FindingsError(problem, detail="\n".join(map(str, failing)))
        if failing and self._on_finding == "warn":
            level = _users_level()
            for finding in failing:
                warnings.warn(str(finding), FindingsWarning, stacklevel=level)

    def _lost(self) -> list[str]:
        """What is not watched any more."""
        gone = [f"optimizer {text.name(held.name)} is gone" for held in self._held if held.holder is None]
        return gone + [
            f"the hooks of optimizer {text.name(stepping.held.name)} were removed: its steps are not watched any more"
            for hooks, stepping in zip(self._hooks, self._steppings, strict=True)
            if not self._is_closed and hooks.are_lost()
        ]

    def _steps_seen(self) -> str:
        """`20 steps, each of 4 backward passes`."""
        lines = []
        for stepping in self._steppings:
            of = f" of optimizer {text.name(stepping.held.name)}" if len(self._steppings) > 1 else ""
            counts = sorted(set(stepping.accumulated))
            passes = f", each of {' or '.join(map(str, counts))} backward passes" if counts and counts != [1] else ""
            idle = f", {stepping.idle:,} of them without any gradient" if stepping.idle else ""
            lines.append(f"{text.plural(stepping.number, 'step')}{of}{passes}{idle}")
        return "\n".join(lines)

    def _unheard_lines(self) -> list[str]:
        by_label: dict[str, list[str]] = {}
        for path, label in self._unheard.items():
            by_label.setdefault(label, []).append(path)
        return [
            f"{text.listed(folded(paths, self._last.slots))}: thawed by {label!r}, and not in any optimizer since"
            for label, paths in by_label.items()
        ]


def _users_level() -> int:
    """How many callers up the first frame is that is neither ours nor torch's."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in (_OURS, "torch"):
        level, frame = level + 1, frame.f_back
    return level
