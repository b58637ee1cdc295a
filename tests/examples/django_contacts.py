"""Contacts in Django: a model, and an upsert in one transaction."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.db import IntegrityError, models, transaction

from upsertcore import ContactBook, Outcome, Policy, field, first_match, normalize

POLICY = Policy(
    match=first_match("email", "phone", guard="if_set"),
    fields={
        "email": field(key=normalize.email, unique=True),
        "phone": field(key=normalize.phone),
        "name": field(),
    },
)


class Person(models.Model):
    """A contact, with one column for each key of the policy."""

    id = models.CharField(primary_key=True, max_length=64)
    scope = models.CharField(max_length=64)
    email = models.CharField(max_length=254, null=True)
    phone = models.CharField(max_length=16, null=True, db_index=True)
    version = models.IntegerField()
    body = models.JSONField()

    class Meta:
        app_label = "contacts"
        constraints = [models.UniqueConstraint(fields=["scope", "email"], name="email")]


class Overtaken(Exception):
    """Another process has changed the contact since it was read."""


def forms(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the form of each key that a patch or a contact has."""
    keys = {"email": normalize.email, "phone": normalize.phone}
    return {name: form(values.get(name)) for name, form in keys.items()}


def upsert(patch: Mapping[str, Any], scope: str) -> Outcome:
    """Upsert into the table; a call that lost a race is decided again."""
    for _ in range(4):
        with suppress(IntegrityError, Overtaken), transaction.atomic():
            return attempt(patch, scope)
    with transaction.atomic():
        return attempt(patch, scope)


def attempt(patch: Mapping[str, Any], scope: str) -> Outcome:
    """Load the contacts that the patch can match, decide, and store."""
    wanted = models.Q(pk__in=[])
    for name, form in forms(patch).items():
        if form is not None:
            wanted |= models.Q(**{name: form})
    people = Person.objects.filter(wanted, scope=scope)
    book = ContactBook.load(POLICY, [person.body for person in people])
    outcome = book.upsert(patch, scope=scope)
    if not outcome.unchanged:
        contact, before = outcome.contact, outcome.before
        columns = {
            "version": contact.version,
            "body": contact.to_dict(),
            **forms(contact.fields),
        }
        if before is None:
            Person.objects.create(id=contact.id, scope=scope, **columns)
        else:
            same = Person.objects.filter(id=contact.id, version=before.version)
            if not same.update(**columns):
                raise Overtaken
    return outcome
