"""The file and line of the assignment that made an attribute of a module, told from the source alone.

Source files are parsed and read, never imported; nothing of the user's runs, and nothing is read before it is
asked for. A file that was edited since the last question is read again.
"""

from paramscope.source.blame import locate_cause as locate_cause
from paramscope.source.blame import locate_odd_attribute as locate_odd_attribute
from paramscope.source.blame import locate_replaced as locate_replaced
from paramscope.source.causes import Cause as Cause
from paramscope.source.conditions import has_made_default as has_made_default
from paramscope.source.conditions import is_handed_on as is_handed_on
from paramscope.source.conditions import is_on_request as is_on_request
from paramscope.source.conditions import says_shared as says_shared
from paramscope.source.finder import Assignment as Assignment
from paramscope.source.optimizers import locate_optimizer as locate_optimizer
from paramscope.source.owners import locate as locate
from paramscope.source.search import Located as Located
from paramscope.source.search import locate_attribute as locate_attribute
