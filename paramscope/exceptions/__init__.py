"""Findings → those that stand, and those that a comment, a pyproject.toml or a baseline declares to be accepted."""

from paramscope.exceptions.apply import Applied as Applied
from paramscope.exceptions.apply import CommentError as CommentError
from paramscope.exceptions.apply import Exceptions as Exceptions
from paramscope.exceptions.apply import Ignored as Ignored
from paramscope.exceptions.apply import accepted as accepted
from paramscope.exceptions.apply import apply as apply
from paramscope.exceptions.apply import check_comments as check_comments
from paramscope.exceptions.apply import declared_by_comments as declared_by_comments
from paramscope.exceptions.apply import overridden as overridden
from paramscope.exceptions.baseline import Baseline as Baseline
from paramscope.exceptions.baseline import BaselineError as BaselineError
from paramscope.exceptions.baseline import read_baseline as read_baseline
from paramscope.exceptions.baseline import to_baseline as to_baseline
from paramscope.exceptions.baseline import write_baseline as write_baseline
from paramscope.exceptions.fingerprint import fingerprint as fingerprint
from paramscope.exceptions.fingerprint import fingerprints as fingerprints
from paramscope.exceptions.stale import Ran as Ran
from paramscope.exceptions.stale import stale as stale
