from upsertcore import errors, laws, normalize, profiles, rules
from upsertcore.book import ContactBook
from upsertcore.contact import Contact
from upsertcore.journal import Entry
from upsertcore.keys import key
from upsertcore.line import field
from upsertcore.match import all_agree, first_match, first_present, merge_all, never
from upsertcore.outcome import Change, Outcome, Withheld
from upsertcore.plan import decide
from upsertcore.planned import Plan
from upsertcore.policy import Policy
from upsertcore.rule import Rule
from upsertcore.strategy import Strategy
from upsertcore.view import View

__version__: str

__all__ = [
    "Change",
    "Contact",
    "ContactBook",
    "Entry",
    "Outcome",
    "Plan",
    "Policy",
    "Rule",
    "Strategy",
    "View",
    "Withheld",
    "__version__",
    "all_agree",
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
