"""
Tables: whole policies, drawn from the vocabulary.

Rules:
    Every policy that is drawn can be made; a table that cannot work is not drawn.
    No strategy calls the library to learn what it should do.
    Their fields are those of ``POOLS``, so ``patches(policy, values=POOLS)`` fits all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from hypothesis import strategies as st

from upsertcore import normalize
from upsertcore.matching.strategies import (
    all_agree,
    first_match,
    first_present,
    merge_all,
    never,
)
from upsertcore.policy.fields import field
from upsertcore.policy.keys import key
from upsertcore.policy.policy import Policy
from upsertcore.rules import ignore, keep, last_updated, replace
from upsertcore.rules.rule import Rule
from upsertcore.testing.pools import BLOCKED, FIELDS, KEYED, NAMED, NEEDED, POOLS
from upsertcore.testing.words import LATEST, Vocabulary

__all__ = ["chance", "policies"]

_WORDS = Vocabulary()


def chance(one_in: int) -> st.SearchStrategy[bool]:
    """
    Draw True once in so many draws.

    >>> from hypothesis import find
    >>> find(chance(12), bool)
    True
    """
    return st.sampled_from((*[False] * (one_in - 1), True))


@st.composite
def policies(
    draw: st.DrawFn,
    *,
    strict: bool = False,
    match: Any = None,
    on_key_in_use: tuple[str, ...] = ("refuse", "withhold", "allow"),
    words: Vocabulary = _WORDS,
) -> Policy:
    """
    Draw a policy from the whole vocabulary; one in three has no rare word.

    Args:
        draw: Given by Hypothesis.
        strict: Leave out what idempotence is not to be had of: matching nobody,
            creating without a key, rules that do not promise it, and a host's own
            rule on what identifies.
        match: What makes the match strategy, such as ``merge_all``; any if None.
        on_key_in_use: What may become of a clash.
        words: What stands in the table.

    >>> from hypothesis import Phase, find, settings
    >>> any_one = settings(phases=[Phase.generate], database=None, max_examples=1_000)
    >>> found = find(policies(), lambda p: p.match.merges, settings=any_one)
    >>> found.match.name
    'merge_all'
    """
    plain = not match and draw(chance(3))
    named = {} if plain else draw(st.one_of(st.just({}), _named_keys()))
    own = {
        name: {"unique": draw(st.booleans())} if plain else draw(_holding())
        for name in KEYED
    }
    if "mails" in named and draw(st.booleans()):
        del own["email"]
    names = (*own, *named)
    made = draw(_match_strategies(names, plain=plain, nobody=not strict, wanted=match))
    table = draw(_tables(made, own, named, strict=strict, words=words))
    held = {
        name: (each.get("max_forms"), each.get("keep_aliases"))
        for name, each in own.items()
    }
    held |= {name: (each.max_forms, each.keep_aliases) for name, each in named.items()}
    limited = any(limit and not keep_aliases for limit, keep_aliases in held.values())
    droppable = not limited and _alone(made.keys, names)
    rare: dict[str, Any] = {}
    if not plain:
        rare, options = draw(_rarities(made, names, words, droppable=droppable))
        for name, how in options.items():
            lines = table if name in table else named
            lines[name] = attrs.evolve(lines[name], **how)
    clocked = [] if plain else [LATEST]
    common = draw(_choices(words, clocked, on_key_in_use, strict=strict))
    return Policy(made, table, keys=named, **(common | rare))


@st.composite
def _choices(
    draw: st.DrawFn,
    words: Vocabulary,
    clocked: list[Rule],
    on_key_in_use: tuple[str, ...],
    *,
    strict: bool,
) -> dict[str, Any]:
    """Draw the options of a policy that any table may have."""
    absent = ("refuse",) if strict else ("refuse", "refuse", "create")
    found = ("update",) * 49 + ("refuse",) * 2
    on_found = draw(st.sampled_from(found))
    refuses = on_found == "update" and draw(chance(50))
    extra = (None, replace, keep, ignore, words.rule, *clocked)
    rule = draw(st.sampled_from(extra))
    merged = draw(st.sampled_from((None, None, ignore, last_updated, *clocked)))
    return {
        "extra_fields": None if rule is None else field(rule=rule, on_merge=merged),
        "on_ambiguous": draw(st.sampled_from(("refuse", "oldest", "newest"))),
        "on_key_in_use": draw(st.sampled_from(on_key_in_use)),
        "on_no_key": draw(st.sampled_from(absent)),
        "on_deleted": draw(st.sampled_from(("forget", "forget", "restore", "refuse"))),
        "on_found": on_found,
        "on_not_found": "refuse" if refuses else "create",
    }


@st.composite
def _named_keys(draw: st.DrawFn) -> dict[str, Any]:
    """Draw keys of several fields, by name."""
    made: dict[str, Any] = {}
    if draw(st.booleans()):
        normal = (normalize.text, normalize.exact)
        made["person"] = key(*NAMED["person"], normalize=normal, **draw(_holding()))
    if draw(chance(3)) or not made:
        joins, held = draw(st.booleans()), draw(_holding())
        mails = NAMED["mails"]
        made["mails"] = key(
            *mails, normalize=normalize.email, any_of=True, append_new=joins, **held
        )
    return made


def _holding() -> st.SearchStrategy[dict[str, Any]]:
    """Draw how a key is held."""
    remember_limit = ((False, None),) * 4 + ((True, None), (True, 1), (True, 2))
    some = st.sampled_from((*remember_limit, (True, None), (False, 1), (False, 2)))
    return st.builds(
        lambda unique, pair: {
            "unique": unique,
            "keep_aliases": pair[0],
            "max_forms": pair[1],
        },
        chance(3),
        some,
    )


@st.composite
def _match_strategies(
    draw: st.DrawFn,
    names: tuple[str, ...],
    *,
    plain: bool,
    nobody: bool,
    wanted: Any,
) -> Any:
    """Draw a match strategy over one to three of these keys."""
    if nobody and not wanted and draw(chance(12)):
        return never()
    order = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    makes: tuple[Any, ...] = (first_match, first_match, first_present, all_agree)
    if not plain:
        makes = (wanted,) if wanted else (*makes, merge_all)
    make = draw(st.sampled_from(makes))
    if plain or make is not first_match or len(order) == 1:
        return make(*order)
    how: Any = {"guard": draw(st.sampled_from(("if_set", "strict", None)))}
    if how["guard"] and _alone(order[1:], names):
        how["on_contradiction"] = draw(st.sampled_from(("keep", "drop", "drop")))
    return first_match(*order, **how)


def _alone(order: Iterable[str], names: tuple[str, ...]) -> bool:
    """Tell whether each of some keys can be left out of a patch by itself."""
    shared = [field for name in names for field in FIELDS[name]]
    return all(
        name != "person" and all(shared.count(each) == 1 for each in FIELDS[name])
        for name in order
    )


@st.composite
def _tables(
    draw: st.DrawFn,
    match: Any,
    own: Any,
    named: Any,
    *,
    strict: bool,
    words: Vocabulary,
) -> dict[str, Any]:
    """Draw the lines of a table whose keys are held so."""
    finding = {part for name in match.keys for part in FIELDS[name]}
    unique = {
        part
        for each in named.values()
        for part in each.fields
        if each.unique or (each.composite and own.get(part, {}).get("unique"))
    }
    return {
        name: draw(
            _lines(
                name,
                words,
                strict=strict,
                held=own.get(name),
                finds=name in finding,
                lone=name not in unique,
            )
        )
        for name in words.rules
    }


@st.composite
def _lines(
    draw: st.DrawFn,
    name: str,
    words: Vocabulary,
    *,
    strict: bool,
    held: Any,
    finds: bool,
    lone: bool,
) -> Any:
    """
    Draw one line of a table.

    Args:
        draw: Given by Hypothesis.
        name: The name of the field.
        words: What may stand in it.
        strict: Leave out what idempotence is not to be had of.
        held: How a key of its own is held; None for no such key.
        finds: It is of a key of the strategy.
        lone: No unique key of several fields has it, so it may have a default.
    """
    rules = [r for r in words.rules[name] if not strict or words.harmless(name, r)]
    rules = [r for r in rules if (r.stores or not finds) and (r.on_update or lone)]
    rule = draw(st.sampled_from(rules))
    lone = lone and not (held or {}).get("unique")
    own = {}
    if held is not None:
        own = {"key": draw(st.sampled_from(words.keys[name])), **held}
    return field(
        **own,
        required=name in NEEDED and rule.stores and draw(chance(8)),
        clean=draw(st.sampled_from((None, None, None, words.clean))),
        rule=rule,
        null=draw(st.sampled_from((*("clear", "ignore") * 8, "reject"))),
        blank=draw(st.sampled_from((*("store", "clear", "ignore") * 6, "reject"))),
        default=POOLS[name][0] if lone and draw(chance(3)) else None,
    )


@st.composite
def _rarities(
    draw: st.DrawFn,
    match: Any,
    names: tuple[str, ...],
    words: Vocabulary,
    *,
    droppable: bool,
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """
    Draw what few policies say: blocked values, limits, merging, no updates.

    Returns:
        Options of the policy, and options of its lines and named keys, by name.
    """
    made: dict[str, Any] = {}
    options: dict[str, dict[str, Any]] = {}
    if draw(chance(3)):
        some = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        for name in some:
            options[name] = {"blocked": draw(st.sampled_from(BLOCKED[name]))}
        whole = "person" in some
        hows = ("store", "refuse") if whole else ("store", "ignore", "refuse")
        made["on_blocked"] = draw(st.sampled_from(hows))
    if match.name == "merge_all" and droppable:
        made["on_limit"] = draw(st.sampled_from(("drop", "drop", "refuse")))
    if match.name == "merge_all" or draw(st.booleans()):
        fields = [*words.on_merge]
        some = draw(st.lists(st.sampled_from(fields), max_size=3, unique=True))
        for name in some:
            rule = draw(st.sampled_from(words.on_merge[name]))
            options.setdefault(name, {})["on_merge"] = rule
    if draw(chance(12)):
        made["on_merge"] = draw(st.sampled_from((replace, last_updated)))
    if draw(chance(15)):
        made |= {"on_found": "ignore", "on_not_found": "create"}
    return made, options
