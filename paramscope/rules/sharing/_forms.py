"""How one tensor is made of another one over the same memory, as Python that does it in `forward`."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from paramscope import text
from paramscope.rules.code import is_container, to_code, to_code_within
from paramscope.rules.facts import Facts
from paramscope.rules.naming import unbraced
from paramscope.rules.places import modules_above
from paramscope.snapshot import join

_NAMED = 3
"""Parameters that an assignment makes one before it says that the others follow."""


class Form(NamedTuple):
    """Where the elements of a tensor lie."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    """In elements."""
    dtype: str
    start: int
    """Its first element, counted in elements from one place for all that lie in one memory."""


def form_of(facts: Facts, slot: int) -> Form | None:
    """The form of what a slot holds; None where its elements are not strided."""
    record = facts.slots.at(slot)
    if record.shape is None or record.stride is None or record.dtype is None or record.tensor is None:
        return None
    spans = facts.spans(record.tensor)
    if len(spans) != 1 or not record.numel or not record.nbytes:
        return None
    size = record.nbytes // record.numel
    return Form(record.shape, record.stride, record.dtype, spans[0].layout[0] // size)


def view_of(whole: Form, part: Form) -> str | None:
    """What makes `part` of `whole`: nothing where they are alike, `.t()`, `.view(8, 5)`, `[:20]`; None where that is
    no simple view."""
    if whole.dtype != part.dtype:
        return None
    if _is_alike(whole, part):
        return ""
    if len(whole.shape) == len(part.shape):
        turned = _turned(whole, part)
        return _sliced(whole, part) if turned is None else turned
    if len(part.shape) == len(whole.shape) - 1:
        picked = _picked(whole, part)
        if picked is not None:
            return picked
    return _reshaped(whole, part)


def _is_alike(one: Form, other: Form) -> bool:
    # The step along one of size 1 leads nowhere.
    return one.shape == other.shape and one.start == other.start and _steps(one) == _steps(other)


def _steps(form: Form) -> tuple[int, ...]:
    return tuple(step if size > 1 else 0 for size, step in zip(form.shape, form.stride, strict=True))


def _turned(whole: Form, part: Form) -> str | None:
    if whole.start != part.start:
        return None
    dims = list(zip(whole.shape, _steps(whole), strict=True))
    order: list[int] = []
    for dim in zip(part.shape, _steps(part), strict=True):
        at = next((at for at, each in enumerate(dims) if each == dim and at not in order), None)
        if at is None:
            return _reshaped(whole, part)
        order.append(at)
    return ".t()" if len(order) == 2 else f".permute({', '.join(map(str, order))})"


def _reshaped(whole: Form, part: Form) -> str | None:
    if whole.start != part.start or prod(whole.shape) != prod(part.shape):
        return None
    if not (is_contiguous(whole.shape, whole.stride) and is_contiguous(part.shape, part.stride)):
        return None
    return f".view({', '.join(map(str, part.shape))})" if part.shape else ".view(())"


def is_contiguous(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether elements lie one after the other in memory, as their indices do."""
    return 0 in shape or all(
        size == 1 or step == prod(shape[at + 1 :]) for at, (size, step) in enumerate(zip(shape, stride, strict=True))
    )


def _starts(whole: Form, part: Form) -> list[int] | None:
    """The index in `whole` of the first element of `part`."""
    if any(size > 1 and not step for size, step in zip(whole.shape, whole.stride, strict=True)):
        return None
    left = part.start - whole.start
    starts = [0] * len(whole.shape)
    for at in sorted(range(len(whole.shape)), key=lambda at: -whole.stride[at]):
        if whole.shape[at] > 1 and left > 0:
            starts[at], left = divmod(left, whole.stride[at])
    return starts if left == 0 else None


def _sliced(whole: Form, part: Form) -> str | None:
    starts = _starts(whole, part)
    if starts is None or any(
        size > 1 and step != other for size, step, other in zip(part.shape, part.stride, whole.stride, strict=True)
    ):
        return None
    pieces = []
    for start, size, of in zip(starts, part.shape, whole.shape, strict=True):
        if start + size > of:
            return None
        end = start + size
        pieces.append(f"{start or ''}:{end if end < of else ''}")
    while len(pieces) > 1 and pieces[-1] == ":":
        pieces.pop()
    return f"[{', '.join(pieces)}]"


def _picked(whole: Form, part: Form) -> str | None:
    starts = _starts(whole, part)
    if starts is None:
        return None
    for at, start in enumerate(starts):
        rest = Form(
            (*whole.shape[:at], *whole.shape[at + 1 :]),
            (*whole.stride[:at], *whole.stride[at + 1 :]),
            whole.dtype,
            part.start,
        )
        alone = not any(starts[:at]) and not any(starts[at + 1 :])
        if alone and start < whole.shape[at] and _is_alike(rest, part):
            return f"[{', '.join([*[':'] * at, str(start)])}]"
    return None


def use_of(facts: Facts, whole: str, part: str, view: str) -> str:
    """What `forward` is to do where it used the weight of one path, of a tensor under another one."""
    above = _class_above(facts, whole, part)
    code = to_code_within(facts, above, whole) + view
    slot = facts.slots[part]
    layer = dict(facts.modules[slot.module].settings).get("layer")
    call = ""
    if slot.name == "weight" and layer == "torch.nn.modules.linear.Linear":
        bias = join(slot.module, "bias")
        has_bias = bias in facts.slots and facts.slots[bias].tensor is not None
        call = f"F.linear(x, {code}{f', {to_code_within(facts, above, bias)}' if has_bias else ''})"
    elif slot.name == "weight" and layer == "torch.nn.modules.sparse.Embedding":
        call = f"F.embedding(tokens, {code})"
    if call:
        return f"write {call} instead of calling {to_code_within(facts, above, slot.module)}"
    return f"use {code} instead of {to_code_within(facts, above, part)}"


def _class_above(facts: Facts, *paths: str) -> str | None:
    """The nearest module above two slots that is no mere container, and so has a `forward` of its own; None where
    they lie in two roots."""
    above = [path for path in modules_above(facts, *paths) if not is_container(facts, path)]
    return above[-1] if above else "" if "" in facts.snapshot.roots else None


def copy_of(facts: Facts, path: str, *, frozen: bool = False) -> str:
    """The assignment that gives a parameter memory of its own."""
    code = to_code(facts, path)
    if code.isidentifier():
        # As it stands, a name alone would be a local one.
        code = f"model.{code}"
    return f"{code} = nn.Parameter({code}.detach().clone(){', requires_grad=False' if frozen else ''})"


class Advice(NamedTuple):
    """What to write of several Parameters over one memory; templates, in which a brace is no placeholder."""

    one: str
    """How one Parameter does for all of them: part of a sentence."""
    copy: str
    """The assignment that gives one of them memory of its own."""
    is_view: bool
    """Whether they differ in form, so that one cannot stand in the other's place."""


def advice(facts: Facts, slots: Sequence[int]) -> Advice:
    """For Parameters over exactly the same memory, by a slot of each; the first one is kept."""
    paths = facts.paths(slots)
    codes = [to_code(facts, path) for path in paths[: _NAMED + 1]]
    views: list[str | None] = [""] * len(paths)
    tensors = facts.snapshot.tensor_columns
    # Most are of one shape and one stride, which shows at a glance.
    if len({tensors.specs[facts.snapshot.slot_columns.tensors[slot]] for slot in slots}) > 1:
        forms = [form_of(facts, slot) for slot in slots]
        views = [None if forms[0] is None or each is None else view_of(forms[0], each) for each in forms]
    other = next((at for at, view in enumerate(views) if view != ""), None)
    copied = unbraced(copy_of(facts, paths[1 if other is None else other]))
    if other is None:
        chain = " = ".join([*codes[1:_NAMED], codes[0]])
        more = ", and so for the others" if len(paths) > _NAMED else ""
        return Advice(unbraced(f"make them one Parameter, {chain}{more}"), copied, is_view=False)
    view = views[other]
    if view is None:
        used = f"make what is to stand for {to_code(facts, paths[other])} of it"
    else:
        used = use_of(facts, paths[0], paths[other], view)
    return Advice(unbraced(f"keep {codes[0]} as the one Parameter, and in forward {used}"), copied, is_view=True)


def slice_advice(facts: Facts, slots: Sequence[int]) -> str:
    """For Parameters that have some elements in common, by a slot of each: a template."""
    forms = {slot: form for slot in slots if (form := form_of(facts, slot)) is not None}
    whole = max(forms, key=lambda slot: prod(forms[slot].shape), default=slots[0])
    views = {slot: view_of(forms[whole], forms[slot]) for slot in slots if slot in forms and slot != whole}
    part = next((slot for slot, view in views.items() if view), next(slot for slot in slots if slot != whole))
    paths = facts.paths([whole, part])
    copied = f"Give {to_code(facts, paths[1])} memory of its own, {copy_of(facts, paths[1])}"
    view = views.get(part)
    if not view:
        return unbraced(f"{copied}; or register the whole once and slice it in forward.")
    keep = f"keep {to_code(facts, paths[0])} alone, and in forward {use_of(facts, paths[0], paths[1], view)}"
    return unbraced(f"{copied}; or {keep}.")


def parts_advice(facts: Facts, whole: int, parts: Sequence[int]) -> str:
    """For Parameters that are parts of another one, by slots: what to write for all of them, as a template; empty
    where some is no simple view of it."""
    forms = [form_of(facts, slot) for slot in (whole, *parts)]
    if forms[0] is None:
        return ""
    views = [None if form is None else view_of(forms[0], form) for form in forms[1:]]
    if not all(views):
        return ""
    of, *paths = facts.paths([whole, *parts])
    told = [(path, view) for path, view in zip(paths, views, strict=True) if view][:_NAMED]
    copies = text.listed([copy_of(facts, path) for path, _ in told])
    slices = text.listed([use_of(facts, of, path, view) for path, view in told])
    more = ", and so for the others" if len(paths) > _NAMED else ""
    return unbraced(
        f"Keep {to_code(facts, of)} alone, and in forward {slices}{more}; or give each part memory of its own, "
        f"{copies}{more}."
    )


def capital(words: str) -> str:
    """Part of a sentence as its beginning."""
    return words[:1].upper() + words[1:]
