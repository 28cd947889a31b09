"""Findings at warning or above that remain over models of transformers, each with where it comes from and why it is
true. One that is not listed here fails the sweep: it is a false alarm, or a bug to be written up."""

from __future__ import annotations

import re
from typing import NamedTuple


class Known(NamedTuple):
    """Findings of one cause."""

    classes: str
    """A regular expression that matches the classes from their start."""
    code: str
    where: str
    """File and line in transformers 5.23."""
    why: str


_HALF = (
    "It is filled by a call that ignores the default device, so a model that is built on the meta device holds "
    "values here and none elsewhere, and its forward fails."
)
KNOWN = (
    Known("DiffLlama", "PS504", "models/diffllama/modeling_diffllama.py:238 (torch.normal)", _HALF),
    Known("ImageGPT", "PS504", "models/imagegpt/modeling_imagegpt.py:52 (torch.Tensor)", _HALF),
    Known("LwDetr", "PS504", "models/lw_detr/modeling_lw_detr.py:166 (torch.Tensor)", _HALF),
    Known("XLNet", "PS504", "models/xlnet/modeling_xlnet.py:53 (torch.FloatTensor)", _HALF),
    Known(
        "Ovis2ForConditionalGeneration",
        "PS501",
        "models/ovis2/modeling_ovis2.py:607 and 613",
        "The default configuration gives the head and the language model, to whose embedding the head is tied, "
        "different sizes, so that the head multiplies by a matrix of another shape than it says.",
    ),
)


def reason(cls: str, finding: str) -> Known | None:
    """Why a finding, in a line as `trust.suspicions` has it, is true of a class; None where that is not known."""
    code = finding.partition(": ")[2].partition(" ")[0]
    return next((known for known in KNOWN if known.code == code and re.match(known.classes, cls)), None)
