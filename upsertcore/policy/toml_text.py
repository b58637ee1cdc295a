"""
A policy as TOML: read from a text, with the line of each mistake, and written as one.

Rules:
    A name in the text is that of the argument in Python; what the text leaves out has
    the same default.
    Nothing is imported unless the caller allows it.
    What is read from a written text is equal, and is written as the same text.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, signature
from typing import Any, TypeVar, final

import attrs

from upsertcore.errors import InvalidPolicy
from upsertcore.policy.fields import field
from upsertcore.policy.keys import key
from upsertcore.policy.toml_lines import line_of, statement_lines
from upsertcore.policy.toml_words import (
    pattern_words,
    read_patterns,
    read_word,
    unknown,
    word_of,
)
from upsertcore.values import describe, freeze, show_name, thaw

__all__ = ["policy_text", "read_policy"]

T = TypeVar("T")
Path = tuple[str, ...]

Readers = Mapping[str, Callable[[Path, Any], Any]]

_KINDS = {
    "match": "strategy",
    "rule": "rule",
    "on_merge": "rule",
    "key": "normaliser",
    "clean": "normaliser",
}
_NULLS = "default_json"
"""The option of a default that has null inside, as JSON text."""
_FIELD = {
    **signature(field).parameters,
    _NULLS: Parameter(_NULLS, Parameter.KEYWORD_ONLY),
}
_KEY = signature(key).parameters
_BARE = re.compile("[A-Za-z0-9_-]+")
_WIDTH = 88


def read_policy(make: Callable[..., T], text: str, *, allow_imports: bool) -> T:
    r"""
    Read a policy.

    Args:
        make: The class of policies.
        text: The policy as TOML.
        allow_imports: False to refuse ``module:attribute``.

    Raises:
        InvalidPolicy: If the text is not such a policy, or the policy is invalid.
        ModuleNotFoundError: If a normaliser needs an extra that is not installed.

    >>> from upsertcore import Policy
    >>> text = '[fields]\nemail = { key = "emial" }'
    >>> read_policy(Policy, text, allow_imports=False)
    Traceback (most recent call last):
    ...
    upsertcore.errors.InvalidPolicy: line 2: fields.email.key: unknown normaliser ...
    """
    if not isinstance(text, str):
        what = f"must be str, not {describe(text)}"
        raise InvalidPolicy(f"text: {what}; pass path.read_text(encoding='utf-8')")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidPolicy(f"text: is not valid TOML: {error}; correct it") from error
    except RecursionError as error:
        raise InvalidPolicy("text: nests too deep; write it flat") from error
    return _Reader(text, allow_imports=allow_imports).policy(make, document)


@final
class _Reader:
    """Reads a document into the arguments of a policy; errors have their line."""

    def __init__(self, text: str, *, allow_imports: bool) -> None:
        self._lines, self._allow_imports = statement_lines(text), allow_imports

    def policy(self, make: Callable[..., T], document: dict[str, Any]) -> T:
        """Make the policy."""
        readers: Readers = {
            "fields": lambda path, value: self._tables(path, value, self._field),
            "keys": lambda path, value: self._tables(path, value, self._key),
            "extra_fields": self._field,
        }
        options = self._options((), document, signature(make).parameters, readers)
        if "match" not in options:
            example = '{ first_match = ["email"] }'
            raise InvalidPolicy(f"match: is missing; write match = {example}")
        try:
            return make(**{"fields": {}, **options})
        except InvalidPolicy as error:
            raise self._located(error.reason, options) from error

    def _tables(
        self, path: Path, tables: Any, read: Callable[[Path, Any], Any]
    ) -> dict[str, Any]:
        self._check_table(path, tables)
        return {name: read((*path, name), table) for name, table in tables.items()}

    def _field(self, path: Path, table: Any) -> Any:
        options = self._options(path, table, _FIELD, {})
        if _NULLS in options:
            options["default"] = options.pop(_NULLS)
        return field(**options)

    def _key(self, path: Path, table: Any) -> Any:
        options = self._options(path, table, _KEY, {})
        names = options.pop("fields", None)
        if not isinstance(names, list) or "normalize" not in options:
            what = "needs fields and a normaliser"
            example = 'fields = ["name", "born"], and normalize = "text"'
            raise self._error(path, f"{what}; write {example}, for example")
        try:
            return key(*names, **options)
        except InvalidPolicy as error:
            raise self._error(path, error.reason.removeprefix("key: ")) from error

    def _options(
        self,
        path: Path,
        table: Any,
        parameters: Mapping[str, Parameter],
        readers: Readers,
    ) -> dict[str, Any]:
        self._check_table(path, table)
        options = {}
        for name, value in table.items():
            place = (*path, name)
            if name not in parameters:
                what = unknown("option", name, parameters)
                raise self._error(place, what, shown=path)
            if name in readers:
                options[name] = readers[name](place, value)
            else:
                options[name] = self._value(place, value, parameters[name].default)
        return options

    def _value(self, place: Path, value: Any, default: Any) -> Any:
        """Read the value of an option; the policy checks what is not a word."""
        option = place[-1]
        try:
            if option in _KINDS:
                return self._word(_KINDS[option], value)
            if option == "normalize" and isinstance(value, list):
                return tuple([self._word("normaliser", word) for word in value])
            if option == "normalize":
                return self._word("normaliser", value)
            if option == "blocked" and isinstance(value, dict):
                return {name: read_patterns(each) for name, each in value.items()}
            if option == "blocked":
                return read_patterns(value)
            if option == _NULLS:
                return _json(value)
        except (TypeError, ValueError) as error:
            raise self._error(place, str(error)) from error
        if isinstance(default, bool) and not isinstance(value, bool):
            raise self._error(place, f"must be true or false, not {describe(value)}")
        return value

    def _word(self, kind: str, word: Any) -> Any:
        return read_word(kind, word, allow_imports=self._allow_imports)

    def _check_table(self, path: Path, table: Any) -> None:
        if not isinstance(table, dict):
            what = f"must be a table, not {describe(table)}"
            raise self._error(path, f"{what}; write {{ name = value }}")

    def _error(
        self, place: Path, what: str, *, shown: Path | None = None
    ) -> InvalidPolicy:
        line = line_of(self._lines, place)
        name = ".".join(map(show_name, place if shown is None else shown))
        return InvalidPolicy(f"line {line}: {f'{name}: ' if name else ''}{what}")

    def _located(self, reason: str, options: dict[str, Any]) -> InvalidPolicy:
        """Add the line of what a policy refuses, where the message names it."""
        subject = reason.partition(": ")[0]
        is_match = subject == getattr(options["match"], "name", None)
        path: Path = ("match",) if is_match else (subject,)
        for table in ("keys", "fields"):
            for name in options.get(table, {}):
                if reason.startswith((f"{name}: ", f"{table}: {name}: ")):
                    path = (table, name)
        line = line_of(self._lines, path)
        return InvalidPolicy(reason if line is None else f"line {line}: {reason}")


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        what = f"must be JSON text, not {describe(text)}"
        raise ValueError(f"{what}: {error}; correct it") from error


def policy_text(policy: Any) -> str:
    """
    Write a policy as TOML.

    Args:
        policy: A policy; its class lists the options.

    Raises:
        InvalidPolicy: If a function, rule or strategy has no name in a text.

    >>> from upsertcore import Policy, first_match, normalize
    >>> fields = {"email": field(key=normalize.email, unique=True), "name": field()}
    >>> print(policy_text(Policy(first_match("email"), fields)), end="")
    match = { first_match = ["email"] }
    <BLANKLINE>
    [fields.email]
    key = "email"
    unique = true
    <BLANKLINE>
    [fields.name]
    """
    options = {
        str(each.alias): getattr(policy, each.name)
        for each in attrs.fields(type(policy))
        if each.init
    }
    tables = {"fields": options.pop("fields"), "keys": options.pop("keys")}
    extra_fields = options.pop("extra_fields")
    parameters = signature(type(policy)).parameters
    sections = ["".join(_lines("", options, parameters))]
    if extra_fields is not None:
        sections.append(_section("extra_fields", extra_fields, _FIELD))
    for table, known in (("fields", _FIELD), ("keys", _KEY)):
        for name, described in tables[table].items():
            sections.append(_section(f"{table}.{_name(name)}", described, known, name))
    return "\n".join(sections)


def _section(
    header: str, described: Any, parameters: Mapping[str, Parameter], name: str = ""
) -> str:
    values = {
        option: getattr(described, option) for option in parameters if option != _NULLS
    }
    lines = _lines(f"{name or header}: ", values, parameters)
    return f"[{header}]\n{''.join(lines)}"


def _lines(
    place: str, values: Mapping[str, Any], parameters: Mapping[str, Parameter]
) -> Iterator[str]:
    """Yield a line for each option that differs from its default."""
    for name, value in values.items():
        default = parameters[name].default
        if value is default or (type(value) is type(default) and value == default):
            continue
        try:
            option, written = _written(name, value)
        except ValueError as error:
            raise InvalidPolicy(f"{place}{name}: {error}") from error
        line = f"{option} = {_toml(written)}\n"
        if len(line) > _WIDTH and isinstance(written, list):
            items = "".join([f"    {_toml(item)},\n" for item in written])
            line = f"{option} = [\n{items}]\n"
        yield line


def _written(option: str, value: Any) -> tuple[str, Any]:
    """Return an option and its value as TOML can have them."""
    if option in _KINDS:
        word = word_of(_KINDS[option], value)
        if _has_null(word):
            raise ValueError(f"{value} has null inside, and TOML has none; use another")
        return option, word
    if option == "normalize":
        words = [word_of("normaliser", each) for each in value]
        return option, words if any(word != words[0] for word in words) else words[0]
    if option == "blocked" and value and type(value[0]) is tuple:
        return option, {name: pattern_words(each) for name, each in value}
    if option == "blocked":
        return option, pattern_words(value)
    if option == "default":
        plain = thaw(freeze(value))
        text = json.dumps(plain, ensure_ascii=False)
        return (_NULLS, text) if _has_null(plain) else (option, plain)
    return option, list(value) if isinstance(value, tuple) else value


def _has_null(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return any(map(_has_null, value.values() if type(value) is dict else value))
    return value is None


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        items = [f"{_name(name)} = {_toml(item)}" for name, item in value.items()]
        return f"{{ {', '.join(items)} }}" if items else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (bool, str)):
        # A string of JSON is one of TOML, but for one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) else _toml(name)
