"""Values of an application: classes of its own, whose methods may disturb a call."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tests.interrupted.torn import World

__all__ = ["call_with_own_classes", "call_with_own_ids"]

Case = dict[str, Any]


PLACE = "sent"


def _own_text(world: World, kind: str) -> Any:
    """Make a class of text."""

    class OwnText(str):
        __slots__ = ()

        def __hash__(self) -> int:
            if kind.endswith("hash"):
                world.count_call(PLACE)
            return super().__hash__()

        def __eq__(self, other: object) -> bool:
            if kind.endswith("eq"):
                world.count_call(PLACE)
            return super().__eq__(other)

    return OwnText


def _own_containers(world: World, kind: str) -> tuple[Any, Any]:
    """Make a class of lists, and one of mappings."""

    class OwnList(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            world.count_call(PLACE)
            return super().__iter__()

    class OwnMapping(dict):  # type: ignore[type-arg]
        def list_class(self) -> Any:
            world.count_call(PLACE)
            return super().items()

        def __iter__(self) -> Any:
            world.count_call(PLACE)
            return super().__iter__()

        def __getitem__(self, name: Any) -> Any:
            if kind != "mapping_items":
                world.count_call(PLACE)
            return super().__getitem__(name)

        def __len__(self) -> int:
            if kind == "mapping_len":
                world.count_call(PLACE)
            return super().__len__()

    return OwnList, OwnMapping


def _own_numbers(world: World) -> tuple[Any, Any]:
    """Make a class of whole numbers, and one of times."""

    class OwnInteger(int):
        def __index__(self) -> int:
            world.count_call(PLACE)
            return super().__index__()

        def __eq__(self, other: object) -> bool:
            world.count_call(PLACE)
            return super().__eq__(other)

        def __hash__(self) -> int:
            return super().__hash__()

    class OwnTime(datetime):
        def __eq__(self, other: object) -> bool:
            world.count_call(PLACE)
            return super().__eq__(other)

        def __lt__(self, other: Any) -> bool:
            world.count_call(PLACE)
            return super().__lt__(other)

        def __hash__(self) -> int:
            return super().__hash__()

    return OwnInteger, OwnTime


def call_with_own_ids(case: Case, world: World) -> list[Any]:
    """Return the call of a case with ids of the application's text class."""
    verb, *ids = case["call"]
    text_class = _own_text(world, case["what"])
    return [
        verb,
        *[text_class(part) if isinstance(part, str) else part for part in ids],
    ]


def call_with_own_classes(case: Case, world: World) -> list[Any]:
    """Return the call of a case with values of the application's classes."""
    kind = case["what"]
    text_class, (list_class, mapping_class), (integer, time_class) = (
        _own_text(world, kind),
        _own_containers(world, kind),
        _own_numbers(world),
    )
    verb, sent, *rest = case["call"]
    options = dict(rest[0]) if rest else {}

    def value(item: Any) -> Any:
        if kind in ("str_hash", "str_eq") and isinstance(item, str):
            return text_class(item)
        if kind == "list_iter" and isinstance(item, list):
            return list_class(item)
        return item

    def patch(fields: dict[str, Any]) -> Any:
        names = text_class if kind.startswith("str_name") else str
        sent = {names(name): value(fields[name]) for name in fields}
        if kind in ("int_index", "float_eq"):
            sent["name" if "name" in fields else "tags"] = integer(7)
        return mapping_class(sent) if kind.startswith(("mapping", "dict")) else sent

    if kind.startswith("scope"):
        options["scope"] = text_class("")
    if kind.startswith("key") and verb == "create":
        options["idempotency_key"] = text_class(options["idempotency_key"])
    if kind.startswith("id_"):
        world.text = text_class
    if kind == "time_eq":
        world.time = lambda now: time_class.fromisoformat(now.isoformat())
    is_batch = isinstance(sent, list)
    return [
        verb,
        [patch(fields) for fields in sent] if is_batch else patch(sent),
        options,
    ]
