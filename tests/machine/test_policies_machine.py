"""Drives a book under whole policies with the machine that hosts have."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.field_options import merging
from upsertcore import Policy, field, first_match, merge_all, normalize, profiles
from upsertcore.rules import keep, latest, union
from upsertcore.testing import BookMachine

pytestmark = pytest.mark.full


class OfSalesforceIQ(BookMachine):
    policy = profiles.SalesforceIQ().policy


class OfLeadConnector(BookMachine):
    policy = profiles.LeadConnector().policy


class OfSegMetrics(BookMachine):
    policy = profiles.SegMetrics().policy


class OfAnduin(BookMachine):
    policy = profiles.Anduin().policy


class Remembering(BookMachine):
    """All who are hit become one; whoever was found once is found for ever."""

    policy = Policy(
        merge_all("email", "phone"),
        merging(
            {
                "email": field(key=normalize.email, unique=True, keep_aliases=True),
                "phone": field(key=normalize.phone, keep_aliases=True),
                "city": field(rule=latest(by="at")),
                "at": field(),
                "tags": field(rule=union),
            },
            {"tags": union},
        ),
    )


class Restoring(BookMachine):
    """Who is deleted keeps the keys, and comes back with a patch that finds them."""

    policy = Policy(
        first_match("id", "email", guard="if_set"),
        {
            "id": field(key=normalize.exact, unique=True, rule=keep),
            "email": field(key=normalize.email, unique=True, null="ignore"),
            "name": field(default="nobody"),
        },
        on_key_in_use="withhold",
        on_deleted="restore",
    )


TestOfSalesforceIQ = OfSalesforceIQ.TestCase
TestOfLeadConnector = OfLeadConnector.TestCase
TestOfSegMetrics = OfSegMetrics.TestCase
TestOfAnduin = OfAnduin.TestCase
TestRemembering = Remembering.TestCase
TestRestoring = Restoring.TestCase

few = settings(max_examples=max(60, settings().max_examples), stateful_step_count=25)
TestOfSalesforceIQ.settings = TestOfLeadConnector.settings = few
TestOfSegMetrics.settings = TestOfAnduin.settings = few
TestRemembering.settings = TestRestoring.settings = few
