"""Snapshot → findings: what is wrong with a model, or worth knowing. A file a rule, a folder a hundred."""

from paramscope.rules.discovery import discover as discover
from paramscope.rules.engine import Checked as Checked
from paramscope.rules.engine import check as check
from paramscope.rules.facts import Facts as Facts
from paramscope.rules.rule import Loaded as Loaded
from paramscope.rules.rule import Problem as Problem
from paramscope.rules.rule import Rule as Rule
from paramscope.rules.rule import Undecided as Undecided
