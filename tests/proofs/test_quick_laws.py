"""The fast path equals the general path, under drawn policies and logs."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import example, given, reject
from hypothesis import strategies as st

from upsertcore import (
    ContactBook,
    Policy,
    all_agree,
    errors,
    field,
    first_match,
    first_present,
    key,
    merge_all,
    normalize,
)
from upsertcore.rules import (
    append,
    deep,
    ignore,
    keep,
    latest,
    on_create,
    replace,
    smallest,
    union,
)
from upsertcore.store.key_lookup import ASCII_FORMS
from upsertcore.testing import new_book

KEYS: dict[str, Any] = {
    "email": normalize.email,
    "phone": normalize.phone,
    "code": normalize.exact,
}
POOL: dict[str, tuple[Any, ...]] = {
    "email": (
        *("ada@x.org", " ADA@x.org", "bob@x.org", "\u00e5sa@x", "nobody", ""),
        *(["ada@x.org", "eve@x.org"], ["bob@x.org", "BOB@x.org", "none"]),
    ),
    "phone": ("+15550001111", "+1 (555) 000-1111", "0015550002222", "12", None),
    "code": ("a", "b", " ", 7, "7", 7.5),
    "name": ("Ada", "Bo", "Ada", "Zo\u00eb", "", None, 1, True, 1.0, ["a"], ["b", 1]),
    "city": ("Oslo", "Bergen", "\ud800", "-", {"a": [1]}, {"a": [True], "b": "x"}),
    "age": (7, 1.0, ["a"], None, ""),
    "note": ("x", ["x"], ["y", "x"], {"id": 1}, [], ["eve@x.org"], "ada@x.org", None),
}
RULES = (
    replace,
    replace,
    smallest,
    keep,
    union,
    deep,
    ignore,
    on_create,
    append,
    latest("code"),
)


def tidy(value: Any) -> Any:
    """Write text as a title; refuse the number 1, and clear a dash."""
    if value == 1:
        raise ValueError("must be no number")
    if isinstance(value, str):
        return "" if value == "-" else value.title()
    return value


STRATEGIES: Any = (
    *(first_match, first_match, first_present, all_agree, merge_all),
    partial(first_match, guard="if_set"),
    partial(first_match, guard="strict", on_contradiction="drop"),
)


@st.composite
def tables(draw: st.DrawFn) -> Policy:
    """Draw a simple policy, which has a fast path."""
    order = draw(st.permutations([*KEYS]))
    consulted = order[: draw(st.integers(1, 3))]
    make = draw(st.sampled_from(STRATEGIES))
    # Only such keys are withheld or refused on the fast path.
    is_simple = draw(st.booleans())
    lines: dict[str, Any] = {
        name: field(
            key=normal,
            unique=draw(st.booleans()),
            keep_aliases=not is_simple and draw(st.sampled_from((False, True))),
            max_forms=None if is_simple else draw(st.sampled_from((None, 1, 2))),
            blocked=draw(st.sampled_from(((), (), ("b*", "nobody")))),
            null=draw(st.sampled_from(("clear", "ignore", "reject"))),
            blank=draw(st.sampled_from(("store", "ignore", "clear", "reject"))),
            clean=draw(st.sampled_from((None, None, None, tidy))),
            rule=draw(st.sampled_from((replace, replace, replace, keep, on_create))),
        )
        for name, normal in KEYS.items()
    }
    lines["name"] = field(
        required=draw(st.sampled_from((False, False, True))),
        null=draw(st.sampled_from(("clear", "ignore"))),
        rule=draw(st.sampled_from(RULES)),
        clean=draw(st.sampled_from((None, tidy))),
    )
    lines["city"] = field(
        blank=draw(st.sampled_from(("store", "ignore", "clear"))),
        default=draw(st.sampled_from((None, None, "Rome"))),
        rule=draw(st.sampled_from(RULES)),
    )
    keys = {
        "person": key("name", "city", normalize=normalize.text),
        "mails": key("email", "note", normalize=normalize.email, any_of=True),
        "more": key(
            *("email", "note"),
            normalize=normalize.email,
            any_of=True,
            append_new=True,
            unique=True,
        ),
        "born": key("code", "city", normalize=normalize.exact, unique=True),
    }
    lines["note"] = field(blank=draw(st.sampled_from(("store", "ignore", "clear"))))
    named = draw(st.sets(st.sampled_from([*keys]), max_size=int(not is_simple)))
    consulted = (
        [*consulted, *sorted(draw(st.sets(st.sampled_from([*named]))))]
        if named
        else consulted
    )
    options: dict[str, Any] = {
        "keys": {name: keys[name] for name in sorted(named)},
        "on_blocked": draw(st.sampled_from(("store", "ignore", "refuse"))),
        "on_ambiguous": draw(st.sampled_from(("refuse", "oldest", "newest"))),
        "on_key_in_use": draw(st.sampled_from(("refuse", "withhold", "allow"))),
        "on_no_key": draw(st.sampled_from(("refuse", "create"))),
        "on_deleted": draw(st.sampled_from(("forget", "restore", "refuse"))),
        "on_found": draw(st.sampled_from((*["update"] * 3, "refuse", "ignore"))),
        "extra_fields": draw(
            st.sampled_from((None, field(rule=replace), field(rule=union)))
        ),
    }
    try:
        return Policy(make(*consulted), lines, **options)
    except errors.InvalidPolicy:
        reject()


PATCHES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values * 2) for name, values in POOL.items()}
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(
            ("upsert",) * 8 + ("create", "create", "delete", "merge", "purge")
        ),
        PATCHES,
        st.sampled_from(("", "", "east")),
        st.sampled_from(
            (
                *({}, {}, {}, {"null": "ignore"}, {"null": "clear", "blank": "clear"}),
                *({"rules": {"name": keep, "code": replace}}, {"blank": "ignore"}),
                *({"rules": {"age": union}}, {"on_found": "ignore"}),
                *({"on_found": "refuse"}, {"on_not_found": "refuse"}),
            )
        ),
        st.sampled_from((*[{}] * 4, *[{"idempotency_key": key} for key in "kkj "])),
    ),
    max_size=8,
)


def answer_to(book: ContactBook, call: tuple[str, Any, str, Any, Any]) -> str:
    """Make a call; return its answer or refusal as text."""
    verb, patch, scope, options, key = call
    try:
        if verb in ("delete", "purge"):
            first = next(iter(book), None)
            return repr(first and getattr(book, verb)(first.id, scope=first.scope))
        if verb == "merge":
            ids = [contact.id for contact in book if contact.scope == scope][:2]
            return repr(book.merge(*ids, scope=scope)) if ids else ""
        how = options if verb == "upsert" else {}
        outcome = getattr(book, verb)(patch, scope=scope, **how, **key)
    except (errors.Refused, errors.InvalidPolicy) as error:
        return f"{type(error).__name__}: {error}"
    return f"{outcome}, replayed: {outcome.replayed}"


def batch_answer_to(book: ContactBook, call: tuple[str, Any, str, Any, Any]) -> str:
    """Send a patch twice in a batch; return the answers as text."""
    _verb, patch, scope, options, _key = call
    many: Any = {"scope": scope, "on_refused": "collect", **options}
    try:
        return repr(list(book.upsert_many([patch, patch], **many)))
    except (errors.Refused, errors.InvalidPolicy) as error:
        return f"{type(error).__name__}: {error}"


@given(policy=tables(), calls=CALLS)
def test_fast_path_does_what_the_general_path_does(policy: Policy, calls: Any) -> None:
    """Answers, rows, forms, changes, remembered calls and the index are equal."""
    fast, general = [new_book(policy, retain_changes=None) for _ in "ab"]
    assert fast._fast_upsert is not None
    general._fast_upsert = general._fast_upsert_many = general._fast_create = None
    for call in calls:
        assert answer_to(general, call) == answer_to(fast, call)

    batch, general_batch = [new_book(policy, retain_changes=None) for _ in "ab"]
    general_batch._fast_upsert = general_batch._fast_upsert_many = None
    for call in calls:
        assert batch_answer_to(general_batch, call) == batch_answer_to(batch, call)
    assert general_batch.dump() == batch.dump()
    batch._index.check()

    fast._index.check()
    assert general.dump() == fast.dump()
    assert repr(general.changes_since()) == repr(fast.changes_since())
    assert repr(general._store._call_log.calls) == repr(fast._store._call_log.calls)
    for contact in general:
        assert (
            general._index.get_with_forms(contact.id, contact.scope)[1]
            == fast._index.get_with_forms(contact.id, contact.scope)[1]
        )


TEXTS = st.one_of(
    st.text(st.characters(max_codepoint=127)),
    st.text("aA@. \t", max_size=8),
    st.text("+0123 ()-./\x1c", max_size=18),
)


@given(value=TEXTS)
@example(value="a@@b")
@example(value="+1234567")
@example(value="0012345678")
def test_short_form_is_the_normal_form_where_its_check_passes(value: str) -> None:
    """Also where it is the normal form of itself."""
    for normal, make, is_form in ASCII_FORMS:
        short = make(value)
        if is_form(short) or normal(short) == short:
            assert short == normal(value)
