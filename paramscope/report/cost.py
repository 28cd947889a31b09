"""A report → what training its model takes in memory: now, and once the optimizers have stepped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from paramscope import text
from paramscope.analysis.cost import COST, Answer, Cost, Foreseen, Member, Moment, Place
from paramscope.analysis.nbytes import nbytes_by
from paramscope.analysis.tops import tops_of
from paramscope.report.data import ReportData
from paramscope.snapshot import (
    HAS_GRAD,
    HERE,
    NO_OPTIMIZER,
    ForeignRecord,
    GroupRecord,
    OptimizerRecord,
    Snapshot,
    StateBytes,
    TensorSpec,
)
from paramscope.snapshot.declared import makes_sparse_gradients
from paramscope.snapshot.fates import LEARNS, is_steppable

NOT_IN_MODEL = "not in the model"
"""In place of a module, for the state of what the model does not have."""
PARAMETERS = ("trainable", "frozen", "hidden")
"""What slots that hold a parameter are."""
OF_SPARSE = "those of sparse embeddings depend on the inputs"
OF_COPIES = "it is kept for this rank's part of what the members are copied to, which only its first step shows"
_LBFGS = "torch.optim.lbfgs.LBFGS"


def cost_of(report: ReportData) -> Cost:
    """What training the model takes. Optimizers are asked, the first time, what their first step will leave."""
    return report.snapshot.once(COST, lambda: Tensors(report.snapshot).cost())


def nbytes_by_slot(report: ReportData) -> dict[str, int]:
    """What each tensor takes in training from the first step on: its own bytes, its gradient's, its state's; by the
    path of the first slot that holds it."""
    first = Tensors(report.snapshot, by_slot=True).cost().at_first_step
    return {} if first is None else {path: sums.total or 0 for path, sums in first.by_module.items()}


class Kept(NamedTuple):
    """One member of a group."""

    tensor: int | None
    """Its number; None of what the model does not have."""
    module: str
    state: tuple[StateBytes, ...]
    """What is kept for it; empty where nothing is yet."""
    becomes: Member | str | None
    """What a step will keep something for, or why that is not known; None where no step will touch it."""


class Tensors:
    """The tensors of a snapshot, as they are counted."""

    def __init__(self, snapshot: Snapshot, *, by_slot: bool = False) -> None:
        """by_slot: the path of a tensor's first slot stands in place of that of its module."""
        self._snapshot = snapshot
        columns, slots, tops = snapshot.tensor_columns, snapshot.slot_columns, tops_of(snapshot)
        self._flags, self._parts = columns.flags, columns.parts
        self.specs: list[TensorSpec] = [snapshot.interned.specs[spec] for spec in columns.specs]
        self._modules = [""] * len(self.specs)
        self._are_parameters = bytearray(len(self.specs))
        for slot in range(len(slots.tensors) - 1, -1, -1):
            if (tensor := slots.tensors[slot]) >= 0:
                self._modules[tensor] = snapshot.slots.path_at(slot) if by_slot else tops[slots.modules[slot]]
                self._are_parameters[tensor] |= snapshot.status(slot) in PARAMETERS
        self.sparse: set[int] = _with_sparse_gradients(snapshot)
        self.are_reached: bytearray = bytearray(map(self._is_reached, range(len(self.specs))))

    def cost(self) -> Cost:
        """What there is now, with what there will be."""
        now = self.held()
        first = Moment(now.found.copy(), now.unknown.copy())
        self._add_gradients(now, first)
        foreseen = tuple(self._add_state(optimizer, now, first) for optimizer in self._snapshot.optimizers)
        if not foreseen:
            now.unknown["optimizer_state"] = first.unknown["optimizer_state"] = NO_OPTIMIZER
        now.unknown["activations"] = "kept between forward and backward alone"
        self._add_activations(first)
        return now.cost(at_first_step=first.cost(foreseen))

    def held(self) -> Moment:
        """Parameters and buffers."""
        held = Moment(Counter(), {})
        places = [
            Place("parameters" if is_parameter else "buffers", spec.dtype, spec.device, module)
            for is_parameter, spec, module in zip(self._are_parameters, self.specs, self._modules, strict=True)
        ]
        # What parameters and buffers both reach is the parameters'.
        kinds = sorted(dict.fromkeys(places), key=lambda place: place.part != "parameters")
        numbers = {place: number for number, place in enumerate(kinds)}
        sums = nbytes_by(self._snapshot, map(numbers.__getitem__, places))
        held.found.update({place: sums[number] for place, number in numbers.items()})
        unsized = Counter(
            place.part
            for tensor, (place, spec) in enumerate(zip(places, self.specs, strict=True))
            if spec.nbytes is None and tensor not in self._parts
        )
        for part, number in unsized.items():
            held.unknown[part] = f"{text.plural(number, 'tensor')} of unknown size"
        return held

    def _is_reached(self, tensor: int) -> bool:
        """Whether a tensor has a gradient, or the first backward gives it one. Without a run, all that can have one
        is taken to get it."""
        flags, ran = self._flags[tensor], self._snapshot.run_of_tensor(tensor)
        is_entitled = flags & LEARNS == LEARNS and self.specs[tensor].is_differentiable
        return bool(flags & HAS_GRAD) or (is_entitled and (ran is None or ran.reached is not False))

    def _add_gradients(self, now: Moment, first: Moment) -> None:
        odd = [each for each in self._snapshot.oddities if each.kind == "gradient-bytes"]
        positions = self._snapshot.slots.positions(each.path for each in odd)
        held = {self._snapshot.slot_columns.tensors[at]: each for at, each in zip(positions, odd, strict=True)}
        for tensor, spec in enumerate(self.specs):
            if not self.are_reached[tensor]:
                continue
            place = Place("gradients", spec.dtype, spec.device, self._modules[tensor])
            if self._flags[tensor] & HAS_GRAD:
                nbytes: Any = spec.nbytes
                if tensor in held:
                    place, nbytes = place._replace(dtype=held[tensor].name), held[tensor].value
                for moment in (now, first):
                    if nbytes is None:
                        moment.unknown.setdefault("gradients", "one is of unknown size")
                    else:
                        moment.found[place] += nbytes
            elif tensor in self.sparse:
                first.unknown.setdefault("gradients", OF_SPARSE)
            elif isinstance(plain := self.plain(tensor), str):
                first.unknown.setdefault("gradients", plain)
            else:
                first.found[place] += plain.nbytes or 0

    def plain(self, tensor: int) -> TensorSpec | str:
        """What a tensor, or its shard that is here, says of its elements; the reason where it has none of its own."""
        spec, parts = self.specs[tensor], self._parts.get(tensor, ())
        if [part.name for part in parts] == [HERE]:
            return parts[0].spec
        if parts:
            return f"what a {text.class_name(spec.type)} needs is not known"
        return "a tensor is of unknown size" if spec.nbytes is None else spec

    def _add_state(self, optimizer: OptimizerRecord, now: Moment, first: Moment) -> Foreseen:
        """Of one optimizer."""
        groups = self.groups(optimizer)
        there = [kept for members in groups for kept in members if kept.state]
        for kept in there:
            for state in kept.state:
                place = Place("optimizer_state", state.dtype, state.device, kept.module)
                now.found[place] += state.nbytes
                first.found[place] += state.nbytes
        wanted = [[kept for kept in members if kept.becomes and not kept.state] for members in groups]
        if not any(wanted) or ((_is_flat(optimizer) or optimizer.steps_copies) and there):
            return Foreseen(optimizer.name, optimizer.type, "held", "")
        if optimizer.steps_copies:
            first.unknown.setdefault("optimizer_state", OF_COPIES)
            return Foreseen(optimizer.name, optimizer.type, "unknown", OF_COPIES)
        # By module or by slot, an optimizer is asked once.
        asked = [[kept.becomes for kept in members] for members in wanted]
        answer = self._snapshot.once(("first state", optimizer.name), lambda: answer_of(optimizer, asked))
        if answer.how == "unknown":
            first.unknown.setdefault("optimizer_state", answer.why)
        else:
            for members, states in zip(wanted, answer.states, strict=True):
                for kept in members:
                    for state in states[kept.becomes]:  # type: ignore[index]  # one of those that were asked for
                        place = Place("optimizer_state", state.dtype, state.device, kept.module)
                        first.found[place] += state.nbytes
        return Foreseen(optimizer.name, optimizer.type, answer.how, answer.why)

    def groups(self, optimizer: OptimizerRecord) -> list[list[Kept]]:
        """The members of each of its groups, those that it has twice once."""
        seen: set[tuple[bool, int]] = set()
        return [list(self._members(group, seen, is_flat=_is_flat(optimizer))) for group in optimizer.groups]

    def _members(self, group: GroupRecord, seen: set[tuple[bool, int]], *, is_flat: bool) -> Iterator[Kept]:
        """The members of a group that were not seen in the same optimizer before. is_flat: whether state is kept for
        all of them."""
        slots = iter(self._snapshot.slots.positions(group.slots))
        foreign = {each.position: each for each in group.foreign}
        for position in range(len(group.slots) + len(foreign)):
            state = group.states[group.state_of[position]] if group.state_of else ()
            each = foreign.get(position)
            tensor = self._snapshot.slot_columns.tensors[next(slots)] if each is None else each.tensor
            if (each is None, tensor) in seen:
                continue
            seen.add((each is None, tensor))
            if each is None:
                is_stepped = is_steppable(self._flags[tensor]) and self.are_reached[tensor]
                becomes = self._becomes(tensor) if is_stepped or is_flat else None
                yield Kept(tensor, self._modules[tensor], state, becomes)
            else:
                # What was replaced in the model gets no gradient any more.
                is_stepped = each.requires_grad and each.replaced_by is None
                yield Kept(None, NOT_IN_MODEL, state, _foreign_becomes(each) if is_stepped or is_flat else None)

    def _becomes(self, tensor: int) -> Member | str:
        plain = self.plain(tensor)
        if isinstance(plain, str):
            return plain
        return Member(plain.shape or (), plain.dtype or "", plain.device or "", tensor in self.sparse)

    def _add_activations(self, first: Moment) -> None:
        """What the forward that was run kept: by module that of those below the root, the rest as the root's own."""
        run, roots = self._snapshot.run, self._snapshot.roots
        if run is None:
            first.unknown["activations"] = "no inputs were given"
            return
        rest = run.activation_bytes
        paths, parents = self._snapshot.module_columns.paths, self._snapshot.tree.parents
        tops = dict(zip(paths, tops_of(self._snapshot), strict=True))
        called = {ran.module for ran in run.modules}
        above = {path: paths[parent] for path, parent in zip(paths, parents, strict=True) if parent >= 0}
        for ran in run.modules:
            # A list is not called itself, but what is in it.
            top, within = (tops[ran.module] if len(roots) > 1 or ran.module else None), ran.module
            while within != top and within in above and above[within] not in called:
                within = above[within]
            if within == top:
                first.found[Place("activations", None, None, within)] += ran.activation_bytes
                rest -= ran.activation_bytes
        first.found[Place("activations", None, None, "")] += rest


def _is_flat(optimizer: OptimizerRecord) -> bool:
    """Whether it keeps vectors over all members, also those without a gradient, which lie with the first of them."""
    return _LBFGS in (optimizer.type, *optimizer.bases, *optimizer.inner)


def _foreign_becomes(foreign: ForeignRecord) -> Member | str:
    if foreign.shape is None or foreign.nbytes is None:
        return "a tensor is of unknown size"
    return Member(foreign.shape, foreign.dtype or "", foreign.device or "", has_sparse_gradient=False)


def answer_of(optimizer: OptimizerRecord, members: Sequence[Sequence[Member | str | None]]) -> Answer:
    """What the first step of an optimizer will leave for members of each of its groups."""
    reason = next((each for of_group in members for each in of_group if isinstance(each, str)), None)
    if reason is not None:
        return Answer((), "unknown", reason)
    try:
        from paramscope.probe.state import first_state
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        return Answer((), "unknown", "to ask the optimizer takes torch, which is not installed")
    return first_state(
        optimizer, [dict.fromkeys(each for each in of_group if isinstance(each, Member)) for of_group in members]
    )


def _with_sparse_gradients(snapshot: Snapshot) -> set[int]:
    """Tensors that sparse embeddings alone hold: with another layer's, their gradients add up to dense ones."""
    settings, modules, slots = snapshot.interned.settings, snapshot.module_columns.settings, snapshot.slot_columns
    sparse = {number for number, each in enumerate(settings) if makes_sparse_gradients("weight", dict(each))}
    if not sparse:
        return set()
    held: dict[bool, set[int]] = {True: set(), False: set()}
    for tensor, module, name in zip(slots.tensors, slots.modules, slots.names, strict=True):
        held[modules[module] in sparse and name == "weight"].add(tensor)
    return held[True] - held[False]
