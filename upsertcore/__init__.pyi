from upsertcore import errors, laws, normalize, profiles, rules
from upsertcore.book.contact_book import ContactBook
from upsertcore.engine.conflicts import Conflict
from upsertcore.engine.decide import decide
from upsertcore.engine.instances import as_patch
from upsertcore.engine.outcome import Change, Outcome, Withheld
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.plan import Plan
from upsertcore.matching.protocol import Strategy
from upsertcore.matching.strategies import (
    all_agree,
    first_match,
    first_present,
    merge_all,
    never,
)
from upsertcore.model.contact import Contact
from upsertcore.model.view import View
from upsertcore.policy.fields import field
from upsertcore.policy.keys import key
from upsertcore.policy.policy import Policy
from upsertcore.rules.rule import Rule
from upsertcore.store.journal import Entry

__version__: str

__all__ = [
    "Change",
    "Conflict",
    "Contact",
    "ContactBook",
    "Entry",
    "Outcome",
    "Outcomes",
    "Plan",
    "Policy",
    "Rule",
    "Strategy",
    "View",
    "Withheld",
    "__version__",
    "all_agree",
    "as_patch",
    "decide",
    "errors",
    "field",
    "first_match",
    "first_present",
    "key",
    "laws",
    "merge_all",
    "never",
    "normalize",
    "profiles",
    "rules",
]
