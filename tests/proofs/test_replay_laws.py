"""A log replayed component by component equals the log of one book."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import POOLS, policies
from upsertcore import Policy, field, first_match, key, merge_all, normalize
from upsertcore.laws import Log, logs
from upsertcore.testing import patches

NAMES = ("first", "born", "email")
VALUES = st.sampled_from(("a", "b", None))


@given(data=st.data(), policy=policies())
def test_components_in_any_order_equal_one_book(
    data: st.DataObject, policy: Policy
) -> None:
    """The same contacts and the same answers, under any policy."""
    log = data.draw(st.lists(patches(policy, values=POOLS), max_size=8))

    logs.by_components(Log(policy, log, data.draw(st.sampled_from(("", "east")))))


@given(
    log=st.lists(
        st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, VALUES)), max_size=9
    ),
    match=st.sampled_from((first_match, merge_all)),
    options=st.fixed_dictionaries(
        {
            "unique": st.booleans(),
            "keep_aliases": st.booleans(),
        }
    ),
    clash=st.sampled_from(("refuse", "withhold", "allow")),
)
def test_components_with_computed_forms_equal_one_book(
    log: list[dict[str, Any]], match: Any, options: dict[str, Any], clash: Any
) -> None:
    """The parts of a composite key come in several patches."""
    policy = Policy(
        match("email", "person"),
        {"first": field(), "born": field(), "email": field(key=normalize.exact)},
        keys={"person": key("first", "born", normalize=normalize.text, **options)},
        on_ambiguous="oldest",
        on_key_in_use=clash,
        on_no_key="create",
    )

    logs.by_components(Log(policy, log))
