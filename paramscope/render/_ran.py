"""What a run showed of modules → cells, and of the whole → sentences."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from paramscope import text
from paramscope.render._pieces import Name, Pieces
from paramscope.report.data import ReportData
from paramscope.snapshot import ModuleRun, Run, SlotRecord, TensorRun

HEADERS = ("output", "FLOPs", "kept")
"""Of the cells of a module."""
GRADIENT_HEADERS = ("grad norm", "update")
"""Of the cells of what holds slots."""
_MODULES = ("output", "flops", "activations", "reached")
_GRADIENTS = (*_MODULES, "grad", "grad_norm", "changed_by")
COLUMNS = {"graph": _MODULES, "backward": _GRADIENTS, "step": (*_GRADIENTS, "update_ratio")}
"""Names of the columns that a list of slots has besides, by what was run."""
_KINDS = {
    "graph": "forward without elements",
    "backward": "forward and backward",
    "step": "forward, backward and step",
}
_UNCOUNTED = 5
"""Operations without a formula that are named."""


def cells(report: ReportData, modules: Sequence[int]) -> tuple[str, str, str]:
    """What a module, or several alike, did, under HEADERS: sums of all, and what most of them returned."""
    ran = [found for module in modules if (found := report.snapshot.run_of_module(module))]
    if not ran:
        # A list of modules is not called itself, but what is in it.
        within = [each for module in modules for each in _called_within(report, module)]
        return ("" if within else "not called"), *_figures(within)
    outputs = Counter(each.output for each in ran)
    output = outputs.most_common(1)[0][0].replace(f" {_usual_dtype(report)}", "")
    several = " …" if len(outputs) > 1 else ""
    calls = sorted({each.calls for each in ran})
    often = f" ({calls[0]}{f'-{calls[-1]}' if len(calls) > 1 else ''} calls)" if calls != [1] else ""
    rest = f" ({len(ran)} of {len(modules)} called)" if len(ran) < len(modules) else ""
    return f"{text.plain(output)}{several}{often}{rest}", *_figures(ran)


def gradient_cells(report: ReportData, slots: Sequence[int]) -> tuple[str, str]:
    """What backward and the step did to some slots, under GRADIENT_HEADERS: the norm of all their gradients together,
    the least and the greatest share of a weight that the step added."""
    snapshot = report.snapshot
    tensors = {snapshot.slot_columns.tensors[slot] for slot in slots}
    told = [found for tensor in tensors if (found := snapshot.run_of_tensor(tensor))]
    ran = [each for each in told if each.reached is not None]  # what can have a gradient
    norms = [each.grad_norm for each in ran if each.grad_norm is not None]
    norm = f"{math.hypot(*norms):.3g}" if norms else ""
    ratios = [ratio for each in ran if (ratio := update_of(each)) is not None]
    ends = (_power(ratio) for ratio in (min(ratios), max(ratios))) if ratios else ()
    return "non-finite" if any(each.grad == "non-finite" for each in ran) else norm, "…".join(dict.fromkeys(ends))


def update_of(ran: TensorRun | SlotRecord) -> float | None:
    """The share that the step added; infinite for what was all zeros, as one of the two of a fresh adapter, and has
    moved by more than any share of it. None for what no step moved."""
    is_from_zero = ran.update_ratio is None and "step" in (ran.changed_by or ())
    return math.inf if is_from_zero else ran.update_ratio


def _power(ratio: float) -> str:
    """`1e-3`, `2e+1`, `0`."""
    return re.sub(r"(?<=[+-])0", "", f"{ratio:.0e}") if ratio else "0"


def _figures(ran: Sequence[ModuleRun]) -> tuple[str, str]:
    """Operations and bytes of some modules, none of which lies in another."""
    flops, kept = sum(each.flops for each in ran), sum(each.activation_bytes for each in ran)
    return text.scaled(flops) if flops else "", text.nbytes(kept) if kept else ""


def _called_within(report: ReportData, module: int) -> Iterator[ModuleRun]:
    """The topmost modules below one that were called."""
    children = report.snapshot.tree.children
    pending = list(children.get(module, ()))
    while pending:
        ran = report.snapshot.run_of_module(each := pending.pop())
        if ran is not None:
            yield ran
        else:
            pending.extend(children.get(each, ()))


def _usual_dtype(report: ReportData) -> str:
    """What most outputs are, and is said once."""

    def usual() -> str:
        found = Counter(each.output.rpartition(" ")[2] for each in report.run.modules) if report.run else None
        return found.most_common(1)[0][0] if found else ""

    return report.snapshot.once("usual dtype of outputs", usual)


def sentences(report: ReportData) -> list[Pieces]:
    """What was run, and what it came to; nothing where nothing was."""
    run = report.run
    if run is None:
        return []
    return [[f"ran {_KINDS[run.kind]}: ", Name(run.call), f", loss: {run.loss}"], *_sums(report, run)]


def _sums(report: ReportData, run: Run) -> list[Pieces]:
    reached = [each.reached for each in run.tensors if each.reached is not None]
    named = [name for name, _ in run.uncounted]
    more = f" and {len(named) - _UNCOUNTED} more" if len(named) > _UNCOUNTED else ""
    missing = f" (not counted: {', '.join(named[:_UNCOUNTED])}{more})" if named else ""
    return [
        [f"FLOPs: {text.scaled(run.flops)}{missing}"],
        [
            f"kept for backward: {text.nbytes(run.activation_bytes)} · inputs: {text.nbytes(run.input_bytes)} · "
            f"with the model: {text.nbytes(report.totals.nbytes + run.activation_bytes + run.input_bytes)} · "
            f"reached by the loss: {sum(reached):,} of {text.plural(len(reached), 'tensor')}"
        ],
        *([note] for note in run.notes),
    ]
