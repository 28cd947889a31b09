"""Reports with findings of any words, for the formats that have to escape them."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from torch import nn

from paramscope import Finding, Location, Report, Severity, Skipped, capture

SNAPSHOT = capture(nn.Sequential(nn.Linear(2, 2)))
HOSTILE = (
    "a%0Ab::error file=x,line=1::%25 \r\n\x1b[31m<b>&\"'`|*_]]>](http://x) {0} ##[error] \u202e\u2028 \x00 \ud800 中"
)

WORDS = st.one_of(st.text(), st.sampled_from([HOSTILE, "", "%", "::", "]]>", "a,b:c", "layers[0].weight"]))
LOCATIONS = st.none() | st.builds(
    Location, st.one_of(st.just("net.py"), st.text(min_size=1)), st.integers(min_value=1, max_value=10**6)
)


def finding(
    code: str = "PS101",
    severity: Severity = Severity.ERROR,
    message: str = "It is hidden.",
    paths: tuple[str, ...] = ("0.weight",),
    location: Location | None = Location("net.py", 3),  # noqa: B008  # a plain value
    help: str = "Register it.",
) -> Finding:
    """A finding with everything in it."""
    return Finding(code, "module-in-container", severity, message, paths, location, help)


FINDINGS = st.builds(
    finding,
    st.sampled_from(["PS101", "PS501", "EX001"]) | st.text(min_size=1),
    st.sampled_from(Severity),
    WORDS,
    st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    LOCATIONS,
    WORDS,
)


def report(
    *findings: Finding,
    ignored: tuple[Finding, ...] = (),
    skipped: tuple[Skipped, ...] = (),
    target: str | None = "net.py:Net",
) -> Report:
    """A report on a small model with these findings."""
    return Report(SNAPSHOT, findings=findings, ignored=ignored, skipped=skipped, target=target)


def rendering(format: str) -> Callable[..., str]:
    """What renders a report in one text format."""

    def render(drawn: Report, **options: str) -> str:
        text = drawn.render(format, **options)
        assert isinstance(text, str)
        return text

    return render


REPORTS = st.builds(
    lambda findings, ignored, target: report(*findings, ignored=tuple(ignored), target=target),
    st.lists(FINDINGS, max_size=4),
    st.lists(FINDINGS, max_size=2),
    st.none() | WORDS,
)
