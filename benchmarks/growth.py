"""How a cost grows with the size of the model: the slope of log cost over log size."""

from __future__ import annotations

import math
from collections.abc import Mapping


def exponent(seconds: Mapping[int, float]) -> float | None:
    """Least-squares slope in log-log of seconds by size; None for fewer than two sizes."""
    if len(seconds) < 2:
        return None
    points = [(math.log(size), math.log(cost)) for size, cost in seconds.items()]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
