"""
Batches: some hundred patches in one transaction, decided one after the other.

Rules:
    A batch is the left fold of its calls. A refusal writes nothing; what was decided
    before it, in the same transaction, is written.
    All forms and contacts of a transaction are looked up at its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy.exc import DBAPIError

from upsertcore.engine.decide import decide_request
from upsertcore.engine.outcomes import Outcomes
from upsertcore.engine.patch import check_scope, read_with_id, request_maker
from upsertcore.errors import Refused, with_row
from upsertcore.sql.transaction import Lost
from upsertcore.store.overlay import Overlay

if TYPE_CHECKING:
    from upsertcore.engine.patch import Request
    from upsertcore.matching.protocol import Strategy
    from upsertcore.model.view import View
    from upsertcore.policy.policy import Policy
    from upsertcore.sql.store import SqlStore
    from upsertcore.sql.transaction import Transaction
    from upsertcore.store.stamp import Stamp

__all__ = ["CHUNK", "upsert_in_chunks"]

CHUNK = 200
"""How many patches one transaction has."""

Call: TypeAlias = "tuple[Callable[[View], Request], Stamp]"
"""What makes the request of a patch, and what draws its id and its time."""

Results: TypeAlias = "list[Any]"


def upsert_in_chunks(
    store: SqlStore,
    policy: Policy,
    match: Strategy,
    patches: Iterable[Mapping[str, Any]],
    scope: str,
    by_plan: object,  # noqa: ARG001 - each patch is planned
    *,
    collect: bool,
) -> Outcomes[Any]:
    """
    Upsert several patches, some hundred in each transaction.

    Args:
        store: The store.
        policy: The policy of the calls.
        match: Its strategy.
        patches: Read as they are needed.
        scope: The tenant.
        by_plan: Not needed.
        collect: Whether refusals are among the results, and do not end the batch.

    Raises:
        Refused: The first refusal, unless *collect*; what is before it is written.
        Exception: What the patches or a function of the policy raise, after the same.
    """
    scope = check_scope(scope)
    results: Results = []
    rest = iter(patches)
    while True:
        calls, end = _read(store, policy, match, rest, scope, collect=collect)
        run = partial(_run, store, policy, calls, collect=collect)
        done, error = store.transact(run)
        results += [
            with_row(one, len(results) + n) if isinstance(one, Refused) else one
            for n, one in enumerate(done)
        ]
        error = error or end
        if error is not None:
            raise with_row(error, len(results), Outcomes(results))
        if len(calls) < CHUNK:
            return Outcomes(results)


def _read(
    store: SqlStore,
    policy: Policy,
    match: Strategy,
    patches: Iterable[Mapping[str, Any]],
    scope: str,
    *,
    collect: bool,
) -> tuple[list[Call | Refused], Exception | None]:
    """Read the patches of one transaction; return what ends the batch after them."""
    calls: list[Call | Refused] = []
    try:
        for patch in islice(patches, CHUNK):
            try:
                read, own_id = read_with_id(policy, patch)
            except Refused as refusal:
                if not collect:
                    raise
                calls.append(refusal)
                continue
            make_request = request_maker(policy, read, scope, match, own_id=own_id)
            calls.append((make_request, store.stamp()))
    except Exception as error:  # noqa: BLE001 - raised after the rows before it
        return calls, error
    return calls, None


def _run(
    store: SqlStore,
    policy: Policy,
    calls: list[Call | Refused],
    transaction: Transaction,
    *,
    collect: bool,
) -> tuple[Results, Exception | None]:
    """Decide on the patches of one transaction, and write them; stop at an error."""
    overlay, error = Overlay(transaction.view), None
    results: Results = []
    requests = [
        call if isinstance(call, Refused) else call[0](overlay) for call in calls
    ]
    decide = partial(decide_request, policy)
    try:
        transaction.view.prepare([r for r in requests if not isinstance(r, Refused)])
        for call, request in zip(calls, requests, strict=True):
            try:
                if isinstance(request, Refused):
                    raise request
                outcome, puts = store.decide(transaction, decide, request, call[1])  # type: ignore[index]
            except Refused as refusal:
                if not collect:
                    raise
                results.append(refusal)
                continue
            for contact, forms in puts:
                overlay.put(contact, forms)
            results.append(outcome)
    except (DBAPIError, Lost):
        raise
    except Exception as raised:  # noqa: BLE001 - raised after the rows before it
        error = raised
    done = [result for result in results if not isinstance(result, Refused)]
    transaction.write(done, overlay.puts)
    return results, error
