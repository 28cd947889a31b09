"""One model and its report: everything that torch, too, can say of it, compared; the rest as facts to look at."""

from __future__ import annotations

import gc
import time
import traceback
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from support.oracle import every_parameter, is_lazy, numel, registered
from torch import nn
from wcwidth import wcswidth

from paramscope import Report, audit, capture
from paramscope.analysis.fold import fold_slots
from paramscope.snapshot import ModuleRecord, SlotRecord
from zoo.trust import suspicions

ROUND_TRIP_SLOTS = 3_000
"""Reports of more slots are not written and read back, nor listed unfolded: it would take seconds each."""
TIMES = 7
ENOUGH_SECONDS = 0.3

Audit = Callable[[nn.Module], Report]


class Facts(NamedTuple):
    """What is told of one model, besides whether it is right."""

    slots: int
    parameters: int
    tied: int
    """Slots that hold a tensor of another slot."""
    hidden: tuple[str, ...]
    """Hidden slots, and modules that are not registered."""
    unseen: tuple[str, ...]
    """Modules and Parameters that came to life with the model, and that the report does not have."""
    attributes: tuple[str, ...]
    """Slots of unregistered plain tensors."""
    unknown: tuple[tuple[str, int], ...]
    """(fate and reason, number of slots) of what the report leaves open."""
    notes: tuple[str, ...]
    suspicions: tuple[str, ...]
    """Findings at warning or above, of the model as it is built and as people train it."""
    seconds: float
    """What `audit` and its totals take, at best."""
    base_seconds: float
    """What it takes to exhaust torch's own iterators, at best."""


def living() -> list[Any]:
    """Every Module and Parameter of this process."""
    gc.collect()
    return [thing for thing in gc.get_objects() if issubclass(type(thing), (nn.Module, nn.Parameter))]


def check(
    model: nn.Module, look: Audit = audit, before: Sequence[Any] | None = None
) -> tuple[list[str], Facts | None]:
    """What is wrong with the report on a model, a line each; and the facts, if there is a report at all.

    look: makes the report. before: what `living()` gave before the model was built.
    """
    state = fingerprint(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report = look(model)
            totals = report.totals
            again = look(model)
            snapshot = capture(model)
    except Exception as error:  # noqa: BLE001  # which is what is tested
        return [f"audit raised {raised(error)}"], None
    wrong: list[str] = []
    if fingerprint(model) != state:
        wrong.append("audit changed the model or drew a random number")
    if again != report or capture(model) != snapshot or snapshot != report.snapshot:
        wrong.append("captured twice, it is not equal")
    for compare in (wrong_names, wrong_totals, wrong_fates, wrong_saved, wrong_sharing, wrong_views):
        wrong += findings(compare, model, report)
    seconds, base_seconds = costs(lambda: look(model).totals, lambda: walk(model))
    suspected: list[str] = []
    wrong += findings(lambda model, _: told(suspicions(model), suspected), model, report)
    slots = list(report.slots.records())
    unknown = Counter(f"{fate}: {why}" for slot in slots for fate, why in slot.unknown if fate != "stepped")
    facts = Facts(
        slots=len(slots),
        parameters=totals.parameters,
        tied=sum(len(record.slots) for record in report.sharing if record.kind == "tied"),
        hidden=(
            *(f"{slot.path} ({slot.role}, {slot.numel})" for slot in slots if slot.status == "hidden"),
            *(f"{path} ({m.type})" for path, m in report.modules.items() if not m.registered),
        ),
        unseen=() if before is None else tuple(unseen(model, report, before)),
        attributes=tuple(slot.path for slot in slots if slot.role == "attribute" and slot.status != "hidden"),
        unknown=tuple(sorted(unknown.items())),
        notes=tuple(f"{note.kind} at {note.path or 'the root'}" for note in report.snapshot.notes),
        suspicions=tuple(suspected),
        seconds=seconds,
        base_seconds=base_seconds,
    )
    return wrong, facts


def findings(compare: Callable[[nn.Module, Report], Iterator[str]], model: nn.Module, report: Report) -> list[str]:
    """What one comparison finds; that it raises is a failure, and the others go on."""
    try:
        return list(compare(model, report))
    except Exception as error:  # noqa: BLE001
        return [f"{compare.__name__} raised {raised(error)}"]


def told(lines: Iterable[str], found: list[str]) -> Iterator[str]:
    """Keeps lines that are no failure."""
    found += lines
    yield from ()


def fingerprint(model: nn.Module) -> Any:
    """What must not change when a model is looked at."""
    modules = list(model.named_modules(remove_duplicate=False))
    tensors = [*every_parameter(model), *model.named_buffers(remove_duplicate=False)]
    return (
        [(path, id(module), module.training, tuple(vars(module))) for path, module in modules],
        [(name, id(t), t._version, t.requires_grad, t.grad is None) for name, t in tensors],
        torch.get_rng_state().tolist(),
    )


def wrong_names(model: nn.Module, report: Report) -> Iterator[str]:
    """Whether every registered name is there, in torch's order."""
    pairs: dict[str, tuple[Sequence[SlotRecord | ModuleRecord], Sequence[tuple[str, object]]]] = {
        "parameters": (registered(report, "parameter"), every_parameter(model)),
        "buffers": (registered(report, "buffer"), list(model.named_buffers(remove_duplicate=False))),
        "modules": (
            [module for module in report.modules.records() if module.registered],
            list(model.named_modules(remove_duplicate=False)),
        ),
    }
    for what, (found, expected) in pairs.items():
        yield from different(what, [record.path for record in found], [name for name, _ in expected])
    if report.snapshot.is_truncated:
        yield "not every name is listed"


def different(what: str, found: Sequence[str], expected: Sequence[str]) -> Iterator[str]:
    """How two lists of names differ, in one line."""
    if found == expected:
        return
    more, fewer = sorted(set(found) - set(expected)), sorted(set(expected) - set(found))
    if more or fewer:
        yield f"{what}: {len(more)} too many {some(more)}, {len(fewer)} missing {some(fewer)}"
    else:
        first = next(i for i, pair in enumerate(zip(found, expected, strict=False)) if pair[0] != pair[1])
        yield f"{what}: another order or number, first at {expected[first]}"


def some(names: Sequence[str]) -> str:
    """The first few of many."""
    return f"[{', '.join(names[:3])}{', …' if len(names) > 3 else ''}]"


def wrong_totals(model: nn.Module, report: Report) -> Iterator[str]:
    """Whether the sums are torch's own."""
    expected = {
        "parameters": numel(model.parameters()),
        "trainable": numel(p for p in model.parameters() if p.requires_grad),
        "frozen": numel(p for p in model.parameters() if not p.requires_grad),
        "buffers": numel(model.buffers()),
        "by_name": numel(p for _, p in every_parameter(model)),
    }
    for name, number in expected.items():
        found = getattr(report.totals, name)
        if found != number:
            yield f"totals.{name} is {found}, torch counts {number}"


def wrong_fates(model: nn.Module, report: Report) -> Iterator[str]:
    """Whether each tensor is described as it is."""
    tensors = dict([*every_parameter(model), *model.named_buffers(remove_duplicate=False)])
    for slot in report.slots.records():
        tensor = tensors.get(slot.path) if slot.registered else None
        if tensor is None or slot.status == "empty":
            continue
        if slot.shape != (None if is_lazy(tensor) else tuple(tensor.shape)):
            yield f"{slot.path}: shape {slot.shape} for {tuple(tensor.shape)}"
        if (slot.dtype, slot.device) != (str(tensor.dtype).removeprefix("torch."), str(tensor.device)):
            yield f"{slot.path}: {slot.dtype} on {slot.device} for {tensor.dtype} on {tensor.device}"
        if slot.gradient is not (tensor.requires_grad and tensor.is_leaf):
            yield f"{slot.path}: gradient {slot.gradient}"
        if slot.role == "parameter" and slot.status != ("trainable" if tensor.requires_grad else "frozen"):
            yield f"{slot.path}: {slot.status}"


def wrong_saved(model: nn.Module, report: Report) -> Iterator[str]:
    """Whether what is said to be saved is in `state_dict()`, what is said not to be is not, and the rest unknown."""
    try:
        entries = model.state_dict()
    except Exception as error:  # noqa: BLE001  # code of transformers
        if not any(slot.saved is None for slot in report.slots.records()):
            yield f"saved: state_dict() raises {raised(error)}"
        return
    slots = [slot for slot in report.slots.records() if slot.status != "empty"]
    keys = {key for key in entries if key.rpartition(".")[2] != "_extra_state"}
    said = {fate: {slot.path for slot in slots if slot.saved is fate} for fate in (True, False, None)}
    lacking, extra = sorted(said[True] - keys), sorted(said[False] & keys)
    if lacking:
        yield f"saved: {len(lacking)} said to be in state_dict() are not {some(lacking)}"
    if extra:
        yield f"saved: {len(extra)} said not to be in state_dict() are {some(extra)}"
    foreign = sorted(keys - said[True] - said[None])
    if foreign and foreign != extra:
        yield f"saved: {len(foreign)} keys of state_dict() are no slot that may be saved {some(foreign)}"
    if not said[None] and [slot.path for slot in slots if slot.saved] != [key for key in entries if key in keys]:
        yield "saved: state_dict() has another order"


def wrong_sharing(model: nn.Module, report: Report) -> Iterator[str]:
    """Whether tensors that are one object, and storages that are one memory, are shared in the report and no others."""
    order = {path: place for place, path in enumerate(report.slots)}
    pairs = [*every_parameter(model), *model.named_buffers(remove_duplicate=False)]
    tensors = {name: tensor for name, tensor in pairs if name in order}
    tied: dict[int, list[str]] = {}
    memories: dict[int, list[str]] = {}
    for name in sorted(tensors, key=order.__getitem__):
        tied.setdefault(id(tensors[name]), []).append(name)
    for group in one_memory({name: tensors[name] for name, *_ in tied.values()}):
        memories[len(memories)] = sorted((name for one in group for name in tied[id(tensors[one])]), key=order.get)  # type: ignore[arg-type]
    expected = {tuple(names) for names in tied.values() if len(names) > 1}
    found = {record.slots for record in report.sharing if record.kind == "tied"}
    # What is hidden may be part of a tie that torch sees the rest of.
    found = {seen for slots in found if len(seen := tuple(s for s in slots if s in tensors)) > 1}
    if found != expected:
        yield f"ties: {sorted(found - expected)[:2]} too many, {sorted(expected - found)[:2]} missing"
    shared: dict[int | None, set[str]] = {}
    for record in report.sharing:
        if record.kind != "tied":
            shared.setdefault(record.storage, set()).update(slot for slot in record.slots if slot in tensors)
    others = {tuple(sorted(slots, key=order.__getitem__)) for slots in shared.values() if len(slots) > 1}
    expected = {tuple(names) for names in memories.values()}
    if others != expected:
        yield f"storages: {sorted(others - expected)[:2]} too many, {sorted(expected - others)[:2]} missing"


def one_memory(tensors: dict[str, torch.Tensor]) -> list[list[str]]:
    """Names of different tensors over one storage object, or over storages whose addresses meet."""
    groups: dict[int, list[str]] = {}
    ranges: list[tuple[int, int, int]] = []
    for name, tensor in tensors.items():
        if is_lazy(tensor) or tensor.layout is not torch.strided:
            continue
        storage = tensor.untyped_storage()
        if storage._cdata not in groups and tensor.device.type == "cpu" and storage.nbytes():
            ranges.append((storage.data_ptr(), storage.data_ptr() + storage.nbytes(), storage._cdata))
        groups.setdefault(storage._cdata, []).append(name)
    end, last = 0, 0
    for start, stop, key in sorted(ranges):
        if start < end:
            groups[last] += groups.pop(key)
        else:
            last = key
        end = max(end, stop)
    return [names for names in groups.values() if len(names) > 1]


def wrong_views(model: nn.Module, report: Report) -> Iterator[str]:
    """Whether the report can be shown and read back."""
    folded = sorted(slot for row in fold_slots(report.snapshot) for slot in row.slots)
    if folded != list(range(len(report.slots))):
        yield "folding loses or repeats slots"
    is_short = len(report.slots) < ROUND_TRIP_SLOTS
    for options in ({"width": 80}, {"width": 120}, *([{"width": 80, "fold": False}] if is_short else ())):
        text = report.render("table", **options)
        assert isinstance(text, str)
        broad = [line for line in text.splitlines() if wcswidth(line) > options["width"]]
        if broad:
            yield f"table {options}: {len(broad)} lines are too wide, such as {broad[0]!r}"
    if is_short and Report.from_json(report.to_json()) != report:
        yield "another report comes back from JSON"


def wrong_moves(model: nn.Module, report: Report) -> Iterator[str]:
    """Whether `.to()` moves what is said to be moved. It uses up the model, which must have memory."""
    slots = [slot for slot in report.slots.records() if slot.device == "cpu"]
    try:
        after = audit(model.to("meta"))
    except Exception as error:  # noqa: BLE001  # code of transformers
        yield f".to() raises {raised(error)}"
        return
    moved = {slot.path for slot in slots if slot.path in after.slots and after.slots[slot.path].device == "meta"}
    wrong = sorted(slot.path for slot in slots if slot.moved is not None and slot.moved is not (slot.path in moved))
    if wrong:
        yield f"moved: {len(wrong)} are not as is said {some(wrong)}"


def unseen(model: nn.Module, report: Report, before: Sequence[Any]) -> Iterator[str]:
    """Kinds of Modules and Parameters, made since `before`, that neither torch nor the report sees, with counts.

    The report names no objects, so what it has found besides is taken off by number.
    """
    known = {id(thing) for thing in before} | {id(thing) for thing in (*model.modules(), *model.parameters())}
    # Functional buffers may be Parameters, too.
    known |= {id(buffer) for buffer in model.buffers()}
    found = Counter(
        short(m.type) for m in {m.object: m for m in report.modules.records() if not m.registered}.values()
    )
    found += Counter(
        short(slot.type or "")
        for slot in {s.tensor: s for s in report.slots.records() if s.is_parameter and not s.registered}.values()
    )
    alive = Counter(type(thing).__name__ for thing in living() if id(thing) not in known)
    for name, count in sorted((alive - found).items()):
        yield f"{name} ×{count}"


def short(name: str) -> str:
    """The class's own name."""
    return name.rpartition(".")[2]


def walk(model: nn.Module) -> None:
    """Exhausts torch's own iterators."""
    deque(model.named_modules(remove_duplicate=False), maxlen=0)
    deque(model.named_parameters(remove_duplicate=False), maxlen=0)
    deque(model.named_buffers(remove_duplicate=False), maxlen=0)


def costs(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float]:
    """The least of a few times that two things take, in seconds; they take turns, so that a machine that is busy
    slows down both."""
    firsts: list[float] = []
    seconds: list[float] = []
    while len(firsts) < TIMES and sum(firsts) + sum(seconds) < ENOUGH_SECONDS:
        for work, times in ((one, firsts), (other, seconds)):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
    return min(firsts), min(seconds)


def raised(error: BaseException) -> str:
    """What was raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name} ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {str(error)[:150]}{place}"
