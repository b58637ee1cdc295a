from upsertcore import errors, laws, normalize, profiles
from upsertcore.book import ContactBook
from upsertcore.contact import Contact
from upsertcore.index import ContactIndex
from upsertcore.keys import key
from upsertcore.line import field
from upsertcore.match import (
    all_agree,
    first_match,
    first_present,
    merge_all,
    never,
)
from upsertcore.merge import (
    add,
    custom,
    deep,
    ignore,
    immutable,
    items_by,
    keep,
    largest,
    latest,
    on_create,
    remove,
    replace,
    smallest,
    union,
)
from upsertcore.outcome import Change, Outcome, Withheld
from upsertcore.planned import Plan
from upsertcore.policy import Policy

__all__ = [
    "Change",
    "Contact",
    "ContactBook",
    "ContactIndex",
    "Outcome",
    "Plan",
    "Policy",
    "Withheld",
    "add",
    "all_agree",
    "custom",
    "deep",
    "errors",
    "field",
    "first_match",
    "first_present",
    "ignore",
    "immutable",
    "items_by",
    "keep",
    "key",
    "largest",
    "latest",
    "laws",
    "merge_all",
    "never",
    "normalize",
    "on_create",
    "profiles",
    "remove",
    "replace",
    "smallest",
    "union",
]
