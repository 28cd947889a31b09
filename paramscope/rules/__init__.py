"""Snapshot → findings: what is wrong with a model, or worth knowing. A file a rule, a folder a hundred."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramscope.rules.discovery import discover as discover
    from paramscope.rules.engine import Checked as Checked
    from paramscope.rules.engine import check as check
    from paramscope.rules.facts import Facts as Facts
    from paramscope.rules.rule import Loaded as Loaded
    from paramscope.rules.rule import Problem as Problem
    from paramscope.rules.rule import Rule as Rule
    from paramscope.rules.rule import Undecided as Undecided
else:
    from paramscope.late import imported_late

    __getattr__ = imported_late(
        __name__,
        {
            "discovery": ("discover",),
            "engine": ("Checked", "check"),
            "facts": ("Facts",),
            "rule": ("Loaded", "Problem", "Rule", "Undecided"),
        },
    )
