"""The file and line of the assignment that made an attribute of a module, told from the source alone.

Source files are parsed and read, never imported; nothing of the user's runs, and nothing is read before it is
asked for. A file that was edited since the last question is read again.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paramscope.source import blame as blame
    from paramscope.source import causes as causes
    from paramscope.source import comments as comments
    from paramscope.source import conditions as conditions
    from paramscope.source import contents as contents
    from paramscope.source import definitions as definitions
    from paramscope.source import files as files
    from paramscope.source import finder as finder
    from paramscope.source import forward as forward
    from paramscope.source import forward_uses as forward_uses
    from paramscope.source import freezing as freezing
    from paramscope.source import locals as locals
    from paramscope.source import optimizers as optimizers
    from paramscope.source import owners as owners
    from paramscope.source import purpose as purpose
    from paramscope.source import search as search
    from paramscope.source import stages as stages
    from paramscope.source import syntax as syntax
    from paramscope.source import uses as uses
else:
    from paramscope.late import imported_late

    __getattr__ = imported_late(__name__)
