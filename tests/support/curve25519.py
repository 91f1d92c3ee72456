"""The curve of Ed25519 with Python's integers, for making what no library makes.

Is:     points by their coordinates, slow and plain.
Is not: fit for secrets: how long it takes depends on them.
Fits:   tests of keys and signatures.
Source: RFC 8032, 5.1.
"""

from __future__ import annotations

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the base point
IDENTITY = (0, 1)

Point = tuple[int, int]


def add(left: Point, right: Point) -> Point:
    """Return the sum of two points."""
    (x1, y1), (x2, y2) = left, right
    t = D * x1 * x2 * y1 * y2 % P
    return (
        (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P,
    )


def times(number: int, point: Point) -> Point:
    """Return a point added to itself so many times."""
    total = IDENTITY
    while number:
        if number & 1:
            total = add(total, point)
        point, number = add(point, point), number >> 1
    return total


def x_of(y: int) -> int | None:
    """Return one of the two x of a y; None if there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    if (root * root - square) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    return root if (root * root - square) % P == 0 else None


def encoded(point: Point) -> bytes:
    """Return the 32 bytes of a point."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def small_order_points() -> set[Point]:
    """Return the torsion subgroup: points of the curve times the order of its prime subgroup."""
    found: set[Point] = set()
    for y in range(2, 60):
        x = x_of(y)
        if x is not None:
            found.add(times(ORDER, (x, y)))
    for point in list(found):
        for multiple in range(8):
            found.add(times(multiple, point))
    return found


def _base() -> Point:
    y = 4 * pow(5, -1, P) % P
    x = x_of(y)
    assert x is not None, y
    return (x if x % 2 == 0 else P - x), y


BASE = _base()
