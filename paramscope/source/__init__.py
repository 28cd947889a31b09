"""The file and line of the assignment that made an attribute of a module, told from the source alone.

Source files are parsed and read, never imported; nothing of the user's runs, and nothing is read before it is
asked for. A file that was edited since the last question is read again.
"""

from paramscope.source.conditions import has_made_default as has_made_default
from paramscope.source.conditions import is_handed_on as is_handed_on
from paramscope.source.conditions import is_on_request as is_on_request
from paramscope.source.conditions import says_shared as says_shared
from paramscope.source.finder import Assignment as Assignment
from paramscope.source.owners import locate as locate
from paramscope.source.search import Located as Located
from paramscope.source.search import locate_attribute as locate_attribute
