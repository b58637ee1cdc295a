"""
Probabilistic linkers: recordlinkage's ECM and Splink, as their own guides use them.

Rules:
    A linker gets the frames and gives pairs of records; it never sees who is who.
    What is timed begins with frames in memory and ends with the pairs; imports do not
    count. Chance is seeded.
    Settings are those of the guides that are named, and what differs is said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from time import perf_counter
from typing import Any, TypeAlias, final

import attrs

from upsertcore.replay import joined

__all__ = ["SPLINK", "Links", "Pair", "Splink", "clusters", "ecm", "splink"]

Pair: TypeAlias = tuple[str, str]

SPLINK = 4
"""The version of Splink whose words these settings are."""

_SEED = 1
_NAMES = "given_name", "surname"
_LEAST = 0.01


@final
@attrs.frozen
class Links:
    """
    What a linker found.

    Args:
        pairs: Pairs of records that are one person, to the linker.
        seconds: What it took.
        compared: How many pairs were compared.
    """

    pairs: list[Pair] = attrs.field(repr=False)
    seconds: float
    compared: int


def clusters(ids: Sequence[str], pairs: Iterable[Pair]) -> list[int]:
    """
    Join what pairs join, directly or through others: the place of the first of each.

    >>> clusters(["a", "b", "c", "d"], [("c", "a"), ("d", "c")])
    [0, 1, 0, 0]
    """
    of: dict[str, list[int]] = {id: [] for id in ids}
    for number, pair in enumerate(pairs):
        for id in pair:
            of[id].append(number)
    return joined(of.values())


def ecm(frames: Sequence[Any], *, whole: bool) -> Links:
    """
    Run recordlinkage's Expectation-Conditional Maximisation.

    Args:
        frames: One to be searched for duplicates, or two to be linked.
        whole: True to compare every field. Otherwise the fields of the guide "Link two
            datasets", with given names by Jaro-Winkler as the surnames are.

    The guide blocks on the given name alone, so that 34 % of the true pairs of FEBRL 4
    are never compared, and counts agreements; here the pairs are compared that share
    a given name, a surname, a date of birth or a social security number.

    Source:
        recordlinkage 0.16, "Link two datasets": Jaro-Winkler from 0.85, Levenshtein
        (as ``string`` is by default) from 0.85, all else exact.
    """
    package = import_module("recordlinkage")
    began = perf_counter()
    index = package.Index()
    for name in (*_NAMES, "date_of_birth", "soc_sec_id"):
        index.block(name)
    candidates = index.index(*frames)
    compare = package.Compare()
    for name in _NAMES:
        compare.string(name, name, method="jarowinkler", threshold=0.85, label=name)
    more = ("soc_sec_id", "postcode", "street_number") if whole else ()
    for name in ("date_of_birth", "suburb", "state", *more):
        compare.exact(name, name, label=name)
    for name in ("address_1", "address_2") if whole else ("address_1",):
        compare.string(name, name, threshold=0.85, label=name)
    vectors = compare.compute(candidates, *frames)
    found = package.ECMClassifier().fit_predict(vectors)
    seconds = perf_counter() - began
    return Links([(str(a), str(b)) for a, b in found], seconds, len(candidates))


@final
@attrs.frozen
class Splink:
    """
    A model of Splink, trained, with what it predicts.

    Args:
        linker: Splink's own.
        predictions: Splink's table of pairs.
        scored: The pairs, each with its probability, from 0.01.
        seconds: What training and prediction took.
    """

    linker: Any = attrs.field(repr=False)
    predictions: Any = attrs.field(repr=False)
    scored: list[tuple[str, str, float]] = attrs.field(repr=False)
    seconds: float

    def pairs(self, least: float) -> list[Pair]:
        """Give the pairs from a probability on."""
        return [(a, b) for a, b, probability in self.scored if probability >= least]

    def best(self, right: Callable[[Pair], bool], true: int) -> float:
        """
        Give the probability from which F1 is best, by who is truly who.

        Args:
            right: Tells whether the two records of a pair are one person.
            true: How many such pairs there are.

        >>> scored = [("a", "b", 0.9), ("c", "d", 0.7), ("e", "f", 0.2)]
        >>> Splink(None, None, scored, 0.0).best(lambda pair: pair[0] != "e", 2)
        0.7
        """
        found, best = 0, (0.0, 1.0)
        ranked = sorted(self.scored, key=lambda each: -each[2])
        for place, (a, b, probability) in enumerate(ranked, 1):
            found += right((a, b))
            best = max(best, (2 * found / (place + true), probability))
        return best[1]

    def clusters(self, least: float) -> list[dict[str, str]]:
        """Give Splink's own clusters: rows of ``unique_id`` and ``cluster_id``."""
        made = self.linker.clustering.cluster_pairwise_predictions_at_threshold(
            self.predictions, threshold_match_probability=least
        )
        table = made.as_pandas_dataframe()[["unique_id", "cluster_id"]]
        rows: list[dict[str, str]] = table.to_dict("records")
        return rows

    def look_up(self, records: Sequence[Mapping[str, str]]) -> list[float]:
        """Look for each record by itself among those that are known: seconds each."""
        for name in ("given_name", "surname", "street_number", "postcode"):
            self.linker.table_management.compute_tf_table(name)
        block_on = import_module("splink").block_on
        rules = [block_on(n) for n in ("soc_sec_id", "date_of_birth", "postcode")]
        spent = []
        for number, record in enumerate(records):
            row = {"source_dataset": "new", **dict.fromkeys(_COLUMNS), **record}
            began = perf_counter()
            self.linker.inference.find_matches_to_new_records(
                [{**row, "unique_id": f"new-{number}"}],
                blocking_rules=rules,
                match_weight_threshold=0,
            ).as_pandas_dataframe()
            spent.append(perf_counter() - began)
        return spent


_COLUMNS = (
    *("given_name", "surname", "street_number", "address_1", "address_2"),
    *("suburb", "postcode", "state", "date_of_birth", "soc_sec_id"),
)


def splink(frames: Sequence[Any]) -> Splink:
    """
    Train Splink on duckdb and let it predict.

    Args:
        frames: One to be searched for duplicates, or two to be linked.

    Two frames get the detailed model of the guide to FEBRL 4, one gets that to FEBRL
    3. What differs: the probability of chance agreement is estimated from one seed,
    pairs are kept from 0.01 and not from 0.2, and a date that is none is null in both.

    Source:
        Splink 4, "Linking the febrl4 datasets", "Deduplicating the febrl3 dataset".

    Raises:
        RuntimeError: If another version of Splink is installed.
    """
    package = import_module("splink")
    if not str(package.__version__).startswith(f"{SPLINK}."):
        raise RuntimeError(f"splink: must be {SPLINK}, not {package.__version__}")
    # It tells of every step, and of dates of birth that are seldom a month apart.
    logging.getLogger("splink").setLevel(logging.ERROR)
    tables = [frame.rename_axis("unique_id").reset_index() for frame in frames]
    two = len(tables) > 1
    began = perf_counter()
    settings, rules, recall = (_linking if two else _deduplicating)(package)
    connection = import_module("duckdb").connect()
    connection.execute("SET enable_progress_bar = false")
    linker = package.Linker(
        tables if two else tables[0],
        settings,
        db_api=package.DuckDBAPI(connection=connection),
        set_up_basic_logging=False,
    )
    training = linker.training
    training.estimate_probability_two_random_records_match(rules, recall=recall)
    training.estimate_u_using_random_sampling(max_pairs=1e6, seed=_SEED)
    for name in ("date_of_birth", "postcode"):
        training.estimate_parameters_using_expectation_maximisation(
            package.block_on(name), estimate_without_term_frequencies=two
        )
    predictions = linker.inference.predict(threshold_match_probability=_LEAST)
    found = predictions.as_pandas_dataframe()
    seconds = perf_counter() - began
    columns = [found[f"unique_id_{side}"].astype(str) for side in "lr"]
    scored = zip(*columns, found["match_probability"].astype(float), strict=True)
    return Splink(linker, predictions, list(scored), seconds)


def _linking(package: Any) -> tuple[Any, list[Any], float]:
    """Give the detailed model, rules that find few others, and how many they find."""
    of, on = import_module("splink.comparison_library"), package.block_on
    settings = package.SettingsCreator(
        link_type="link_only",
        blocking_rules_to_generate_predictions=[
            on(*_NAMES),
            "l.given_name = r.surname and l.surname = r.given_name",
            on("date_of_birth"),
            on("soc_sec_id"),
            on("state", "address_1"),
            on("street_number", "address_1"),
            on("postcode"),
        ],
        comparisons=[
            *[_by_frequency(of.NameComparison(name)) for name in _NAMES],
            _born(of),
            of.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            _by_frequency(of.ExactMatch("street_number")),
            _by_frequency(of.DamerauLevenshteinAtThresholds("postcode", [1, 2])),
        ],
    )
    return settings, [on("soc_sec_id"), on(*_NAMES, "date_of_birth")], 0.8


def _deduplicating(package: Any) -> tuple[Any, list[Any], float]:
    of, on = import_module("splink.comparison_library"), package.block_on
    blocked = ("soc_sec_id", *_NAMES, "date_of_birth", "postcode")
    settings = package.SettingsCreator(
        link_type="dedupe_only",
        blocking_rules_to_generate_predictions=[on(name) for name in blocked],
        comparisons=[
            *[of.NameComparison(name) for name in _NAMES],
            _born(of),
            of.DamerauLevenshteinAtThresholds("soc_sec_id", [2]),
            _by_frequency(of.ExactMatch("street_number")),
            _by_frequency(of.ExactMatch("postcode")),
        ],
    )
    swapped = (
        "l.given_name = r.surname and l.surname = r.given_name"
        " and l.date_of_birth = r.date_of_birth"
    )
    return settings, [on("soc_sec_id"), on(*_NAMES, "date_of_birth"), swapped], 0.9


def _by_frequency(comparison: Any) -> Any:
    return comparison.configure(term_frequency_adjustments=True)


def _born(of: Any) -> Any:
    return of.DateOfBirthComparison(
        "date_of_birth",
        input_is_string=True,
        datetime_format="%Y%m%d",
        invalid_dates_as_null=True,
    )
