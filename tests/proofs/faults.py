"""
The planted faults: what is wrong, where it is planted, and which law it breaks.

Rules:
    A fault is one edit of one function: the old text occurs in it once, and the new
    text replaces it. Or it is in a function of an application; then there is no
    edit. If the function moves to another module, only the module is renamed here.
    Each is shown on one policy, rule or normaliser, by its name in ``fault_worker``.
    It breaks the named law; it may break others too.
"""

# ruff: noqa: E501 - source is quoted as it is

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAULTS", "Fault"]


class Fault(NamedTuple):
    """
    One fault.

    Args:
        wrong: What is wrong.
        law: The law that it breaks.
        shown_on: The policy, rule or normaliser that shows it.
        module: Where it is planted; blank for a function of an application.
        function: The function, or class and method; blank for the module itself.
        old: A pattern that occurs once in the function.
        new: The text that replaces it.
    """

    wrong: str
    law: str
    shown_on: str
    module: str = ""
    function: str = ""
    old: str = ""
    new: str = ""


_OWN = (
    Fault(
        "a rule appends and declares that it is idempotent",
        "idempotent",
        "a rule that appends",
    ),
    Fault(
        "the same rule, looked at by itself",
        "rules.idempotent",
        "that rule alone",
    ),
    Fault(
        "a clean puts in what a clock says",
        "idempotent",
        "a clean with a clock",
    ),
    Fault(
        "a normaliser makes another form of its own form",
        "normalisers.idempotent",
        "a normaliser that cuts",
    ),
    Fault(
        "a normaliser answers otherwise each time",
        "normalisers.pure",
        "a normaliser that counts",
    ),
    Fault(
        "a normaliser answers blank text where there is no key",
        "normalisers.total",
        "a normaliser that answers blank",
    ),
)

_FINDING = (
    Fault(
        "a tie is broken by the last update, not by creation",
        "finds_who_is_named",
        "an address, then a phone",
        "store.contact_index",
        "ContactIndex.holders",
        "if isinstance(entry, str) else tuple(entry)",
        "if isinstance(entry, str) else tuple(\n"
        "            sorted(entry, key=lambda id: self.get(id).updated_at)\n"
        "        )",
    ),
    Fault(
        "the last key that finds somebody decides",
        "finds_who_is_named",
        "an address, then a phone",
        "matching.strategies",
        "_first_match",
        "if chosen is None and holders:",
        "if holders:",
    ),
    Fault(
        "keys after the first are not looked at",
        "finds_who_is_named",
        "an address, then a phone",
        "matching.strategies",
        "_first_match",
        """
    all_holders: list[str] = []
    for name in keys:
        for _form, holders in probe(name):
            carried = True
""",
        """
    all_holders: list[str] = []
    for name in keys[:1]:
        for _form, holders in probe(name):
            carried = True
""",
    ),
    Fault(
        "where the first key finds nobody, the next is asked all the same",
        "finds_who_is_named",
        "an id, else an address",
        "matching.strategies",
        "_first_present",
        "return _first_match((name,), probe, pick)",
        "return _first_match(keys, probe, pick)",
    ),
    Fault(
        "the key that decided is told wrongly",
        "finds_who_is_named",
        "an address, then a phone",
        "matching.strategies",
        "_first_match",
        "chosen, key = pick(name, holders), name\n            all_holders += holders",
        "chosen, key = pick(name, holders), keys[0]\n            all_holders += holders",
    ),
    Fault(
        "further contacts that keys hit are not told",
        "nothing_silent",
        "an address, then a phone",
        "matching.strategies",
        "_first_match",
        "return Match(chosen, key, also_matched(chosen, all_holders))",
        "return Match(chosen, key)",
    ),
    Fault(
        "blank makes a key, which finds whoever has it blank",
        "finds_who_is_named",
        "one key",
        "policy.keys",
        "Key._normal",
        """        if empty(value):
            return None
        try:
            form = self.normalize[place](value)
""",
        """        if value is None:
            return None
        try:
            form = self.normalize[place](value) or "blank"
""",
    ),
    Fault(
        "a look-up goes through every scope",
        "scopes_apart",
        "all become one",
        "engine.patch",
        "Request.__init__",
        "= index, keys, scope, forms",
        "= index, keys, next(iter(getattr(index, 'rows', ())), scope), forms",
    ),
    Fault(
        "those who are hit are found, and not merged",
        "finds_who_is_named",
        "all become one",
        "matching.strategies",
        "_merge_all",
        "return Match(match.id, match.key, merged=match.also_matched)",
        "return match",
    ),
)

_KEYS = (
    Fault(
        "the entry of a key that has changed is not removed",
        "index_follows",
        "an address, then a phone",
        "store.key_index",
        "move",
        "        for form in _difference(before, after):\n            _drop(entries, form, id, place, rows)\n",
        "",
    ),
    Fault(
        "the entry of a key that has changed is not added",
        "index_follows",
        "an address, then a phone",
        "store.key_index",
        "move",
        "        for form in _difference(after, before):\n            add(entries, form, id, place, rows)\n",
        "",
    ),
    Fault(
        "holders stand in the order in which they got their key",
        "undo_inverts",
        "an address, then a phone",
        "store.key_index",
        "add",
        "entries[form] = [entry, id] if is_later else [id, entry]",
        "entries[form] = [entry, id]",
    ),
    Fault(
        "of several holders the last one is removed, whoever leaves",
        "index_follows",
        "an address, then a phone",
        "store.key_index",
        "_drop",
        "del entry[position]",
        "del entry[-1]",
    ),
    Fault(
        "who was absorbed is still found by its keys",
        "index_follows",
        "all become one",
        "store.contact_index",
        "ContactIndex.store",
        "        for was in removed:\n            move(self._holders, was[SCOPE], was, None, self._rows_of(was[SCOPE]))\n",
        "",
    ),
    Fault(
        "unique keys are not looked up before they are claimed",
        "unique",
        "an id, else an address",
        "engine.uniqueness",
        "_conflicts",
        "not (key.unique or",
        "(key.unique or",
    ),
    Fault(
        "the forms of a key that is not sent are let go",
        "index_follows",
        "an address, then a phone",
        "engine.aliases",
        "with_aliases",
        "tuple([held if new is None else new for new, held in forms])",
        "tuple([() if new is None else new for new, held in forms])",
    ),
    Fault(
        "a form that was replaced is forgotten, though its key remembers",
        "index_follows",
        "all become one",
        "engine.aliases",
        "_retained_forms",
        "retained = [target.forms[place] if key.keep_aliases else known.get(key.name, ())]",
        "retained = [known.get(key.name, ())]",
    ),
    Fault(
        "a merge loses what the absorbed one was known by",
        "index_follows",
        "all become one",
        "engine.aliases",
        "_retained_forms",
        "            held[place] if key.keep_aliases else contact",
        "            () if key.keep_aliases else contact",
    ),
)

_FIELDS = (
    Fault(
        "an update wipes the fields that are omitted",
        "omitted_is_unchanged",
        "an address, then a phone",
        "engine.merge_patch",
        "Draft.__init__",
        "self.after: dict[str, Any] = stored.proxy.copy()",
        "self.after: dict[str, Any] = {}",
    ),
    Fault(
        "defaults are given at each update again",
        "omitted_is_unchanged",
        "one key",
        "engine.decide",
        "_changed_plan",
        "    if target.before is None:\n        draft.apply_defaults(request.sent)",
        "    draft.apply_defaults(request.sent)",
    ),
    Fault(
        "null clears where the line says that it is ignored",
        "omitted_is_unchanged",
        "one key",
        "engine.patch",
        "_ignore_reason",
        'return kind if option == "ignore" else None',
        'return kind if (kind, option) == ("blank", "ignore") else None',
    ),
    Fault(
        "what is taken at creation alone is taken by an update too",
        "omitted_is_unchanged",
        "one key",
        "engine.merge_patch",
        "Draft._apply_rule",
        "if rule.on_update if known else rule.on_create:",
        "if rule.on_create:",
    ),
    Fault(
        "keep replaces",
        "rules.absorbing",
        "keep",
        "rules.catalogue",
        "",
        'keep = Rule("keep", fill,',
        'keep = Rule("keep", replace.combine,',
    ),
    Fault(
        "replace keeps",
        "rules.absorbing",
        "replace",
        "rules.rule",
        "_replace",
        "    return sent\n",
        "    return sent if _stored is None else _stored\n",
    ),
    Fault(
        "of 1 and 1.0, which are equal and two values, the last one is the largest",
        "rules.commutative",
        "largest",
        "rules.comparison",
        "rank",
        "return value, type(value) is float",
        "return value, True",
    ),
    Fault(
        "of equal clocks the one that comes later counts",
        "any_order",
        "the newest counts",
        "rules.clocks",
        "newer",
        "return sent if texts[1] > texts[0] else stored",
        "return sent",
    ),
    Fault(
        "joining lists turns them round",
        "idempotent",
        "tags join",
        "rules.lists",
        "UnionItems.result",
        "return tuple(self._items.values())",
        "return tuple(self._items.values())[::-1]",
    ),
    Fault(
        "accents are put together before words are folded, not afterwards",
        "normalisers.idempotent",
        "text",
        "normalize.words",
        "text",
        """    folded = unicodedata.normalize("NFD", spaced).casefold()
    folded = unicodedata.normalize("NFD", folded).casefold()
    form = unicodedata.normalize("NFC", folded)
""",
        """    form = unicodedata.normalize("NFC", spaced).casefold()
""",
    ),
    Fault(
        "a letter that folds into another and its accent is not put together",
        "normalisers.idempotent",
        "text",
        "normalize.words",
        "",
        r"\u0131-\u01ef\u01f1-\u02af",
        r"\u0131-\u02af",
    ),
    Fault(
        "the form of a telephone number has no plus, and so no form of its own",
        "normalisers.idempotent",
        "phone",
        "normalize.phones",
        "phone",
        'return "+" + digits if form',
        "return digits if form",
    ),
    Fault(
        "white space is taken for an identifier",
        "normalisers.total",
        "exact",
        "normalize.identifiers",
        "exact",
        "return value if value and not value.isspace() else None",
        "return value if value else None",
    ),
    Fault(
        "a float that stands for a whole number is no identifier",
        "normalisers.one_number",
        "exact",
        "normalize.identifiers",
        "whole_number",
        "return int(value) if is_exact else None",
        "return None",
    ),
)

_TOLD = (
    Fault(
        "a value that is withheld is not told",
        "nothing_silent",
        "a clash withholds",
        "engine.decide",
        "_plan",
        "        holdings.withheld,\n",
        "        (),\n",
    ),
    Fault(
        "a value that a rule leaves out is not told",
        "nothing_silent",
        "one key",
        "engine.merge_patch",
        "Draft._apply_rule",
        """        if rule.leaves_out(stored, new, value):
            self.ignored[name] = rule.name""",
        """        if rule.leaves_out(stored, new, value):
            pass""",
    ),
    Fault(
        "null that counts as omitted is not told",
        "nothing_silent",
        "one key",
        "engine.decide",
        "_plan",
        "        FrozenMap.trusted(ignored) if ignored else NOTHING,\n",
        "        NOTHING,\n",
    ),
)

_MOVES = (
    Fault(
        "the time of the last update moves though no field does",
        "moves_with_a_field",
        "one key",
        "store.stamp",
        "Stamp.contact",
        "        if plan.unchanged:\n            return before\n",
        """        if plan.unchanged:
            times = before.created_at, self.time()
            return Contact(before.id, before.scope, after, before.version, *times)
""",
    ),
    Fault(
        "the version moves by two",
        "moves_with_a_field",
        "one key",
        "store.stamp",
        "Stamp.contact",
        "version, created = before.version + 1, before.created_at",
        "version, created = before.version + 2, before.created_at",
    ),
    Fault(
        "the version does not move",
        "moves_with_a_field",
        "one key",
        "store.stamp",
        "Stamp.contact",
        "version, created = before.version + 1, before.created_at",
        "version, created = before.version, before.created_at",
    ),
    Fault(
        "an update is taken for the creation",
        "moves_with_a_field",
        "one key",
        "store.stamp",
        "Stamp.contact",
        "version, created = before.version + 1, before.created_at",
        "version, created = before.version + 1, now",
    ),
    Fault(
        "what is unchanged is said to be updated",
        "moves_with_a_field",
        "one key",
        "engine.outcome",
        "result_of",
        "if not target.merged and not moved and before.deleted_at is None:",
        "if False:",
    ),
)

_WHOLE = (
    Fault(
        "fields are stored before it is seen whether their keys are free",
        "refusal_changes_nothing",
        "an address, then a phone",
        "engine.decide",
        "_changed_plan",
        """    holdings = assign_keys(policy, request, draft, target)
    check_max_forms(policy, holdings.forms, target.forms)
    if target""",
        """    if target.before is not None:
        from attrs import evolve
        early = evolve(target.before, fields=dict(draft.after))
        request._index.put(early, target.forms)
    holdings = assign_keys(policy, request, draft, target)
    check_max_forms(policy, holdings.forms, target.forms)
    if target""",
    ),
    Fault(
        "a batch leaves its refusals out of the list",
        "batch_is_fold",
        "an id, else an address",
        "store.common_upsert",
        "upsert_many",
        "            results.append(result)\n",
        "            if not isinstance(result, Refused):\n                results.append(result)\n",
    ),
    Fault(
        "an atomic batch keeps what came before a refusal",
        "batch_is_fold",
        "an id, else an address",
        "book.book",
        "Book.upsert_many",
        "            run = atomic_batch(policy, patches, scope, on_duplicates)\n"
        "            return Outcomes(self._store.write_all(run))\n",
    ),
    Fault(
        "an atomic batch does not find whom it has created itself",
        "batch_is_fold",
        "one key",
        "store.overlay",
        "Overlay.holders",
        "own = self._writes.holders(key, form, scope)",
        "own: tuple[str, ...] = ()",
    ),
    Fault(
        "a plan is carried out as it is made",
        "plan_is_upsert",
        "one key",
        "book.book",
        "Book.plan",
        "return self._store.plan(make_request, partial(decide_request, policy))",
        """plan = self._store.plan(make_request, partial(decide_request, policy))
        self._store.apply(plan)
        return plan""",
    ),
    Fault(
        "a plan is applied though it is stale",
        "plan_is_upsert",
        "one key",
        "engine.plan",
        "Plan.check_not_stale",
        "        if reason is not None:\n            raise StalePlan(reason)\n",
        "",
    ),
    Fault(
        "a call with an idempotency key is not remembered",
        "retry_is_once",
        "one key",
        "store.idempotency",
        "CallLog.add",
        "            calls[key] = call\n",
        "",
    ),
    Fault(
        "an idempotency key is taken for its call whatever the patch is",
        "retry_is_once",
        "one key",
        "store.idempotency",
        "call_key",
        "(digest, overrides, arguments)",
        "(overrides, arguments)",
    ),
    Fault(
        "on the fast path a call is remembered under another key",
        "retry_is_once",
        "one key",
        "store.common_upsert",
        "_publish_with_call",
        "record, identity, POLICY",
        'record, (scope, "", None), POLICY',
    ),
    Fault(
        "on the fast path every idempotency key is new",
        "retry_is_once",
        "one key",
        "store.common_upsert",
        "upsert",
        "not STORE.is_new(scope, keyed[0])",
        "not keyed",
    ),
)

_KEPT = (
    Fault(
        "unique keys are not looked at where rows are loaded",
        "round_trip",
        "one key",
        "store.loader",
        "Loader._free_forms",
        "if in_use:",
        "if False:",
    ),
    Fault(
        "rows are loaded in the order of their last update",
        "round_trip",
        "an address, then a phone",
        "book.loading",
        "_by_creation",
        "contacts.append((place, parts[_CREATED_AT], number, parts))",
        "contacts.append((0, parts[5], number, parts))",
    ),
    Fault(
        "a row loses the forms that its keys remember",
        "round_trip",
        "all become one",
        "model.contact",
        "Contact.to_dict",
        'for name in ("aliases", "clocks", "merged_ids"):',
        'for name in ("clocks", "merged_ids"):',
    ),
    Fault(
        "a row loses its clocks",
        "replay_is_equal",
        "the newest counts",
        "model.contact",
        "Contact.to_dict",
        'for name in ("aliases", "clocks", "merged_ids"):',
        'for name in ("aliases", "merged_ids"):',
    ),
    Fault(
        "a row loses the ids that lead to its contact",
        "replay_is_equal",
        "all become one",
        "model.contact",
        "Contact.to_dict",
        'for name in ("aliases", "clocks", "merged_ids"):',
        'for name in ("aliases", "clocks"):',
    ),
    Fault(
        "a row does not tell that its contact is deleted",
        "round_trip",
        "the deleted come back",
        "model.contact",
        "Contact.to_dict",
        "if self.deleted_at is not None:",
        "if False:",
    ),
    Fault(
        "a unique key that no strategy asks for links nobody",
        "by_components",
        "a clash withholds",
        "replay.linking",
        "Linking.__init__",
        "            if key.unique or key.name in consulted\n",
        "            if key.name in consulted\n",
    ),
    Fault(
        "the journal counts from nought",
        "replay_is_equal",
        "one key",
        "store.journal",
        "Journal.append",
        "entries.append(Entry(number, outcome))",
        "entries.append(Entry(number - 1, outcome))",
    ),
    Fault(
        "the journal gives what came last in front",
        "replay_is_equal",
        "one key",
        "store.journal",
        "Journal.since",
        "for _ in range(count)])[::-1]",
        "for _ in range(count)])",
    ),
    Fault(
        "a change is done again without the keys that it made",
        "replay_is_equal",
        "one key",
        "store.apply_changes",
        "_change",
        "stage.put(contact, forms)",
        "stage.put(contact, [()] * len(forms))",
    ),
)

_UNDONE = (
    Fault(
        "what is undone leaves the new key behind",
        "undo_inverts",
        "an address, then a phone",
        "book.undo",
        "make_undo.undo",
        "            stage.put(before, forms)\n",
        "            stage.put(before, stage.get_with_forms(before.id, before.scope)[1])\n",
    ),
    Fault(
        "what is undone has the new version still",
        "undo_inverts",
        "one key",
        "book.undo",
        "make_undo.undo",
        "            stage.put(before, forms)\n",
        "            from attrs import evolve\n            stage.put(evolve(before, version=contact.version), forms)\n",
    ),
    Fault(
        "a creation that is undone leaves its contact there",
        "undo_inverts",
        "one key",
        "book.undo",
        "make_undo.undo",
        "            stage.remove(contact.id, contact.scope)\n",
        "",
    ),
    Fault(
        "ids of contacts that come back lead to the one that had absorbed them",
        "undo_inverts",
        "all become one",
        "store.contact_index",
        "IndexStage.split",
        "self._redirects[own] = self._former_places[own] = None",
        "self._former_places[own] = None",
    ),
    Fault(
        "contacts that come back are found by no key",
        "undo_inverts",
        "all become one",
        "store.contact_index",
        "IndexStage.split",
        "self._row_of(other, place, held)",
        "self._row_of(other, place, ((),) * len(held))",
    ),
    Fault(
        "contacts that come back stand last",
        "undo_inverts",
        "all become one",
        "store.contact_index",
        "IndexStage.split",
        "self.unordered = True",
        "pass",
    ),
)

_FAST = (
    Fault(
        "on the fast path a patch of known names changes nothing",
        "nothing_silent",
        "plain text",
        "store.common_upsert",
        "_update",
        "        after == stored\n",
        "        len(after) == len(stored)\n",
    ),
    Fault(
        "on the fast path an update wipes what is omitted",
        "omitted_is_unchanged",
        "plain text",
        "store.common_upsert",
        "_update",
        "fill(known + stored)",
        "fill(known + (None,) * len(stored))",
    ),
    Fault(
        "on the fast path a version stays",
        "moves_with_a_field",
        "plain text",
        "store.common_upsert",
        "_update",
        "before[VERSION] + 1,",
        "before[VERSION],",
    ),
    Fault(
        "on the fast path the creation is now",
        "moves_with_a_field",
        "plain text",
        "store.common_upsert",
        "_update",
        "before[CREATED], before[PLACE]",
        "now, before[PLACE]",
    ),
    Fault(
        "on the fast path a key that was sent is not moved",
        "index_follows",
        "plain text",
        "store.common_upsert",
        "_update",
        "    held: Any = forms\n",
        "    held: Any = before[FORMS:FIRST]\n",
    ),
    Fault(
        "on the fast path an update is not counted, and so not told",
        "replay_is_equal",
        "plain text",
        "store.common_upsert",
        "_update",
        "state[NUMBER] + 1",
        "state[NUMBER]",
    ),
    Fault(
        "on the fast path what is unique may be another's",
        "unique",
        "plain text",
        "store.common_upsert",
        "_hits_another",
        "return found is _AMBIGUOUS",
        "return found is None",
    ),
    Fault(
        "on the fast path every rule is to replace",
        "omitted_is_unchanged",
        "one key",
        "store.fast_path",
        "_of_fields",
        "if rule is not replace and name in columns",
        "if rule is None",
    ),
    Fault(
        "on the fast path a new contact has no defaults",
        "plan_is_upsert",
        "one key",
        "store.fast_path",
        "_of_fields",
        "tuple([defaults.get(name) for name in names])",
        "(None,) * len(names)",
    ),
    Fault(
        "on the fast path blank is stored, whatever the table says",
        "nothing_silent",
        "one key",
        "store.common_upsert",
        "upsert",
        "            if type(value) is not str or not value or value.isspace():\n",
        "            if type(value) is not str:\n",
    ),
    Fault(
        "on the fast path a key in use is left out in silence",
        "nothing_silent",
        "a clash withholds",
        "store.common_upsert",
        "_upsert_around",
        "    conflicts = tuple(withheld), also_matched\n",
        "    conflicts = (), also_matched\n",
    ),
    Fault(
        "on the fast path a new contact is found by no key",
        "index_follows",
        "plain text",
        "store.common_upsert",
        "_create",
        "    row = (names, 1,",
        "    forms = [None] * len(forms)\n    row = (names, 1,",
    ),
)

_NAMED = (
    Fault(
        "what clean makes nothing of is taken for null",
        "nothing_silent",
        "a clean that finds a number",
        "engine.patch",
        "_clean_value",
        "    if cleaned is None:\n        raise InvalidField(name, raw, UNUSABLE)\n",
        "",
    ),
    Fault(
        "a known contact is left as it is, and what is in its list is named all the same",
        "nothing_silent",
        "a known one is left alone",
        "engine.decide",
        "_unchanged_plan",
        "for name in Draft(policy, before, {}).affected_fields(request.sent):",
        "for name in [n for n, v in request.sent.items() if v != before.get(n)]:",
    ),
    Fault(
        "a list is withheld for whoever holds the first of the keys in use",
        "nothing_silent",
        "two lists of addresses",
        "engine.uniqueness",
        "_conflicting_fields",
        "            ids = [conflict[form][0] for form in forms if form in conflict]\n",
        "            ids = [ids[0] for ids in conflict.values() if not {*forms}.isdisjoint(conflict)]\n",
    ),
    Fault(
        "a stored value that makes no key is told by nobody",
        "nothing_silent",
        "an address, then a phone",
        "engine.explain",
        "unusable_values",
        "    entries = [entry for key in keys for entry in key.unusable_values(fields)]\n",
        "    entries = [entry for key in keys[:0] for entry in key.unusable_values(fields)]\n",
    ),
    Fault(
        "a stored value that makes no key is not looked for in a row",
        "nothing_silent",
        "an address, then a phone",
        "engine.explain",
        "unusable_in_row",
        "is_usable = type(row[place]) is str and type(value) is not tuple",
        "is_usable = True",
    ),
    Fault(
        "a part of a key is left out alone",
        "left_out_together",
        "two keys of several fields",
        "engine.uniqueness",
        "_withheld_fields",
        "            for other in names:\n                value =",
        "            for other in ():\n                value =",
    ),
    Fault(
        "fields identify together only where one key has both",
        "left_out_together",
        "two keys of several fields",
        "policy.compiled",
        "identifying_together",
        "    field_groups = [tuple([names[number] for number in group]) for group in grouped]\n",
        "    field_groups = composites if grouped else []\n",
    ),
    Fault(
        "what a blocked part identifies together with is stored",
        "left_out_together",
        "a blocked part of a key",
        "engine.uniqueness",
        "_leave_out_with_blocked",
        '    left_out = dict.fromkeys(names, "composite")\n',
        '    left_out = dict.fromkeys(names[:0], "composite")\n',
    ),
    Fault(
        "the fast path creates without a field of which a rule makes nothing",
        "refuses_as_told",
        "a needed mapping",
        "store.common_upsert",
        "_create",
        "        or (REQUIRED and _lacks(after, REQUIRED))\n",
        "        or (REQUIRED and _lacks(sent.values(), ()))\n",
    ),
    Fault(
        "an idempotency key counts in every scope",
        "scopes_apart",
        "one key",
        "store.idempotency",
        "call_key",
        "    return scope, str.__str__(key), (digest, overrides, arguments)",
        '    return "", str.__str__(key), (digest, overrides, arguments)',
    ),
    Fault(
        "an id finds a contact of another scope",
        "scopes_apart",
        "one key",
        "book.book",
        "Book.get",
        "view.get(id, scope)",
        "next((c for c in view if id in c.ids), None) or view.get(id, scope)",
    ),
    Fault(
        "a merge takes a contact of another scope",
        "scopes_apart",
        "one key",
        "book.book",
        "Book._merging.decide",
        "            first, *rest = ",
        """            for id in named:
                for scope, rows in request._index.rows.items():
                    if id in rows:
                        found = request._index.get_with_forms(id, scope)
                        request.contacts[id] = found
            first, *rest = """,
    ),
    Fault(
        "a retry passes for the call itself",
        "retry_is_once",
        "one key",
        "store.idempotency",
        "replay_of",
        "return evolve(logged[1], replayed=True)",
        "return logged[1]",
    ),
)

_STICKY = (
    Fault(
        "a value that stays gives way to a patch",
        "sticky_stays",
        "an opt-out",
        "rules.catalogue",
        "_Sticky.__call__",
        "return stored if same(stored, self.value) else sent",
        "return sent",
    ),
    Fault(
        "a value that stays gives way to the survivor's",
        "sticky_wins",
        "an opt-out",
        "rules.catalogue",
        "_MergeSticky.__call__",
        "return other if same(other, self.value) or is_absent(own, default) else own",
        "return own",
    ),
    Fault(
        "a single value is no list of one",
        "one_is_a_list",
        "an opt-out",
        "engine.patch",
        "_as_list",
        "return as_list(options, value)",
        "return value",
    ),
)

_BY_ID = (
    Fault(
        "an id that is known decides only where no key matches",
        "named_by_id",
        "an address, then a phone",
        "matching.own_id",
        "OwnIdFirst.__call__",
        "        for _own, [id] in [hit for hit in probe(own) if hit[1]]:",
        "        for _own, [id] in [hit for hit in probe(own) if hit[1] and not carried]:",
    ),
    Fault(
        "an unknown id is matched by keys, whatever the policy says",
        "named_by_id",
        "one key",
        "engine.consulted",
        "consulted_keys",
        "    return (*higher, name)",
        "    return keys",
    ),
    Fault(
        "an update of an unknown id creates a contact",
        "named_by_id",
        "one key",
        "engine.decide",
        "decide_update",
        "    request.get(id)\n",
        "",
    ),
    Fault(
        "an id that is not the contact's is left out in silence",
        "named_by_id",
        "ids of the caller",
        "engine.decide",
        "_check_own_id",
        'request.ignored = {**request.ignored, name: "id"}',
        "pass",
    ),
    Fault(
        "contacts that keys match beside an id are not told",
        "nothing_silent",
        "an address, then a phone",
        "matching.own_id",
        "OwnIdFirst.__call__",
        "return Match(id, own, also_matched(id, [id for ids in hits for id in ids]))",
        "return Match(id, own)",
    ),
    Fault(
        "a visitor who is merged into nobody is not told",
        "visitor_joins",
        "an address, then a phone",
        "engine.decide",
        "_check_visitor",
        'request.ignored = {**request.ignored, "visitor": reason}',
        "pass",
    ),
    Fault(
        "a visitor who has another key is merged all the same",
        "visitor_joins",
        "an address, then a phone",
        "matching.visitor",
        "WithVisitor.is_another",
        "                return True\n",
        "                return False\n",
    ),
    Fault(
        "a plan forgets the visitor",
        "plan_is_upsert",
        "an address, then a phone",
        "book.book",
        "Book.plan",
        'ids: Any = {"own_id": own_id, "visitor": visitor}',
        'ids: Any = {"own_id": own_id}',
    ),
    Fault(
        "an idempotency key counts whatever the id of its call is",
        "retry_is_once",
        "one key",
        "book.book",
        "Book._write",
        "call = (*call[:2], (*call[2], own_id[0], visitor))",
        "pass",
    ),
    Fault(
        "what a call omits stays, though the call asks that it is cleared",
        "omitted_is_unchanged",
        "an address, then a phone",
        "policy.overrides",
        "with_overrides",
        '    given["omitted"] = omitted\n',
        "",
    ),
    Fault(
        "what one call says of blank is not listened to",
        "options_hold",
        "one key",
        "policy.overrides",
        "with_overrides.override",
        "blank=options.blank if blank is None else blank,",
        "blank=options.blank,",
    ),
)

_MERGED = (
    Fault(
        "the patch of a merge is left out",
        "patch_after_merge",
        "an opt-out",
        "engine.decide",
        "_changed_plan",
        "    draft.apply_patch(request.sent, known=target.before is not None, **how)\n",
        "    if not (target.merged and match.key is None):\n"
        "        draft.apply_patch(request.sent, known=target.before is not None, **how)\n",
    ),
    Fault(
        "a value that refuses a merge is merged",
        "refused_stays_apart",
        "conditions of a merge",
        "rules.catalogue",
        "_RefuseIf.__call__",
        "        if same(other, self.value):",
        "        if same(own, self.value):",
    ),
    Fault(
        "a constant is set only where the other contact has the field",
        "constant_is_set",
        "conditions of a merge",
        "rules.rule",
        "Rule.asks_absent",
        "return self.merges_only and self.by is None",
        "return False",
    ),
    Fault(
        "another contact's blank takes the place of a value",
        "absent_gives_way",
        "contacts are joined",
        "engine.merge_contacts",
        "MergedFields.merge",
        "counts_as_absent = is_absent(value, self._defaults.get(name))",
        "counts_as_absent = value is None",
    ),
    Fault(
        "what is blank inside a mapping erases a value",
        "absent_gives_way",
        "contacts are joined",
        "rules.mappings",
        "_MappingMerge._replaces",
        "if is_all_absent(value, default):",
        "if False:",
    ),
    Fault(
        "the survivor's default stands against what another contact has",
        "absent_gives_way",
        "contacts are joined",
        "engine.merge_contacts",
        "MergedFields._present",
        "return None if is_absent(value, self._defaults.get(name)) else value",
        "return None if is_absent(value) else value",
    ),
    Fault(
        "a value that another rule takes comes without its clock",
        "clock_travels",
        "contacts are joined",
        "engine.merge_contacts",
        "MergedFields._has_clock",
        "return self._policy.base_rule(name).by is not None",
        "return False",
    ),
    Fault(
        "a merge makes what the survivor has as new as itself",
        "merge_in_steps",
        "contacts are joined",
        "engine.merge_patch",
        "Draft.set_update_clocks",
        "self._merged if moves else None,",
        "None,",
    ),
    Fault(
        "a book that keeps one change keeps none",
        "replay_is_equal",
        "one key",
        "store.journal",
        "Journal.__init__",
        "self.is_on = limit != 0",
        "self.is_on = limit is None",
    ),
    Fault(
        "changes that are not kept are not missed",
        "batch_is_fold",
        "one key",
        "store.journal",
        "Journal.since",
        "        if count > len(self.entries):\n",
        "        count = min(count, len(self.entries))\n"
        "        if count > len(self.entries):\n",
    ),
)

_VISITING = (
    Fault(
        "a visitor that holds another value of a key is merged",
        "calls.identify",
        "a visitor",
        "matching.visitor",
        "WithVisitor.is_another",
        "                return True\n",
        "                return False\n",
    ),
    Fault(
        "a visitor that the keys do not match is not merged",
        "calls.identify",
        "a visitor",
        "matching.visitor",
        "WithVisitor.__call__",
        "return evolve(match, merged=(*match.merged, id), also_matched=also_matched)",
        "return evolve(match, also_matched=(*also_matched, id))",
    ),
    Fault(
        "where the keys match none, the visitor is not the contact",
        "calls.identify",
        "a visitor",
        "matching.visitor",
        "WithVisitor.__call__",
        "return evolve(match, id=id, key=VISITOR, also_matched=also_matched)",
        "return match",
    ),
    Fault(
        "a visitor of another scope is taken",
        "calls.identify",
        "a visitor",
        "engine.patch",
        "Request.__call__",
        "                hits = () if id is None else ((id, self._holder(id)),)\n",
        """                for scope, rows in self._index.rows.items():
                    if name == VISITOR and id in rows:
                        self.contacts[id] = self._index.get_with_forms(id, scope)
                hits = () if id is None else ((id, self._holder(id)),)
""",
    ),
    Fault(
        "all_agree lets a visitor stay that is another contact",
        "calls.identify",
        "a visitor where all keys agree",
        "matching.visitor",
        "WithVisitor.__call__",
        "            if self.refuses:\n",
        "            if False:\n",
    ),
)

FAULTS = (
    *_FAST,
    *_OWN,
    *_FINDING,
    *_KEYS,
    *_FIELDS,
    *_TOLD,
    *_MOVES,
    *_WHOLE,
    *_KEPT,
    *_UNDONE,
    *_NAMED,
    *_STICKY,
    *_BY_ID,
    *_MERGED,
    *_VISITING,
)
"""All of them, by what they are about."""
