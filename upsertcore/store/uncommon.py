"""
Why the fast path leaves a call to the general path, in words.

Rules:
    A reason names what is uncommon about a call or its policy. It is for figures: what
    a call does never depends on it.
"""

__all__ = [
    "FORMS_KEPT",
    "ID_IN_USE",
    "KEYED_DEFAULT",
    "KEY_IN_USE",
    "NOT_CREATED",
    "NOT_READ",
    "NOT_UPDATED",
    "NO_FAST_PATH",
    "OVERTAKEN",
    "PARTLY_BLOCKED",
    "RULE",
    "SPECIAL",
]

NO_FAST_PATH = "the policy, or an option of the call, has no fast path"
NOT_READ = "the patch is no plain dict, or the scope is not ASCII"
PARTLY_BLOCKED = "a blocked value is part of a key of several fields"
OVERTAKEN = "another call wrote meanwhile, or the idempotency key was used before"
KEY_IN_USE = "the keys match several contacts"
NOT_CREATED = "no key is usable, or the policy refuses to create"
KEYED_DEFAULT = "a default is part of a key"
RULE = "a rule or a required field needs more than the value sent"
FORMS_KEPT = "the contact keeps former or several forms of a key"
ID_IN_USE = "the new id is in use"
SPECIAL = "the contact is deleted, or has clocks"
NOT_UPDATED = "the policy does not update a contact that is found"
