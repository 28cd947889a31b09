"""What the methods of a class do with one attribute that holds a tensor: each of them is gone through as Python would
run it, the functions that it calls included, and every use is noted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from paramscope.source.calling import Calling
from paramscope.source.expressions import Frame
from paramscope.source.holding import (
    FOREIGN,
    HOST,
    INTEGER,
    SELF,
    Closure,
    Known,
    is_about_devices,
    joined,
    whole,
)
from paramscope.source.methods import FIRST, Method, Methods, says_integer
from paramscope.source.noting import Followed
from paramscope.source.operations import is_without_graph
from paramscope.source.stages import Stages
from paramscope.source.syntax import Function, parameters, positional

Reading = Literal["unread", "host", "moved", "placed", "raw"]
"""What becomes of a tensor wherever it is read, the worst of it: nothing reads it; Python alone does (as a truth
value, a number, by iteration); it is brought to where it is needed, its dtype too; it is brought to the device only;
it meets other tensors as it lies."""
_WORST: tuple[Reading, ...] = ("raw", "placed", "moved", "host")

_ASIDE = frozenset({"__repr__", "extra_repr", "reset_parameters", "__getstate__", "__setstate__", "__deepcopy__"})
"""Methods whose reads say nothing of what the forward needs."""
_UNROLLED = 8
"""Members of a row in the code that a loop is gone through for, one after the other."""
_MOVING = re.compile(r"_?(to|cuda|cpu|xpu|half|float|double|bfloat16|type|_apply|apply)|.*(device|move|_to_|_to)\b.*")
_COLLATING = re.compile(r".*collate.*")


class Reads(NamedTuple):
    """What a class does with one of its attributes."""

    reading: Reading
    is_renewed: bool
    """Whether what runs the model always puts something new there before anything reads it."""
    is_carried: bool
    """Whether what runs the model computes it from its own past value, with the graph, and nothing cuts that off."""
    is_recurrent: bool
    """Whether it goes into a layer that gives the next one, as the state of a recurrent layer does."""
    is_by_number: bool
    """Whether one of its numbers is taken by an integer of Python's."""
    is_stand_in: bool
    """Whether it stands for a Parameter that is not there, and is asked only for being none."""


def read(
    methods: Methods, stages: Stages, place: tuple[str, ...], *, is_row: bool = False, is_learned: bool = True
) -> Reads:
    """What becomes of a tensor: of an attribute by its name, with the keys or attributes that lead on from there.

    is_row: whether the tensor has one dimension. is_learned: whether it may be a Parameter, or require grad.
    """
    noted: set[str] = set()
    renewing: list[bool] = []
    called, touching = methods.called(), methods.touching(place[0])
    absent_under = frozenset() if is_learned or len(place) > 1 else methods.absent_under(place[0])
    followed = Followed(place, is_row, is_learned, touching, absent_under)
    for name, found in methods.by_name.items():
        is_building = name in FIRST or (name in stages.constructing and name not in stages.running)
        if name in _ASIDE or is_building or name not in touching or (name in called and name not in methods.handed):
            continue
        is_running = name in stages.running or name in methods.handed
        walk = _Walk(methods, followed, is_running=is_running)
        walk.enter(found[0])
        walk.leave()
        if _MOVING.fullmatch(name) and "put-moved" in walk.noted:
            # A `cuda` or `set_device` of its own.
            noted.add("moved-by-itself")
            continue
        if _COLLATING.fullmatch(name):
            walk.noted -= {"raw", "placed"}
            walk.noted.add("host")
        if walk.is_running:
            renewing.append(not walk.state.is_place and walk.noted.isdisjoint(_WORST))
            if not name.startswith("on_"):
                walk.noted.discard("cut")
        noted |= walk.noted
    reading: Reading = next((each for each in _WORST if each in noted), "unread")
    if "moved-by-itself" in noted and reading in ("raw", "placed", "unread"):
        reading = "moved"
    return Reads(
        reading,
        any(renewing) and "raw" not in noted and "placed" not in noted,
        "carried" in noted and noted.isdisjoint(("cut", "cut-off")),
        "recurrent" in noted,
        "by-number" in noted,
        "stand-in" in noted and noted.isdisjoint(("raw", "placed", "moved")),
    )


class _Walk(Calling):
    """One method that others call, gone through statement by statement."""

    def enter(self, method: Method) -> None:
        """Goes through a method with arguments of which nothing is known."""
        frame = Frame(method.file, method)
        self._bind_foreign(method.node, frame)
        if method.receiver is not None:
            frame.names[method.receiver] = SELF
        result = self.run(method.node, frame)
        hold = whole(result).hold
        # What others get who ask for it says nothing of how they read it.
        if hold is not None and (hold.on_device or (self.is_running and not method.is_property)):
            self.consume(result)

    def run(self, node: Function | ast.Lambda, frame: Frame) -> Known:
        """What a function gives, whose parameters are bound."""
        self.depth += 1
        if isinstance(node, ast.Lambda):
            result = self.value(node.body, frame)
        else:
            before = self.without_graph
            self.without_graph = is_without_graph(node.decorator_list, around=before)
            self._block(node.body, frame)
            for closure in frame.closures:
                if closure not in frame.ran:
                    frame.ran.append(closure)
                    self.run_closure(closure, None)
            self.without_graph = before
            is_guarded = any(guarded for _, guarded in frame.returns)
            result = joined([value for value, _ in frame.returns], is_guarded=is_guarded)
        self.depth -= 1
        return result

    def _bind_foreign(self, node: Function | ast.Lambda, frame: Frame) -> None:
        frame.names.update(dict.fromkeys(parameters(node.args), FOREIGN))
        for each in (*positional(node.args), *node.args.kwonlyargs):
            frame.names[each.arg] = INTEGER if says_integer(each.annotation) else self.by_name(each.arg)

    def run_closure(self, closure: Closure, call: ast.Call | None, frame: Frame | None = None) -> Known:
        """What a function within a function gives; one that nobody here calls is given what nobody knows."""
        outer = closure.frame
        assert isinstance(outer, Frame)
        inner = Frame(outer.file, outer.method, outer)
        if call is None or frame is None:
            self._bind_foreign(closure.node, inner)
        else:
            self.bind(closure.node, call, inner, frame, skip=0)
        if self.depth >= self.DEPTH:
            return FOREIGN
        return self.run(closure.node, inner)

    def _block(self, statements: Iterable[ast.stmt], frame: Frame) -> bool:
        """Whether it ends before the next statement would run: by `return`, `raise`, `continue` or `break`."""
        return any(self._statement(each, frame) for each in statements)

    def _statement(self, node: ast.stmt, frame: Frame) -> bool:
        match node:
            case ast.Return(value=value):
                found = self.value(value, frame) if value is not None else HOST
                frame.returns.append((found, frame.is_guarded))
                return True
            case ast.Raise() | ast.Continue() | ast.Break():
                return True
            case ast.Assign(targets=targets, value=value):
                found = self.value(value, frame)
                for target in targets:
                    self.assign(target, found, frame)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, self.value(value, frame), frame)
            case ast.AugAssign(target=target, op=op, value=value):
                both = self.meet(
                    [self.value(target, frame), self.value(value, frame)],
                    is_strict=isinstance(op, ast.MatMult),
                    is_quotient=isinstance(op, ast.Div | ast.Pow),
                )
                self.assign(target, both, frame)
            case ast.Expr(value=value):
                self.value(value, frame)
            case ast.If(test=test, body=body, orelse=other):
                return self._if(test, body, other, frame)
            case (
                ast.For(target=target, iter=iterable, body=body)
                | ast.AsyncFor(target=target, iter=iterable, body=body)
            ):
                self._for(target, iterable, [*body, *node.orelse], frame)
            case ast.While(test=test, body=body):
                self.host(self.value(test, frame))
                self._maybe([*body, *node.orelse], frame)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                before = self.without_graph
                for item in items:
                    found = self.value(item.context_expr, frame)
                    if item.optional_vars is not None:
                        self.assign(item.optional_vars, found, frame)
                self.without_graph = is_without_graph([item.context_expr for item in items], around=before)
                ends = self._block(body, frame)
                self.without_graph = before
                return ends
            case ast.Try(body=body, handlers=handlers, orelse=other, finalbody=last):
                ends = self._block([*body, *other], frame)
                for handler in handlers:
                    self._maybe(handler.body, frame)
                return self._block(last, frame) or (ends and not handlers)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                closure = Closure(node, frame)
                frame.closures.append(closure)
                frame.names[node.name] = Known(closure=closure)
            case ast.Assert(test=test):
                self.host(self.value(test, frame))
            case ast.Delete(targets=targets):
                for target in targets:
                    if not isinstance(target, ast.Name) and self.value(target, frame).is_place:
                        self.put(HOST)
            case ast.Match(subject=subject, cases=several):
                self.host(self.value(subject, frame))
                for case in several:
                    self._maybe(case.body, frame)
        return False

    def _if(self, test: ast.expr, body: list[ast.stmt], other: list[ast.stmt], frame: Frame) -> bool:
        # An `elif` is one level deeper than the one before.
        if self.nesting >= self.NESTING:
            return False
        self.nesting += 1
        ends = self._branches(test, body, other, frame)
        self.nesting -= 1
        return ends

    def _branches(self, test: ast.expr, body: list[ast.stmt], other: list[ast.stmt], frame: Frame) -> bool:
        self.host(self.value(test, frame))
        truth = self.truth(test, frame)
        if truth is not None:
            return self._block(body if truth else other, frame)
        is_guarded, before = is_about_devices(test), frame.is_guarded
        names, state = dict(frame.names), self.state
        frame.is_guarded = before or is_guarded
        one_ends = self._block(body, frame)
        one_names, one_state = frame.names, self.state
        frame.names, self.state = names, state
        other_ends = self._block(other, frame)
        frame.is_guarded = before
        if one_ends and not other_ends:
            return False
        if other_ends and not one_ends:
            frame.names, self.state = one_names, one_state
            return False
        self._join(one_names, one_state, frame, is_guarded=is_guarded)
        return one_ends and other_ends

    def _for(self, target: ast.expr, iterable: ast.expr, body: list[ast.stmt], frame: Frame) -> None:
        if isinstance(iterable, ast.Tuple | ast.List) and 0 < len(iterable.elts) <= _UNROLLED:
            # `for name in ("grid", "mask"): …` runs for each of them.
            for each in iterable.elts:
                self.assign(target, self.value(each, frame), frame)
                self._block(body, frame)
        else:
            self.assign(target, self.each(iterable, frame), frame)
            self._maybe(body, frame)

    def _maybe(self, body: list[ast.stmt], frame: Frame) -> None:
        """Statements that may not run, or several times."""
        names, state = dict(frame.names), self.state
        if not self._block(body, frame):
            self._join(names, state, frame, is_guarded=False)
        else:
            frame.names, self.state = names, state

    def _join(self, names: dict[str, Known], state: Known, frame: Frame, *, is_guarded: bool) -> None:
        for name, value in names.items():
            mine = frame.names.get(name)
            if mine is None:
                frame.names[name] = value
            elif mine is not value:
                frame.names[name] = joined((mine, value), is_guarded=is_guarded)
        if state is not self.state:
            self.state = joined((state, self.state), is_guarded=is_guarded)
