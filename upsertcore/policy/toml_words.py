"""
The words of a policy in TOML: rules, normalisers, strategies and patterns by name.

Rules:
    A word is the name of a value, or a table with the name of a function that makes
    it, its argument, and its further arguments by their own names.
    What the library makes shows as the expression that makes it, so it is written as
    that expression, if it makes an equal value.
    ``module:attribute`` is imported only where the caller allows it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from inspect import Parameter, signature
from operator import attrgetter
from typing import Any, TypeAlias

from upsertcore import normalize, rules
from upsertcore.matching import strategies
from upsertcore.matching.protocol import Strategy
from upsertcore.normalize.blocked_patterns import Pattern
from upsertcore.normalize.normalizer import ParameterNormalizer
from upsertcore.policy.function_checks import factory_noun
from upsertcore.rules.catalogue import Custom
from upsertcore.rules.rule import Rule
from upsertcore.values import closest_name, describe, list_names, show_value

__all__ = ["WORDS", "pattern_words", "read_patterns", "read_word", "unknown", "word_of"]

Word: TypeAlias = "str | dict[str, Any]"


_EXTRAS = {
    "email_idna": "upsertcore.normalize.domains",
    "phonetic.nysiis": "upsertcore.normalize.phonetic",
    "phonetic.soundex": "upsertcore.normalize.phonetic",
}
"""Normalisers that need an extra, and their modules, which are loaded with them."""


def _public(module: Any) -> dict[str, Any]:
    """Return the functions and values of a module, without its constants and types."""
    names = [name for name in module.__all__ if name.islower() and name not in _EXTRAS]
    return {name: getattr(module, name) for name in names}


WORDS: dict[str, dict[str, Any]] = {
    "normaliser": {**_public(normalize), **dict.fromkeys(_EXTRAS)},
    "rule": _public(rules),
    "strategy": _public(strategies),
    "function": {},
}
"""Kind of a word to its words: name to value, or to the function that makes one; None
for what is loaded when it is used. A function of the application has no other name
than ``module:attribute``."""

_LISTS: dict[str, tuple[Pattern, ...]] = {"PLACEHOLDERS": normalize.PLACEHOLDERS}
_IMPORT = re.compile(r"(\w+(?:\.\w+)*):(\w+(?:\.\w+)*)")


def unknown(kind: str, name: object, known: Mapping[str, Any]) -> str:
    """
    Return a message for an unknown word or option, with the nearest known one.

    >>> unknown("rule", "unoin", WORDS["rule"])
    "unknown rule 'unoin'; use union"
    """
    near, names = closest_name(name, known), list_names(sorted(known), 40)
    advice = (
        f"use {near}" if near else f"use one of {names}" if names else "leave it out"
    )
    return f"unknown {kind} {show_value(name)}; {advice}"


def read_word(kind: str, word: Any, *, allow_imports: bool) -> Any:
    """
    Return the value of a word.

    Args:
        kind: A name of ``WORDS``.
        word: As ``tomllib`` reads it.
        allow_imports: False to refuse ``module:attribute``.

    Raises:
        TypeError, ValueError: If it is no such word, or its arguments are invalid.

    >>> read_word("rule", {"items_by": ["id", "key"]}, allow_imports=False)
    items_by('id', 'key')
    """
    if not WORDS[kind]:
        return _imported(word, allowed=allow_imports)
    if isinstance(word, dict) and word:
        return _read_call(kind, word, allow_imports=allow_imports)
    if not isinstance(word, str):
        what = f"must be the name of a {kind}, or a table, not {describe(word)}"
        raise TypeError(f"{what}; write it in quotes")
    if ":" in word:
        return _imported(word, allowed=allow_imports)
    entry = _entry(kind, word, allow_imports=False)
    if factory_noun(entry) is None:
        return entry
    parameters = signature(entry).parameters.values()
    if any(parameter.default is Parameter.empty for parameter in parameters):
        raise ValueError(f"{word} needs an argument; write {{ {word} = ... }}")
    return entry()


def _read_call(kind: str, word: dict[str, Any], *, allow_imports: bool) -> Any:
    """Return what a function makes of the arguments in a table."""
    name = next((name for name in word if name in WORDS[kind]), next(iter(word)))
    function = _entry(kind, name, allow_imports=allow_imports)
    parameters = signature(function).parameters if factory_noun(function) else {}
    if not parameters and ":" in name:
        what = f"{name} is not annotated as a function that makes a {kind}"
        raise ValueError(f"{what}; annotate what it returns")
    if not parameters:
        raise ValueError(f'{name} takes no argument; write "{name}"')
    first, *others = parameters.values()
    argument, options = word[name], {n: v for n, v in word.items() if n != name}
    for option in options:
        known = {other.name: other for other in others}
        if option not in known:
            raise ValueError(unknown(f"argument of {name}", option, known))
    if name == "custom":
        argument = read_word("function", argument, allow_imports=allow_imports)
    if first.kind is not Parameter.VAR_POSITIONAL:
        return function(argument, **options)
    if not isinstance(argument, list):
        what = f"{name} must have a list, not {describe(argument)}"
        raise TypeError(f"{what}; write {{ {name} = [...] }}")
    if name == "chain":
        imports = allow_imports
        argument = [read_word(kind, each, allow_imports=imports) for each in argument]
    return function(*argument, **options)


def _entry(kind: str, name: str, *, allow_imports: bool) -> Any:
    if ":" in name:
        return _imported(name, allowed=allow_imports)
    if name not in WORDS[kind]:
        raise ValueError(unknown(kind, name, WORDS[kind]))
    if name in _EXTRAS:
        return getattr(import_module(_EXTRAS[name]), name.rpartition(".")[2])
    return WORDS[kind][name]


def _imported(name: Any, *, allowed: bool) -> Any:
    match = _IMPORT.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        example = '"shop.contacts:clean_name"'
        what = f"must be module:attribute, not {describe(name)}"
        raise ValueError(f"{what}; write {example}, for example")
    if not allowed:
        what = f"{show_value(name)} is imported, which runs its module"
        raise ValueError(f"{what}; pass allow_imports=True if you trust the text")
    try:
        return attrgetter(match[2])(import_module(match[1]))
    except (ImportError, AttributeError) as error:
        what = f"{show_value(name)} cannot be imported: {error}"
        raise ValueError(f"{what}; correct the name, or the path of imports") from error


def word_of(kind: str, value: Any) -> Word:
    """
    Return the word of a value.

    Args:
        kind: A name of ``WORDS``.
        value: A valid value of that kind.

    Raises:
        ValueError: If it has none: another function than the library's that is not at
            the top level of a module, or a rule or strategy of the application.

    >>> word_of("normaliser", normalize.prefix(3)), word_of("rule", rules.keep)
    ({'prefix': 3}, 'keep')
    """
    for name, entry in _loaded(kind).items():
        if entry is value or (type(entry) is type(value) and entry == value):
            return name
    if isinstance(value, Rule) and isinstance(value.combine, Custom):
        return _custom_word(value, value.combine.function)
    if isinstance(value, ParameterNormalizer) and value.factory is normalize.chain:
        return {"chain": [word_of(kind, each) for each in value.arguments]}
    try:
        return _expression(kind, value)
    except (SyntaxError, TypeError, ValueError):
        return _import_name(value)


def _loaded(kind: str) -> dict[str, Any]:
    """Return the words of a kind; those of an extra if it is in use."""
    if kind != "normaliser":
        return WORDS[kind]
    names = [name for name, module in _EXTRAS.items() if module in sys.modules]
    return WORDS[kind] | {n: _entry(kind, n, allow_imports=False) for n in names}


def _custom_word(rule: Rule, function: Any) -> Word:
    laws = sorted(rule.laws)
    if rules.custom(function, name=rule.name, laws=tuple(laws)) != rule:
        return _import_name(rule)
    word: dict[str, Any] = {"custom": _import_name(function)}
    if rule.name != "custom":
        word["name"] = rule.name
    return word if laws == ["idempotent"] else {**word, "laws": laws}


def _expression(kind: str, value: Any) -> Word:
    """Return the word for the expression by which a value shows, if it makes it."""
    call = ast.parse(repr(value), mode="eval").body
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise TypeError("is not made by a function")
    name = call.func.id
    if isinstance(value, ParameterNormalizer) and name not in WORDS[kind]:
        name = _import_name(value.factory)
    allow_imports = ":" in name
    arguments = [ast.literal_eval(each) for each in call.args]
    options = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    function = _entry(kind, name, allow_imports=allow_imports)
    bound = signature(function).bind(*arguments, **options).arguments
    word: Word = name
    if bound:
        (_, first), *others = bound.items()
        word = {name: list(first) if type(first) is tuple else first, **dict(others)}
    if read_word(kind, word, allow_imports=allow_imports) != value:
        raise ValueError("is made by another function")
    return word


def _import_name(value: Any) -> str:
    module, name = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
    with suppress(AttributeError, KeyError):
        if attrgetter(name)(sys.modules[module]) is value:
            return f"{module}:{name}"
    advice = "define it at the top level of a module"
    if isinstance(value, (Rule, Strategy)):
        advice = "use one that a function of the library makes"
    raise ValueError(f"{describe(value)} has no name in a text; {advice}")


def read_patterns(value: Any) -> tuple[Pattern, ...]:
    """
    Return the patterns of blocked values.

    Args:
        value: As ``tomllib`` reads it: a list of texts, of ``{"list": name}`` and of
            ``{"regex": text, "flags": names}``; or the name of a list alone.

    Raises:
        TypeError, ValueError: If it is anything else, or an invalid regular expression.

    >>> read_patterns(["info@*", {"regex": "0+", "flags": ["ASCII"]}])
    ('info@*', re.compile('0+', re.ASCII))
    """
    items = [{"list": value}] if isinstance(value, str) else value
    if not isinstance(items, list):
        what = f"must be a list of patterns, not {describe(value)}"
        raise TypeError(f"{what}; put one pattern into a list")
    parts = [(item,) if isinstance(item, str) else _patterns(item) for item in items]
    return tuple(pattern for part in parts for pattern in part)


def _patterns(item: Any) -> tuple[Pattern, ...]:
    match item:
        case {"list": name, **rest} if not rest:
            if name not in _LISTS:
                raise ValueError(unknown("list of patterns", name, _LISTS))
            return _LISTS[name]
        case {"regex": str(regex), **rest} if {*rest} <= {"flags"}:
            return (_compiled(regex, rest.get("flags", [])),)
    advice = 'write text, { list = "PLACEHOLDERS" } or { regex = "..." }'
    raise ValueError(f"must not have the pattern {describe(item)}; {advice}")


def _compiled(regex: str, names: Any) -> re.Pattern[str]:
    flags = 0
    for name in names if isinstance(names, list) else [names]:
        if name not in _FLAGS:
            raise ValueError(unknown("flag", name, _FLAGS))
        flags |= _FLAGS[name]
    try:
        return re.compile(regex, flags)
    except re.error as error:
        what = f"{show_value(regex)} is not a regular expression: {error}"
        raise ValueError(f"{what}; correct it") from error


_FLAGS = {
    name: re.RegexFlag[name]
    for name in ("ASCII", "IGNORECASE", "MULTILINE", "DOTALL", "VERBOSE")
}


def pattern_words(patterns: tuple[Pattern, ...]) -> str | list[Word]:
    """
    Return what :func:`read_patterns` reads as these patterns.

    >>> pattern_words(("info@*", *normalize.PLACEHOLDERS))
    ['info@*', {'list': 'PLACEHOLDERS'}]
    """
    for name, listed in _LISTS.items():
        for start in range(len(patterns) - len(listed) + 1):
            end = start + len(listed)
            if patterns[start:end] == listed:
                before, after = map(_texts, (patterns[:start], patterns[end:]))
                only = not before and not after
                return name if only else [*before, {"list": name}, *after]
    return _texts(patterns)


def _texts(patterns: tuple[Pattern, ...]) -> list[Word]:
    words: list[Word] = []
    for pattern in patterns:
        if isinstance(pattern, str):
            words.append(pattern)
            continue
        flags = [name for name, flag in _FLAGS.items() if pattern.flags & flag]
        regex = {"regex": pattern.pattern}
        words.append({**regex, "flags": flags} if flags else regex)
    return words
