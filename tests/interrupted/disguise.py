"""What an application may send: classes of its own, which call it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.interrupted.torn import World

__all__ = ["disguised", "disguised_ids"]

Case = dict[str, Any]


PLACE = "sent"


def _text(world: World, what: str) -> Any:
    """Make a class of text."""

    class Text(str):
        __slots__ = ()

        def __hash__(self) -> int:
            if what.endswith("hash"):
                world.touched(PLACE)
            return super().__hash__()

        def __eq__(self, other: object) -> bool:
            if what.endswith("eq"):
                world.touched(PLACE)
            return super().__eq__(other)

    return Text


def _holders(world: World, what: str) -> tuple[Any, Any]:
    """Make a class of lists, and one of mappings."""

    class Items(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            world.touched(PLACE)
            return super().__iter__()

    class Named(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            world.touched(PLACE)
            return super().items()

        def __iter__(self) -> Any:
            world.touched(PLACE)
            return super().__iter__()

        def __getitem__(self, name: Any) -> Any:
            if what != "mapping_items":
                world.touched(PLACE)
            return super().__getitem__(name)

        def __len__(self) -> int:
            if what == "mapping_len":
                world.touched(PLACE)
            return super().__len__()

    return Items, Named


def _others(world: World) -> tuple[Any, Any]:
    """Make a class of whole numbers, and one of times."""

    class Whole(int):
        def __index__(self) -> int:
            world.touched(PLACE)
            return super().__index__()

        def __eq__(self, other: object) -> bool:
            world.touched(PLACE)
            return super().__eq__(other)

        def __hash__(self) -> int:
            return super().__hash__()

    class Time(datetime):
        def __eq__(self, other: object) -> bool:
            world.touched(PLACE)
            return super().__eq__(other)

        def __lt__(self, other: Any) -> bool:
            world.touched(PLACE)
            return super().__lt__(other)

        def __hash__(self) -> int:
            return super().__hash__()

    return Whole, Time


def disguised_ids(case: Case, world: World) -> list[Any]:
    """Make the call of a case with the ids that it names in the application's text."""
    verb, *ids = case["call"]
    text = _text(world, case["what"])
    return [verb, *[text(each) if isinstance(each, str) else each for each in ids]]


def disguised(case: Case, world: World) -> list[Any]:
    """Make the call of a case with what it sends in the application's classes."""
    what = case["what"]
    text, (items, named), (whole, time) = (
        _text(world, what),
        _holders(world, what),
        _others(world),
    )
    verb, sent, *rest = case["call"]
    how = dict(rest[0]) if rest else {}

    def value(each: Any) -> Any:
        if what in ("str_hash", "str_eq") and isinstance(each, str):
            return text(each)
        if what == "list_iter" and isinstance(each, list):
            return items(each)
        return each

    def patch(each: dict[str, Any]) -> Any:
        names = text if what.startswith("str_name") else str
        sent = {names(name): value(each[name]) for name in each}
        if what in ("int_index", "float_eq"):
            sent["name" if "name" in each else "tags"] = whole(7)
        return named(sent) if what.startswith(("mapping", "dict")) else sent

    if what.startswith("scope"):
        how["scope"] = text("")
    if what.startswith("key") and verb == "create":
        how["idempotency_key"] = text(how["idempotency_key"])
    if what.startswith("id_"):
        world.text = text
    if what == "time_eq":
        world.time = lambda now: time.fromisoformat(now.isoformat())
    many = isinstance(sent, list)
    return [verb, [patch(each) for each in sent] if many else patch(sent), how]
