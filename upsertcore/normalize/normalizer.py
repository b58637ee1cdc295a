"""
The type of a normaliser, and normalisers with parameters.

Rules:
    A normaliser is a function from a value to the form that is compared.
    One with parameters is equal to another of the same parameters, also when pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

__all__ = ["Normalizer", "ParameterNormalizer"]

Normalizer = Callable[[Any], str | None]
"""Takes one value (one item of a list), and returns its normal form or None."""


@final
class ParameterNormalizer:
    """
    A normaliser with parameters; it compares and pickles by these.

    Args:
        factory: The public function that makes it.
        argument: The argument of that function.
        normalize: The normaliser.

    >>> from upsertcore import normalize
    >>> normalize.prefix(3) == normalize.prefix(3), normalize.prefix(3)
    (True, prefix(3))
    """

    __slots__ = ("_argument", "_factory", "_normalize")

    def __init__(
        self, factory: Callable[[Any], Normalizer], argument: Any, normalize: Normalizer
    ) -> None:
        self._factory, self._argument, self._normalize = factory, argument, normalize

    def __call__(self, value: Any) -> str | None:
        """Return the form of a value."""
        return self._normalize(value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not ParameterNormalizer:
            return NotImplemented
        return self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        # The argument may be a mapping.
        return hash(self._factory)

    def __repr__(self) -> str:
        return f"{self._factory.__name__}({self._argument!r})"

    name = property(__repr__, doc="How messages name it.")

    def __reduce__(self) -> tuple[Callable[[Any], Normalizer], tuple[Any]]:
        return self._factory, (self._argument,)
