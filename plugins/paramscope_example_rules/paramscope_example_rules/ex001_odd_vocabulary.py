"""The number of rows of an embedding is not a multiple of 64.

What it finds
: An `nn.Embedding` of at least 1,000 rows whose number is not a multiple of 64.

Why it matters
: The output layer multiplies by that many rows. Matrix units work in tiles, and a number that fills them is faster:
  50,304 rows instead of 50,257.

Example
```python
from torch import nn

model = nn.Embedding(50_257, 4)
```

Instead
```python
from torch import nn

model = nn.Embedding(50_304, 4)
```

When it is wrong to follow it
: Where a checkpoint has that many rows already, or where nothing is multiplied by the embedding.
"""

from __future__ import annotations

from collections.abc import Iterator

from paramscope.plugin import Facts, Problem, Rule, Severity, Undecided

RULE = Rule("EX001", "odd-vocabulary", Severity.WARNING)

_TILE = 64
_SMALL = 1_000


def check(facts: Facts) -> Iterator[Problem | Undecided]:
    """Each kind of slot is examined once: a model of thousands of layers has few kinds."""
    for kind in facts.slot_kinds:
        rows = kind.owner.settings.get("num_embeddings")
        if kind.name != "weight" or type(rows) is not int or rows < _SMALL or rows % _TILE == 0:
            continue
        padded = -(-rows // _TILE) * _TILE
        for path in facts.paths(kind.slots):
            yield Problem(
                (path,),
                f"{{0}} has {rows:,} rows, which is not a multiple of {_TILE}: its last tile is partly empty.",
                f"Leave the last rows unused: nn.Embedding({padded}, …).",
            )
