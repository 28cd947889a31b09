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
from itertools import takewhile
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
DEPENDS = "what forward does depends on the elements of a tensor"
"""The problem of an error that is a limit of ours."""
PATIENCE = 20.0
"""Seconds after which no other inputs are tried."""
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
            model = _built(job, cls, "meta")
        except NotBuilt:
            model = _built(job, cls, "cpu")
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


def _built(job: Job, cls: type, where: str) -> nn.Module:
    """A model that drops no layers: which ones, chance decides."""
    model = build(job, cls, where)
    for part in (*model.modules(), *(each.config for each in model.modules() if hasattr(each, "config"))):
        for name in [each for each in getattr(part, "__dict__", ()) if "layerdrop" in each]:
            setattr(part, name, 0.0)
    return model


def _graph(model: nn.Module) -> tuple[Report | None, str, dict[str, Any]]:
    """(report, why there is none, inputs) of the first inputs that the model takes."""
    why_not, start = "", time.perf_counter()
    for inputs in takewhile(lambda _: time.perf_counter() - start < PATIENCE, _candidates(model)):
        try:
            return audit(model, inputs=inputs), "", inputs
        except RunError as error:  # noqa: PERF203
            reason = _reason(error)
            why_not = reason if not why_not or reason == DEPENDS else why_not
    return None, why_not or "its inputs are not known", {}


def _compared(job: Job, cls: type, inputs: dict[str, Any]) -> str:
    """How what a real backward reaches differs from what `graph` does, on one model with memory."""
    try:
        model = _built(job, cls, "cpu")
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
    if cause is None or DEPENDS in error.problem:
        return error.problem.partition(", at ")[0]
    return reason_of(cause)


def _candidates(model: Any) -> Iterator[dict[str, Any]]:
    """Inputs that a model may take, the likeliest first."""
    parameters = inspect.signature(model.forward).parameters
    known = {name: made for name in parameters if (made := _guesses(name, parameters, model.config))}
    needed = [name for name, each in parameters.items() if each.default is each.empty and each.kind in _NAMED]
    if model.config.is_encoder_decoder and "decoder_input_ids" in known:
        needed.append("decoder_input_ids")
    main = getattr(model, "main_input_name", "input_ids")
    together = [[main] if isinstance(main, str) else main]
    together += [[name] for name in _MAIN] + [["input_ids", name] for name in _MAIN[1:]]
    together.append([name for name in known if name.endswith("_ids")])
    together.append([name for name in known if not name.endswith("embeds")])
    first: dict[str, Any] = {}
    tried = []
    for names in together:
        chosen = sorted({*names, *needed})
        if chosen in tried or not all(name in known for name in chosen):
            continue
        tried.append(chosen)
        for at in range(max((len(known[name]) for name in chosen), default=0)):
            guess = {name: known[name][min(at, len(known[name]) - 1)] for name in chosen}
            first = first or guess
            yield guess
    if type(model).dummy_inputs is not transformers.PreTrainedModel.dummy_inputs:
        yield model.dummy_inputs
    # Batches that norms can tell apart, and of which as many books of codes are made as is usual.
    yield {name: torch.cat([each] * 4) for name, each in first.items()}


_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_MAIN = ("input_ids", "pixel_values", "pixel_values_videos", "input_values", "input_features")


def _config(config: Any, *names: str, default: Any = None) -> Any:
    """What a configuration says under one of some names, or what one within it does, the outermost first."""
    parts = [config]
    for part in parts:
        for name in names:
            if getattr(part, name, None) is not None:
                return getattr(part, name)
        parts += [each for each in vars(part).values() if isinstance(each, transformers.PreTrainedConfig)]
    return default


def _guesses(name: str, beside: Iterable[str], config: Any) -> list[torch.Tensor]:
    """What forward may want under a name, the likeliest first. beside: the names of all that it takes."""
    width, bins = _config(config, "hidden_size", "d_model", default=768), _bins(config)
    channels = _config(config, "num_channels", "in_channels", "in_chans", default=3)
    if name in ("pixel_values", "hidden_states") and any(each.endswith("grid_thw") for each in beside):
        side, steps = _config(config, "patch_size", default=14), _config(config, "temporal_patch_size", default=1)
        patches = torch.zeros(_TOKENS, channels, steps, side, side)
        return [patches.flatten(1), patches[:, :, 0], torch.zeros(_TOKENS, width)]
    if name.startswith("pixel_values"):
        size = _config(config, "image_size", "crop_size", default=224)
        sides = list(size.values()) if isinstance(size, dict) else size
        image = torch.zeros(1, channels, *([sides] * 2 if isinstance(sides, int) else list(sides)[-2:]))
        video = image[:, None].repeat(1, _config(config, "num_frames", "frames_per_clip", default=2), 1, 1, 1)
        return [video] if name == "pixel_values_videos" else [image, video]
    if name.endswith("grid_thw"):
        return [torch.tensor([[1, 4, _TOKENS // 4]])]
    if name.endswith("_ids"):
        return [torch.ones(1, _TOKENS // 2 if name == "decoder_input_ids" else _TOKENS, dtype=torch.long)]
    if name in ("inputs_embeds", "hidden_states", "query_embeds"):
        return [torch.zeros(1, _TOKENS, each) for each in (width, _config(config, "input_dim", default=bins))]
    if name == "input_values":
        sound = torch.zeros(1, _SAMPLES)
        return [sound, sound[:, None], torch.zeros(1, _config(config, "max_length", default=1_024), bins)]
    if name in ("input_features", "input_features_mask", "spectrogram", "mel_spectrogram"):
        frames = 2 * _config(config, "max_source_positions", default=1_500)
        features = torch.zeros(1, bins, frames)
        return [torch.ones(1, frames, dtype=torch.bool)] if "mask" in name else [features, features.mT]
    if name.startswith("past_"):
        steps = _config(config, "context_length", "prediction_length", default=64)
        steps += max(_config(config, "lags_sequence", default=[0]))
        one = torch.ones(1, steps)
        times = torch.ones(1, steps, _config(config, "num_time_features", "num_input_channels", default=1))
        return [times] if "time" in name else [one, times]
    return [torch.zeros(1, _TOKENS, 4)] if name == "bbox" else []


def _bins(config: Any) -> int:
    return int(_config(config, "num_mel_bins", "input_feat_per_channel", "feature_size", "model_in_dim", default=80))


def page(outcomes: Iterable[Ran | Lost], minutes: float, again: str = "") -> str:
    """The page. again: model types that were run once more after the sweep."""
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
        f"torch {torch.__version__}." + (f" Run once more since: {again.replace(',', ', ')}." if again else ""),
        "",
        "For every model type the base model and one head are built from the default configuration, and run once with "
        f'`run="graph"`: {_TOKENS} tokens, one image, or one second of sound, as the configuration says, or '
        "what else is guessed from the signature of forward and the configuration. Where no guess fits, it is counted "
        "below: that forward depends on elements, if a guess gets so far, or the model's own error with the first one. "
        "No layers are dropped at random. What is reached is compared with a real backward where the model is small "
        "enough.",
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
    parser.add_argument("--again", metavar="TYPES", help="run only these, and take the rest from the kept results")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    start = time.monotonic()
    chosen = options.again or options.types
    todo = jobs(chosen.split(",") if chosen else None)
    minutes, outcomes = pickle.loads(options.keep.read_bytes()) if options.again else (0.0, [])
    types = {job.type for job in todo}
    outcomes = [each for each in outcomes if each.job.type not in types]
    before = len(outcomes)
    for outcome in sweep(todo, run, prepare=limit_memory, workers=options.workers):
        outcomes.append(outcome)
        done = len(outcomes) - before
        if done % 50 == 0 or done == len(todo):
            echo(f"{done} of {len(todo)} after {time.monotonic() - start:.0f} s", err=True)
    minutes = minutes or (time.monotonic() - start) / 60
    if options.keep:
        options.keep.write_bytes(pickle.dumps((minutes, outcomes)))
    text = page(outcomes, minutes, options.again or "")
    echo(text.partition("## Findings")[0])
    if options.write:
        options.write.write_text(text, encoding="utf-8")
    return int(any(isinstance(each, Ran) and "differ" in each.compared for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
