"""A seeded stream of choices that is the same on every machine and Python version.

Only ``random()`` and ``getrandbits()`` of the Mersenne Twister are used, and floats are only
multiplied and compared: no ``choices``, no ``shuffle``, no ``gauss``, no hash seed, no clock.
"""

from __future__ import annotations

from base64 import b64encode
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from random import Random
from typing import TypeVar

SEED = 20_261_101
"""The seed of the bundled sample, and of everything else where no other is given."""

T = TypeVar("T")

Quantiles = Sequence[tuple[float, int]]
"""Points of a distribution: (share of values at or below, value), shares rising from 0 to 1."""


class Dice:
    """One stream of choices, named by its seed and the purpose it serves."""

    __slots__ = ("_name", "bits", "fraction")

    def __init__(self, *name: object) -> None:
        self._name = name
        digest = blake2b("/".join(map(str, name)).encode(), digest_size=16).digest()
        stream = Random(int.from_bytes(digest, "big"))
        self.fraction = stream.random
        self.bits = stream.getrandbits

    def child(self, *name: object) -> Dice:
        """Return a stream of its own, which does not move this one."""
        return Dice(*self._name, *name)

    def below(self, limit: int) -> int:
        """Return an integer from 0 to ``limit - 1``."""
        return int(self.fraction() * limit)

    def between(self, low: int, high: int) -> int:
        """Return an integer from ``low`` to ``high``, both included."""
        return low + int(self.fraction() * (high - low + 1))

    def chance(self, share: float) -> bool:
        """Return True in ``share`` of the calls."""
        return self.fraction() < share

    def pick(self, values: Sequence[T]) -> T:
        """Return one of ``values``, each as likely as the others."""
        return values[int(self.fraction() * len(values))]

    def weighted(self, table: Sequence[tuple[T, int]]) -> T:
        """Return one value of ``table``, whose rows are (value, weight)."""
        point = self.below(sum(weight for _, weight in table))
        for value, weight in table:
            point -= weight
            if point < 0:
                return value
        return table[-1][0]

    def quantile(self, points: Quantiles) -> int:
        """Return a value distributed as ``points`` say, straight lines between them."""
        share = self.fraction()
        index = min(bisect_right(points, (share,)), len(points) - 1)
        (low_share, low), (high_share, high) = points[index - 1], points[index]
        return low + int((high - low) * (share - low_share) / (high_share - low_share))

    def hexadecimal(self, digits: int) -> str:
        """Return ``digits`` hexadecimal digits."""
        return f"{self.bits(digits * 4):0{digits}x}"

    def uuid(self) -> str:
        """Return a version 4 UUID."""
        digits = f"{self.bits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def letters(self, count: int) -> str:
        """Return ``count`` characters out of ``A-Za-z0-9``."""
        return self.base64(count * 3 // 4 + 3)[:count].replace("+", "x").replace("/", "Y")

    def base64(self, size: int) -> str:
        """Return the base64 text of ``size`` random bytes."""
        return b64encode(self.bits(size * 8).to_bytes(size, "big")).decode("ascii")
