"""What packages that add rules or formats import: these names stay, whatever moves behind them.

A rule is a module with `RULE`, `check` and a docstring that is its page, named by an entry point of the group
`paramscope.rules`. A format is a function `render(report, *, options) -> str | bytes`, named by one of the group
`paramscope.renderers`.
"""

from paramscope.report.face import Report as Report
from paramscope.report.finding import Finding as Finding
from paramscope.report.finding import Location as Location
from paramscope.report.finding import Severity as Severity
from paramscope.rules.facts import Facts as Facts
from paramscope.rules.facts import ModuleKind as ModuleKind
from paramscope.rules.facts import SlotKind as SlotKind
from paramscope.rules.rule import Problem as Problem
from paramscope.rules.rule import Rule as Rule
from paramscope.rules.rule import Undecided as Undecided
from paramscope.text import name as printable_name
from paramscope.text import plain as printable_text

__all__ = [
    "Facts",
    "Finding",
    "Location",
    "ModuleKind",
    "Problem",
    "Report",
    "Rule",
    "Severity",
    "SlotKind",
    "Undecided",
    "printable_name",
    "printable_text",
]
