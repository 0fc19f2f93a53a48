"""Panels side by side and below one another."""

from __future__ import annotations


def places(
    n: int, columns: int, *, height: int, gap: int, between: float
) -> list[tuple[list[float], list[float]]]:
    """The domains of n panels in reading order.

    Args:
        n: how many.
        columns: at most so many beside one another.
        height, gap: of a panel, and below it, in pixels.
        between: two panels of a row, as a share of the width.
    """
    columns = min(columns, n)
    rows = -(-n // columns)
    total = rows * height + (rows - 1) * gap
    width = (1 - between * (columns - 1)) / columns
    found = []
    for i in range(n):
        row, column = divmod(i, columns)
        left, top = column * (width + between), 1 - row * (height + gap) / total
        found.append(([left, min(1.0, left + width)], [max(0.0, top - height / total), top]))
    return found
