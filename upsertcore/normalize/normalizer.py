"""
The type of a normaliser, and normalisers that are made: with parameters, of others.

Rules:
    A normaliser is a function from a value to the form that is compared.
    One with parameters is equal to another of the same parameters, also when pickled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

__all__ = ["Normalizer", "ParameterNormalizer", "chain"]

Normalizer = Callable[[Any], str | None]
"""Takes one value (one item of a list), and returns its normal form or None."""


@final
class ParameterNormalizer:
    """
    A normaliser with parameters; it compares and pickles by these.

    Args:
        factory: The public function that makes it.
        normalize: The normaliser.
        arguments: The arguments of that function.

    >>> from upsertcore import normalize
    >>> normalize.prefix(3) == normalize.prefix(3), normalize.prefix(3)
    (True, prefix(3))
    """

    __slots__ = ("_normalize", "arguments", "factory")

    def __init__(
        self, factory: Callable[..., Normalizer], normalize: Normalizer, *arguments: Any
    ) -> None:
        self.factory, self._normalize, self.arguments = factory, normalize, arguments

    def __call__(self, value: Any) -> str | None:
        """Return the form of a value."""
        return self._normalize(value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not ParameterNormalizer:
            return NotImplemented
        return self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        # The argument may be a mapping.
        return hash(self.factory)

    def __repr__(self) -> str:
        shown = [
            getattr(each, "__name__", None) or repr(each) for each in self.arguments
        ]
        return f"{self.factory.__name__}({', '.join(shown)})"

    name = property(__repr__, doc="How messages name it.")

    def __reduce__(self) -> tuple[Callable[..., Normalizer], tuple[Any, ...]]:
        return self.factory, self.arguments


def chain(*normalizers: Normalizer) -> Normalizer:
    """
    Return a normaliser that applies several, each to the form of the one before.

    Args:
        normalizers: Two normalisers or more, the first one first.

    Returns:
        A normaliser: the form of the last one. None where one of them has none, and
        where the result would have another form itself: the first normaliser must
        leave the forms of the last one as they are.

    Raises:
        TypeError: If there are fewer than two, or one is not a function.

    Cost:
        Twice that of the normalisers together.

    >>> from upsertcore import normalize
    >>> start = chain(normalize.compact, normalize.prefix(4))
    >>> start("AB-12 34"), start("ab12"), start("--"), start
    ('ab12', 'ab12', None, chain(compact, prefix(4)))
    """
    if len(normalizers) < 2 or not all(map(callable, normalizers)):
        what = "must be two normalisers or more"
        raise TypeError(f"chain: {what}; write chain(normalize.compact, ...)")

    def apply(value: Any) -> Any:
        form = value
        for normalizer in normalizers:
            form = normalizer(form)
            if not isinstance(form, str):
                return form
        return form

    def chained(value: Any) -> Any:
        form = apply(value)
        return form if not isinstance(form, str) or apply(form) == form else None

    return ParameterNormalizer(chain, chained, *normalizers)
