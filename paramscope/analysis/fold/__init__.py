"""Repeated siblings as one: `layers.[0-31].attn.q.weight`, in time linear in the number of slots.

What differs stands apart, and only that: of 80 blocks with one frozen weight in block 7, the rows of that weight are
two, and all other rows are of 80 blocks.
"""

from paramscope.analysis.fold.build import Node as Node
from paramscope.analysis.fold.build import Row as Row
from paramscope.analysis.fold.build import fold_slots as fold_slots
from paramscope.analysis.fold.build import fold_tree as fold_tree
from paramscope.analysis.fold.build import rows_below as rows_below
from paramscope.analysis.fold.build import unfolded as unfolded
from paramscope.analysis.fold.build import unfolded_tree as unfolded_tree
from paramscope.analysis.fold.signatures import Told as Told
