"""``max_forms``: how many forms are too many, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.books import ADA, ID, PARTS, book
from tests.field_options import merging
from upsertcore import (
    ContactBook,
    Policy,
    field,
    first_match,
    key,
    merge_all,
    normalize,
)
from upsertcore.engine.max_forms import check_max_forms
from upsertcore.errors import InvalidField, KeyInUse, MissingField
from upsertcore.rules import union


def limited(*patches: dict[str, Any], match: Any = None, **options: Any) -> ContactBook:
    """Make a book in which nobody has more than two emails, and one phone."""
    lines = {
        "email": field(
            key=normalize.email, max_forms=2, rule=union, unique=True, keep_aliases=True
        ),
        "phone": field(key=normalize.phone, max_forms=1, keep_aliases=True),
        "device": field(key=normalize.exact, rule=union),
        "city": field(),
        **options.pop("lines", {}),
    }
    lines = merging(lines, options.pop("merging", {}))
    keys = ("email", "phone", "device")
    return book(Policy(match or first_match(*keys), lines, **options), *patches)


class TestLimit:
    """No contact holds more forms of a key than its limit."""

    def test_refuse(self) -> None:
        """The key is named, and how many it would hold; nothing is stored."""
        made = limited({"email": ["a@x"]})
        made.upsert({"email": ["a@x", "b@x"]})
        before = made.dump()
        with pytest.raises(InvalidField) as caught:
            made.upsert({"email": ["b@x", "c@x"]})

        assert (caught.value.field, caught.value.value) == (
            "email",
            3,
        )
        assert "must have at most 2 keys per contact, not 3" in str(caught.value)
        assert made.dump() == before

    def test_at_creation(self) -> None:
        """A new contact has a limit too."""
        made = limited()
        with pytest.raises(InvalidField, match="email: must have at most 2 keys"):
            made.upsert({"email": ["a@x", "b@x", "c@x"]})

        assert made.upsert({"email": ["a@x", "b@x", "A@x"]}).created

    def test_aliases_count(self) -> None:
        """What a contact held once is one of its keys."""
        made = limited({"email": ["a@x"], "phone": "+15550001"})
        with pytest.raises(InvalidField) as caught:
            made.upsert({"email": ["a@x"], "phone": "+15550002"})
        assert (caught.value.field, caught.value.value) == (
            "phone",
            2,
        )
        assert "must have one key per contact, not " in str(caught.value)

        assert made.upsert({"email": ["a@x"], "phone": None}).updated
        assert made.upsert({"email": ["a@x"], "phone": "+15550001"}).updated

    @pytest.mark.parametrize("on_limit", ["refuse", "drop"])
    def test_what_null_clears_counts_no_more(self, on_limit: Any) -> None:
        """The form is let go: it finds nobody, and another one may take its place."""
        made = limited(
            {"device": [1], "phone": "+15550001"},
            match=merge_all("device", "phone"),
            on_limit=on_limit,
        )
        cleared = made.upsert({"device": [1], "phone": None})
        assert (cleared.result, dict(cleared.contact.aliases)) == ("updated", {})
        assert made.find("phone", "+15550001") == ()
        assert made.upsert({"device": [1], "phone": None}).unchanged

        outcome = made.upsert({"device": [1], "phone": "+15550002"})
        assert (outcome.contact["phone"], dict(outcome.ignored)) == ("+15550002", {})
        made._index.check()

    def test_what_null_clears_of_several_fields_counts_no_more(self) -> None:
        """Of a key of each field those of that field, of a composite the whole."""
        options: Any = {"keep_aliases": True, "max_forms": 2}
        keys = {
            "person": key("first", "last", normalize=normalize.text, **options),
            "mail": key(
                "main", "more", normalize=normalize.email, any_of=True, **options
            ),
        }
        policy = Policy(first_match("id"), {"id": ID, **PARTS}, keys=keys)
        made = book(policy, {**ADA, "more": ["b@x"]})
        outcome = made.upsert({"id": 1, "main": None, "first": None})
        assert dict(outcome.contact.aliases) == {}
        outcome = made.upsert({"id": 1, "more": ["c@x"], "first": "Bo"})
        assert dict(outcome.contact.aliases) == {"mail": ("b@x",)}
        outcome = made.upsert({"id": 1, "last": "Day"})
        assert outcome.contact.aliases["person"] == ("bo|king",)

    def test_what_is_cleared_after_a_merge_is_let_go_with_it(self) -> None:
        """Null clears what the contacts have together; what it does not is an alias."""
        made = limited(
            {"device": [1]},
            {"device": [2], "phone": "+15550002", "email": ["b@x"]},
            match=merge_all("device"),
            merging={"device": union},
        )
        outcome = made.upsert({"device": [1, 2], "phone": None})

        assert (outcome.result, dict(outcome.contact.aliases)) == ("merged", {})
        assert made.find("phone", "+15550002") == ()
        assert made.find("email", "b@x") == (outcome.contact,)

    def test_only_what_is_new_is_too_much(self) -> None:
        """A contact that holds more already may stay so, and may lose some."""
        made = limited({"email": ["a@x", "b@x"]})
        wide = {"email": field(key=normalize.email, rule=union, max_forms=1)}
        made = ContactBook.load(limited(lines=wide).policy, made.dump())

        assert made.upsert({"email": ["A@x"], "city": "Oslo"}).updated
        with pytest.raises(InvalidField, match="email: must have one key"):
            made.upsert({"email": ["a@x", "c@x"]})

    def test_a_clash_is_settled_first(self) -> None:
        """What is withheld counts for no limit."""
        made = limited(
            {"email": ["a@x", "b@x"]}, {"email": ["c@x"]}, on_key_in_use="withhold"
        )
        outcome = made.upsert({"email": ["a@x", "c@x"], "city": "Oslo"})

        assert outcome.updated
        assert [each.field for each in outcome.withheld] == ["email"]

    def test_a_clash_that_refuses_comes_first(self) -> None:
        """The key that somebody holds is told, and not that there are too many."""
        made = limited({"email": ["a@x", "b@x"]}, {"email": ["c@x"]})
        with pytest.raises(KeyInUse):
            made.upsert({"email": ["a@x", "c@x"]})

    def test_the_first_key_of_the_policy_is_told(self) -> None:
        """Where two are too many."""
        made = limited({"email": ["a@x", "b@x"], "phone": "+15550001"})
        with pytest.raises(InvalidField) as caught:
            made.upsert({"phone": ["+15550001", "+15550002"], "email": ["c@x"]})

        assert caught.value.field == "email"

    def test_of_several_fields(self) -> None:
        """All forms count that the fields of a key make."""
        mail = key("main", "more", normalize=normalize.email, any_of=True, max_forms=2)
        policy = Policy(first_match("id"), {"id": ID, **PARTS}, keys={"mail": mail})
        made = book(policy, {"id": 1, "main": "a@x", "more": ["b@x", "a@x"]})
        with pytest.raises(InvalidField) as caught:
            made.upsert({"id": 1, "main": "c@x"})

        assert caught.value.field == "mail"
        assert caught.value.value == 3


MERGES = merge_all("email", "phone", "device")


class TestLimitDrop:
    """The lowest key that a patch carries may be left out of it instead."""

    def test_the_lowest_key_is_left_out(self) -> None:
        """Its field is named, and what it would have merged stays apart."""
        made = limited(
            {"email": ["a@x"], "device": [1]},
            {"email": ["b@x", "c@x"], "device": [2]},
            match=MERGES,
            on_limit="drop",
            merging={"email": union},
        )
        sent = {"email": ["a@x"], "device": [2], "city": "Oslo"}
        outcome = made.upsert(sent)

        assert (outcome.result, outcome.contact.id) == ("updated", "1")
        assert outcome.ignored == {"device": "limit"}
        assert outcome.contact.fields == {
            "email": ("a@x",),
            "device": (1,),
            "city": "Oslo",
        }
        assert (outcome.also_matched, outcome.merged) == ((), ())
        assert made.upsert(sent).unchanged
        made._index.check()

    def test_one_after_the_other(self) -> None:
        """Until what is left is not too much."""
        made = limited(
            {"email": ["a@x", "b@x"]},
            {"email": ["c@x"], "phone": "+15550001"},
            {"email": ["d@x"], "device": [3]},
            match=MERGES,
            on_limit="drop",
            merging={"email": union},
        )
        sent = {"device": [3], "phone": "+15550001", "email": ["a@x"]}
        outcome = made.upsert(sent)

        assert outcome.contact.id == "1"
        assert outcome.unchanged
        assert outcome.ignored == {"device": "limit", "phone": "limit"}
        assert len(made) == 3

    def test_the_last_key_refuses(self) -> None:
        """A patch is not left without any."""
        made = limited({"email": ["a@x", "b@x"]}, match=MERGES, on_limit="drop")
        for more in ({}, {"device": [1]}):
            with pytest.raises(InvalidField) as caught:
                made.upsert({"email": ["a@x", "c@x"], **more})
            assert caught.value.field == "email"

        assert len(made) == 1

    def test_what_is_too_much_may_be_another_key(self) -> None:
        """The lowest is left out, and not the one that is too much."""
        made = limited(match=MERGES, on_limit="drop")
        with pytest.raises(InvalidField) as caught:
            made.upsert({"email": ["a@x", "b@x", "c@x"], "device": [1]})

        assert caught.value.field == "email"

    def test_what_is_left_out_counts_as_omitted(self) -> None:
        """A new contact has the default of it, or lacks what it needs."""
        lines = {
            "device": field(
                key=normalize.exact, max_forms=1, default=[0], keep_aliases=True
            )
        }
        made = limited(match=MERGES, on_limit="drop", lines=lines)
        outcome = made.upsert({"email": ["a@x"], "device": [1, 2]})
        assert outcome.contact["device"] == (0,)
        assert outcome.ignored == {"device": "limit"}

        lines = {
            "device": field(
                key=normalize.exact, max_forms=1, required=True, keep_aliases=True
            )
        }
        made = limited(match=MERGES, on_limit="drop", lines=lines)
        with pytest.raises(MissingField, match="device"):
            made.upsert({"email": ["a@x"], "device": [1, 2]})

    def test_it_is_settled_before_anything_is_merged(self) -> None:
        """What would be refused in the merge that does not happen refuses nothing."""
        made = limited(
            {"email": ["b@x", "c@x"], "device": [2], "city": "Oslo"},
            match=MERGES,
            on_limit="drop",
            merging={"city": union},
        )
        sent = {"email": ["a@x"], "device": [2]}

        assert made.upsert(sent).created
        assert made.upsert(sent).unchanged

    def test_forms_of_all_that_are_found_count(self) -> None:
        """Those of the absorbed, aliases too, and those that the patch carries."""
        made = limited(
            {"email": ["a@x"]}, {"device": [2]}, match=MERGES, on_limit="drop"
        )
        made.upsert({"device": [2], "email": ["b@x"]})
        made.upsert({"device": [2], "email": []})
        assert made.get("2").aliases == {}
        rows = made.dump()
        rows[1]["aliases"] = {"email": ["b@x", "c@x"]}
        rows[1]["fields"].pop("email")
        made = ContactBook.load(made.policy, rows)
        outcome = made.upsert({"email": ["a@x"], "device": [2]})

        assert outcome.ignored == {"device": "limit"}
        assert (outcome.contact.id, outcome.result) == ("1", "unchanged")
        assert made.upsert({"device": [2], "city": "Oslo"}).contact.id == "2"

    def test_the_version_is_that_of_whom_the_rest_finds(self) -> None:
        """The shorter patch is decided from the match on."""
        made = limited(
            {"email": ["a@x"]},
            {"email": ["b@x", "c@x"], "device": [2]},
            match=merge_all("device", "email"),
            on_limit="drop",
            merging={"email": union},
        )
        made.upsert({"email": ["b@x"], "city": "Rome"})
        sent = {"device": [2], "email": ["a@x"]}

        assert made.upsert(sent, if_version=2).contact.id == "2"

    def test_the_key_that_found_somebody_may_be_left_out(self) -> None:
        """What is left finds nobody then, and creates; and twice is once."""
        made = limited(
            {"email": ["b@x", "c@x"], "device": [2]}, match=MERGES, on_limit="drop"
        )
        sent = {"email": ["a@x"], "device": [2]}
        outcome = made.upsert(sent)

        assert (outcome.result, outcome.matched_by) == ("created", None)
        assert outcome.contact.fields == {"email": ("a@x",)}
        assert made.upsert(sent).unchanged


class TestCheck:
    """The check of what a contact would hold."""

    POLICY = Policy(
        first_match("a"),
        {"a": field(key=str, max_forms=2), "b": field(key=str)},
    )

    @pytest.mark.parametrize(
        ("forms", "held", "over"),
        [
            ((("1", "2"), ()), ((), ()), False),
            ((("1", "2", "3"), ()), (("1", "2"), ()), True),
            ((("1", "2", "3"), ()), (("3", "2", "1", "4"), ()), False),
            (((), ("1", "2", "3")), ((), ()), False),
        ],
        ids=map(str, range(4)),
    )
    def test_what_is_too_much(self, forms: Any, held: Any, over: bool) -> None:  # noqa: FBT001
        """More forms than the limit, one of them new; and the key says so."""
        if over:
            with pytest.raises(InvalidField) as caught:
                check_max_forms(self.POLICY, forms, held)

            assert (caught.value.field, caught.value.value) == ("a", 3)
        else:
            check_max_forms(self.POLICY, forms, held)
