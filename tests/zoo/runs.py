"""`python -m zoo.runs`: runs `graph` over all model types, holds what it reaches against a real backward on small ones,
and writes a page.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import os
import pickle
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from click import echo
from tabulate import tabulate
from torch import nn

from paramscope import Report, audit
from paramscope.errors import RunError
from zoo.build import NotBuilt, build, find
from zoo.build import reason as reason_of
from zoo.catalogue import Job, jobs
from zoo.sweep import Lost, Say, sweep
from zoo.task import limit_memory

REAL = 50_000_000
"""Elements up to which a model is also run for real."""
_TOKENS, _SAMPLES = 16, 16_000


class Ran(NamedTuple):
    """What came of one class."""

    job: Job
    why_not: str
    """Why it did not run; empty where it did."""
    is_built: bool
    inputs: str
    trainable: int
    """Tensors that can be reached."""
    unreached: int
    compared: str
    """`equal`, or how a real backward differs; empty where none was run."""
    findings: tuple[str, ...]
    """Codes of the rules on runs, with severities, but for what is said of what the inputs leave out."""
    seconds: float


def run(job: Job, say: Say) -> Ran:
    """Builds one class, on the meta device where that goes, and runs it."""
    start = time.perf_counter()
    os.environ["HF_HUB_OFFLINE"] = "1"
    warnings.simplefilter("ignore")
    say("building")
    try:
        cls = find(job)
        job = job._replace(cls=cls.__name__)
        try:
            model = build(job, cls, "meta")
        except NotBuilt:
            model = build(job, cls, "cpu")
        size = sum(each.numel() for each in model.parameters())
    except NotBuilt as error:
        return Ran(job, str(error), False, "", 0, 0, "", (), time.perf_counter() - start)
    say("running")
    report, why_not, given = _graph(model)
    compared = ""
    if report is not None and size <= REAL:
        say("comparing")
        compared = _compared(job, cls, given)
    gc.collect()
    seconds = time.perf_counter() - start
    if report is None or report.run is None:
        return Ran(job, why_not, True, "", 0, 0, "", (), seconds)
    reached = [each.reached for each in report.run.tensors if each.reached is not None]
    codes = tuple(
        sorted({f"{each.code} {each.severity.value}" for each in report.findings if each.code[:3] == "PS7"})
    )
    return Ran(job, "", True, report.run.inputs, len(reached), reached.count(False), compared, codes, seconds)


def _graph(model: nn.Module) -> tuple[Report | None, str, dict[str, Any]]:
    """(report, why there is none, inputs) of the first inputs that the model takes."""
    why_not = ""
    for inputs in _candidates(model):
        try:
            return audit(model, inputs=inputs), "", inputs
        except RunError as error:  # noqa: PERF203
            why_not = why_not or _reason(error)
    return None, why_not or "its inputs are not known", {}


def _compared(job: Job, cls: type, inputs: dict[str, Any]) -> str:
    """How what a real backward reaches differs from what `graph` does, on one model with memory."""
    try:
        model = build(job, cls, "cpu")
    except NotBuilt as error:
        return f"not built with memory: {error}"
    try:
        torch.manual_seed(0)
        one = audit(model, inputs=inputs)
        other = audit(model, inputs=inputs, run="backward")
    except RunError as error:
        return f"not run: {_reason(error)}"
    sets = [{slot.path for slot in each.slots.records() if slot.reached} for each in (one, other)]
    odd = sorted(sets[0] ^ sets[1])
    return f"{len(odd)} differ, such as {odd[0]}" if odd else "equal"


def _reason(error: RunError) -> str:
    cause = error.__cause__
    if cause is None or "elements of a tensor" in error.problem:
        return error.problem.partition(", at ")[0]
    return reason_of(cause)


def _candidates(model: Any) -> Iterator[dict[str, Any]]:
    """Inputs that a model may take, the likeliest first."""
    forward = inspect.signature(model.forward).parameters
    known = {name: make(model.config) for name, make in _MAKERS.items() if name in forward}
    main = getattr(model, "main_input_name", "input_ids")
    decoded = {
        name: known[name] for name in ("decoder_input_ids",) if name in known and model.config.is_encoder_decoder
    }
    for names in ((main,), ("pixel_values",), ("input_ids",), ("input_ids", "pixel_values"), ("input_values",)):
        if all(name in known for name in names):
            yield {name: known[name] for name in names} | decoded
    yield {}


def _config(config: Any, *names: str, default: Any) -> Any:
    parts = [config, *(getattr(config, name, None) for name in ("vision_config", "audio_config", "encoder"))]
    found = [getattr(part, name, None) for part in parts if part is not None for name in names]
    return next((each for each in found if each is not None), default)


def _image(config: Any) -> torch.Tensor:
    size = _config(config, "image_size", default=224)
    sides = (
        (size, size) if isinstance(size, int) else tuple(size)[-2:] if isinstance(size, (tuple, list)) else (224, 224)
    )
    return torch.zeros(1, _config(config, "num_channels", "in_channels", default=3), *sides)


def _features(config: Any) -> torch.Tensor:
    bins = _config(config, "num_mel_bins", "input_feat_per_channel", "feature_size", default=80)
    return torch.zeros(1, bins, 2 * _config(config, "max_source_positions", default=1_500))


_MAKERS: dict[str, Any] = {
    "input_ids": lambda _: torch.ones(1, _TOKENS, dtype=torch.long),
    "decoder_input_ids": lambda _: torch.ones(1, _TOKENS // 2, dtype=torch.long),
    "pixel_values": _image,
    "input_values": lambda _: torch.zeros(1, _SAMPLES),
    "input_features": _features,
}


def page(outcomes: Iterable[Ran | Lost], minutes: float) -> str:
    """The page."""
    everything = sorted(outcomes, key=lambda each: each.job)
    lost = [each for each in everything if isinstance(each, Lost)]
    built = [each for each in everything if isinstance(each, Ran) and each.is_built]
    ran = [each for each in built if not each.why_not]
    compared = [each for each in ran if each.compared]
    differing = [each for each in compared if each.compared not in ("equal",) and "differ" in each.compared]
    unable = [each for each in compared if each.compared != "equal" and each not in differing]
    figures = [
        ("classes", len(everything)),
        ("of which built", len(built)),
        ("of which `graph` runs", len(ran)),
        ("of which every parameter is reached", sum(not each.unreached for each in ran)),
        (f"of up to {REAL // 10**6} million elements, run for real, too", len(compared) - len(unable)),
        ("of which backward reaches the same", sum(each.compared == "equal" for each in compared)),
        ("without an answer", len(lost)),
    ]
    lines = [
        "# `graph` over every architecture of transformers",
        "",
        f"Made by `make zoo-runs` in {minutes:.0f} minutes; not edited by hand. transformers {transformers.__version__}, "
        f"torch {torch.__version__}.",
        "",
        "For every model type the base model and one head are built from the default configuration, and run once with "
        f'`run="graph"`: {_TOKENS} tokens, one image, or one second of sound, as the configuration says. The inputs are '
        "guessed from the signature of forward, and where they are wrong the model's own error is counted below. What "
        "is reached is compared with a real backward where the model is small enough.",
        "",
        tabulate(
            [(what, f"{number:,}") for what, number in figures],
            ["what", "number"],
            "pipe",
            colalign=("left", "right"),
        ),
        "",
        "## Backward reaches something else",
        "",
        *([f"- {each.job.type} ({each.job.cls}): {each.compared}" for each in differing] or ["Nowhere."]),
        "",
        "## Findings",
        "",
        "Of the rules on runs, above info. That a part is not reached is true of these inputs.",
        "",
        *_findings(ran),
        "",
        "## Not run",
        "",
        *_by_reason((each.why_not, each.job) for each in built if each.why_not),
        "",
        "## Run by `graph` and not for real",
        "",
        *_by_reason((each.compared, each.job) for each in unable),
    ]
    if lost:
        lines += ["", "## Without an answer", "", *_by_reason((each.reason, each.job) for each in lost)]
    return "\n".join(lines) + "\n"


def _findings(ran: list[Ran]) -> list[str]:
    codes = Counter(code for each in ran for code in each.findings if not code.endswith("info"))
    return [
        f"- {code} ({number}): "
        + ", ".join(f"{each.job.type} ({each.job.cls})" for each in ran if code in each.findings)
        for code, number in sorted(codes.items())
    ] or ["None."]


def _by_reason(found: Iterable[tuple[str, Job]]) -> list[str]:
    """A line for each reason, the commonest first."""
    jobs_of: dict[str, list[Job]] = {}
    for why, job in found:
        jobs_of.setdefault(why.replace("`", "'").replace("\n", " "), []).append(job)
    ordered = sorted(jobs_of.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return [
        f"- `{why}` ({len(of)}): " + ", ".join(f"{job.type} ({job.cls or 'no class'})" for job in of)
        for why, of in ordered
    ] or ["None."]


def main() -> int:
    """Runs the sweep; exits with 1 where backward reaches something else."""
    parser = argparse.ArgumentParser(prog="zoo.runs", description=__doc__)
    parser.add_argument("--types", help="model types, separated by commas; all, if left out")
    parser.add_argument("--write", type=Path, metavar="PAGE.md")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the results, pickled")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    start = time.monotonic()
    todo = jobs(options.types.split(",") if options.types else None)
    outcomes = []
    for outcome in sweep(todo, run, prepare=limit_memory, workers=options.workers):
        outcomes.append(outcome)
        if len(outcomes) % 50 == 0 or len(outcomes) == len(todo):
            echo(f"{len(outcomes)} of {len(todo)} after {time.monotonic() - start:.0f} s", err=True)
            if options.keep:
                options.keep.write_bytes(pickle.dumps(outcomes))
    text = page(outcomes, (time.monotonic() - start) / 60)
    echo(text.partition("## Findings")[0])
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return int(any(isinstance(each, Ran) and "differ" in each.compared for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
