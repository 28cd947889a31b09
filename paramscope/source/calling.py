"""What calls give in the source of a tensor's owner: functions that can be read are gone into, others are judged by
what they are known for."""

from __future__ import annotations

import ast

from paramscope.source.callees import Callee, Package, resolve
from paramscope.source.expressions import Frame, key_of, may_be_called
from paramscope.source.holding import (
    DEVICE,
    FOREIGN,
    HOST,
    INTEGER,
    OWN,
    SELF,
    Closure,
    Known,
    gathered,
    joined,
    whole,
)
from paramscope.source.methods import Method, says_integer
from paramscope.source.operations import (
    ASKING,
    BOUNDS,
    OF_SAME_DEVICE,
    ON_HOST,
    PASSING,
    STRICT,
    TRUTH,
    UNCAST,
    is_mover,
)
from paramscope.source.syntax import Function, dotted, positional
from paramscope.source.tensor_calls import TensorCalls
from paramscope.source.values import mangled


class Calling(TensorCalls):
    """Calls; what the statements of a function do is for those who build on this."""

    def run(self, node: Function | ast.Lambda, frame: Frame) -> Known:
        """What a function gives, whose parameters are bound."""
        raise NotImplementedError

    def run_closure(self, closure: Closure, call: ast.Call | None, frame: Frame | None = None) -> Known:
        """What a function within a function gives."""
        raise NotImplementedError

    def call_function(self, callee: Callee, call: ast.Call, frame: Frame) -> Known | None:
        """What a function of the file, or of one that it imports, gives; None where it is not gone into."""
        return self._go_into(callee.node, Frame(callee.file, None), call, frame, skip=callee.given)

    def call_method(self, method: Method, call: ast.Call | None, frame: Frame, *, is_bound: bool) -> Known | None:
        """As `call_function`, for a method of the instance, or a property where there is no call."""
        inner = Frame(method.file, method)
        skip = int(is_bound and method.receiver is not None)
        return self._go_into(method.node, inner, call, frame, skip=skip)

    def _go_into(
        self, node: Function, inner: Frame, call: ast.Call | None, frame: Frame, *, skip: int
    ) -> Known | None:
        if self.depth >= self.DEPTH or node in self.running_now or self.budget <= 0:
            return None
        if call is not None:
            self.bind(node, call, inner, frame, skip=skip)
        for first in positional(node.args)[:skip]:
            inner.names[first.arg] = SELF if inner.method is not None else OWN
        self.running_now.append(node)
        result = self.run(node, inner)
        self.running_now.pop()
        return result

    def read_property(self, name: str, frame: Frame) -> Known | None:
        found = self.methods.by_name.get(name)
        if not found or not found[0].is_property or name not in self.touching:
            return None
        return self.call_method(found[0], None, frame, is_bound=True)

    def call(self, node: ast.Call, frame: Frame) -> Known:
        match node.func:
            case ast.Name(id=name):
                return self._call_name(name, node, frame)
            case ast.Attribute():
                return self._call_attribute(node.func, node, frame)
            case ast.Lambda():
                return self.run_closure(Closure(node.func, frame), node, frame)
        self.value(node.func, frame)
        return self._unknown("", self.arguments(node, frame))

    def _call_name(self, name: str, node: ast.Call, frame: Frame) -> Known:
        local = frame.look_up(name)
        if local is not None:
            if local.closure is not None:
                frame.ran.append(local.closure)
                return self.run_closure(local.closure, node, frame)
            return self._layer(self.arguments(node, frame))
        if name in ("getattr", "setattr", "vars", "super"):
            return self._by_text(name, node, frame)
        if name in TRUTH:
            self.all_host(self.arguments(node, frame))
            return INTEGER if name in ("int", "len") else HOST
        if name in ASKING:
            self.arguments(node, frame)
            return HOST
        if name in PASSING or name == "sum":
            given = self.arguments(node, frame)
            return gathered(given) if given else OWN
        if name in ("zip", "enumerate"):
            return self.each(node, frame)
        return self._resolved((name,), node, frame)

    def _by_text(self, name: str, node: ast.Call, frame: Frame) -> Known:
        """`getattr`, `setattr`, `vars` and `super`, by the names that stand in them."""
        if name == "super":
            return Known("super")
        first, *rest = node.args or [ast.Constant(None)]
        base = self.value(first, frame)
        if name == "vars":
            return base
        text = self.value(rest[0], frame) if rest else HOST
        if base.kind != "self" or not rest:
            given = [self.value(each, frame) for each in rest[1:]]
            if base.step and rest and may_be_called(rest[0], text, self.place[base.step]):
                if name == "setattr" and given:
                    self.put(given[0])
                    return HOST
                return self.deeper(base, None)
            return joined([base._replace(is_place=False), *given])
        is_it = may_be_called(rest[0], text, self.place[0])
        if name == "setattr":
            if len(rest) > 1:
                value = self.value(rest[1], frame)
                self.put(value) if is_it else self.consume(value)
            return HOST
        if is_it:
            return self.at_attribute(self.place[0]) or OWN
        return self.attribute(key_of(rest[0]) or "", frame)

    def _call_attribute(self, func: ast.Attribute, node: ast.Call, frame: Frame) -> Known:
        names = dotted(func)
        if names and frame.look_up(names[0]) is None:
            return self._resolved(names, node, frame)
        base = self.value(func.value, frame)
        attr = mangled(func.attr, frame.owner)
        if base.kind == "super":
            return self._super(attr, node, frame)
        if base.kind == "self":
            found = self.methods.by_name.get(attr)
            if found and not found[0].is_property:
                given = None if attr in self.touching else self._untouched(node, frame)
                if given is not None:
                    return given
                result = self.call_method(found[0], node, frame, is_bound=True)
                return result if result is not None else self._unknown(attr, self.arguments(node, frame))
            if attr in ("register_buffer", "__setattr__") and len(node.args) > 1:
                return self._by_text("setattr", ast.Call(func, [func.value, *node.args], []), frame)
            followed = self.attribute(attr, frame)
            if followed.hold is not None:
                self.consume(followed)
            return self._layer(self.arguments(node, frame))
        return self.on_value(base, func, node, frame)

    def _untouched(self, node: ast.Call, frame: Frame) -> Known | None:
        """What a function gives that has nothing to do with the attribute, and is given nothing of it; None where it
        is given something."""
        before = self.budget
        given = [whole(each) for each in self.arguments(node, frame)]
        if any(_matters(each) for each in given):
            self.budget = before
            return None
        return FOREIGN if any(each.kind == "foreign" for each in given) else OWN

    def _super(self, name: str, node: ast.Call, frame: Frame) -> Known:
        found = self.methods.by_name.get(name, [])
        at = frame
        while at.method is None and at.parent is not None:
            at = at.parent
        if name not in self.touching:
            result = self._untouched(node, frame)
            if result is not None:
                return result
        own = [i for i, method in enumerate(found) if at.method is not None and method.type == at.method.type]
        for method in found[own[-1] + 1 if own else 0 :][:1]:
            result = self.call_method(method, node, frame, is_bound=True)
            if result is not None:
                return result
        return self._layer(self.arguments(node, frame))

    def _resolved(self, names: tuple[str, ...], node: ast.Call, frame: Frame) -> Known:
        """A function by its name in the file, or in a package."""
        found = resolve(frame.file, names)
        if isinstance(found, Callee):
            result = self._untouched(node, frame) or self.call_function(found, node, frame)
            if result is not None:
                return result
        elif isinstance(found, Package):
            return self._of_package(found.name, node, frame)
        elif len(names) == 2:
            static = [each for each in self.methods.by_name.get(names[1], ()) if each.owner == names[0]]
            if static:
                result = self.call_method(static[0], node, frame, is_bound=False)
                if result is not None:
                    return result
        given = self.arguments(node, frame)
        if names[0] in ON_HOST:
            return self.all_host(given)
        return self._unknown(names[-1], given)

    def _of_package(self, name: str, node: ast.Call, frame: Frame) -> Known:
        package, _, rest = name.partition(".")
        last = name.rpartition(".")[2]
        if package == "copy":
            return gathered(self.arguments(node, frame))
        given = self.arguments(node, frame)
        if package in ON_HOST or rest.startswith("utils.data"):
            return self.all_host(given)
        if package not in OF_SAME_DEVICE:
            return self._unknown(last, given)
        if name == "torch.device":
            return DEVICE
        if last in ("no_grad", "enable_grad", "inference_mode", "is_tensor", "numel", "is_floating_point"):
            return HOST
        keywords = {keyword.arg for keyword in node.keywords}
        if last in ("as_tensor", "tensor", "asarray") and "device" in keywords and given and given[0].hold:
            hold = given[0].hold
            hold = hold._replace(on_device=True, in_dtype=hold.in_dtype or "dtype" in keywords)
            return Known("own", hold)
        if last in BOUNDS:
            return self.bounded(given[0] if given else OWN, given[1:])
        if last == "functional_call":
            return self._layer(given)
        if last in UNCAST:
            given = [each._replace(hold=each.hold._replace(in_dtype=True)) if each.hold else each for each in given]
        result = self.meet(given, is_strict=last in STRICT)
        is_placed = any(
            keyword.arg == "device" and value.kind != "host"
            for keyword, value in zip(node.keywords, given[len(node.args) :], strict=True)
        )
        if is_placed and result.hold is None:
            return FOREIGN._replace(has_past=result.has_past)
        return result._replace(kind="own") if result.kind in ("host", "device", "dtype") else result

    def _unknown(self, name: str, given: list[Known]) -> Known:
        """A function of which only the name is known."""
        both = gathered(given)
        if both.hold is not None and is_mover(name):
            return self.moved_by_name(given)
        if both.kind == "foreign" and both.hold is not None:
            return self._layer(given)._replace(is_of_layer=False)
        return both._replace(kind=both.kind if both.hold is not None else "foreign")

    def _layer(self, given: list[Known]) -> Known:
        """A layer, which works where its parameters lie."""
        for each in given:
            self.consume(each)
        every = [whole(each) for each in given]
        # A tuple of states, as that of an LSTM, is handed over with the tensor in it.
        is_within = self.state.has_past and any(each.step for each in every)
        has_past = (is_within or any(each.has_past for each in every)) and not self.without_graph
        is_of_layer = is_within or any(each.hold is not None or each.has_past for each in every)
        return Known("foreign", None, has_past, is_of_layer=is_of_layer)

    def bind(self, node: Function | ast.Lambda, call: ast.Call, inner: Frame, frame: Frame, skip: int) -> None:
        """Gives the parameters of a function what a call hands over."""
        by_position = positional(node.args)
        names = [each.arg for each in by_position][skip:]
        only = [each.arg for each in node.args.kwonlyargs]
        for each, default in zip(reversed(by_position), reversed(node.args.defaults), strict=False):
            inner.names[each.arg] = self.value(default, inner)
        for each, maybe in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            inner.names[each.arg] = self.value(maybe, inner) if maybe is not None else self.by_name(each.arg)
        given: list[Known] = []
        spread: Known | None = None
        for arg in call.args:
            found = self.value(arg, frame)
            if isinstance(arg, ast.Starred):
                spread = found
            else:
                given.append(found)
        for at, name in enumerate(names):
            if at < len(given):
                is_integer = given[at].hold is None and says_integer(by_position[at + skip].annotation)
                inner.names[name] = INTEGER if is_integer else self._with_name(name, given[at])
            elif spread is not None:
                inner.names[name] = spread
            elif name not in inner.names:
                inner.names[name] = self.by_name(name)
        rest = given[len(names) :]
        for keyword in call.keywords:
            found = self.value(keyword.value, frame)
            if keyword.arg in (*names, *only):
                inner.names[str(keyword.arg)] = found
            else:
                rest.append(found)
        for bag in (node.args.vararg, node.args.kwarg):
            if bag is not None:
                inner.names[bag.arg] = whole(Known("own", items=tuple(rest))) if rest else spread or OWN

    def _with_name(self, name: str, value: Known) -> Known:
        """A parameter that is called `device` is one, whatever it is given."""
        known = self.by_name(name)
        return known if known is not FOREIGN and value.hold is None and value.kind in ("own", "foreign") else value


def _matters(value: Known) -> bool:
    """Whether anything of the attribute goes along with a value, or may be reached from it."""
    is_of_it = value.hold is not None or value.has_past or value.step > 0
    return is_of_it or value.kind == "self" or value.closure is not None
