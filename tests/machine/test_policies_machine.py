"""Books under whole policies, driven by the machine that hosts have."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.field_options import merging
from upsertcore import Policy, field, first_match, merge_all, normalize, profiles
from upsertcore.rules import keep, latest, union
from upsertcore.testing import BookMachine

pytestmark = pytest.mark.full


class SalesforceIQMachine(BookMachine):
    policy = profiles.SalesforceIQ().policy


class LeadConnectorMachine(BookMachine):
    policy = profiles.LeadConnector().policy


class SegMetricsMachine(BookMachine):
    policy = profiles.SegMetrics().policy


class AnduinMachine(BookMachine):
    policy = profiles.Anduin().policy


class MergingMachine(BookMachine):
    """Contacts that a patch finds are merged, and every key is kept as an alias."""

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


class RestoringMachine(BookMachine):
    """A deleted contact keeps its keys, and a patch that finds it restores it."""

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


TestSalesforceIQMachine = SalesforceIQMachine.TestCase
TestLeadConnectorMachine = LeadConnectorMachine.TestCase
TestSegMetricsMachine = SegMetricsMachine.TestCase
TestAnduinMachine = AnduinMachine.TestCase
TestMergingMachine = MergingMachine.TestCase
TestRestoringMachine = RestoringMachine.TestCase

machine_settings = settings(
    max_examples=max(60, settings().max_examples), stateful_step_count=25
)
TestSalesforceIQMachine.settings = TestLeadConnectorMachine.settings = machine_settings
TestSegMetricsMachine.settings = TestAnduinMachine.settings = machine_settings
TestMergingMachine.settings = TestRestoringMachine.settings = machine_settings
