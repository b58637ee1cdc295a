"""
Probabilistic linkers: recordlinkage's ECM and Splink, as in their guides.

Rules:
    A linker receives frames and returns pairs of records; it never sees the persons.
    The time is that from frames in memory to pairs, without imports. Random choices
    are seeded.
    Settings are those of the named guides; differences are documented.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from time import perf_counter
from typing import Any, TypeAlias, final

import attrs

from upsertcore.replay import component_roots

__all__ = ["SPLINK", "Links", "Pair", "Splink", "clusters", "ecm", "splink"]

Pair: TypeAlias = tuple[str, str]

SPLINK = 4
"""The version of Splink that these settings are for."""

_SEED = 1
_NAMES = "given_name", "surname"
_LEAST = 0.01


@final
@attrs.frozen
class Links:
    """
    The result of a linker.

    Args:
        pairs: The pairs of records that it links.
        seconds: The time.
        compared: The number of pairs compared.
    """

    pairs: list[Pair] = attrs.field(repr=False)
    seconds: float
    compared: int


def clusters(ids: Sequence[str], pairs: Iterable[Pair]) -> list[int]:
    """
    Return the connected components of pairs, each as the index of its first record.

    >>> clusters(["a", "b", "c", "d"], [("c", "a"), ("d", "c")])
    [0, 1, 0, 0]
    """
    pairs_of: dict[str, list[int]] = {id: [] for id in ids}
    for number, pair in enumerate(pairs):
        for id in pair:
            pairs_of[id].append(number)
    return component_roots(pairs_of.values())


def ecm(frames: Sequence[Any], *, all_fields: bool) -> Links:
    """
    Run recordlinkage's Expectation-Conditional Maximisation.

    Args:
        frames: One frame to deduplicate, or two to link.
        all_fields: True to compare every field. Otherwise the fields of the guide
            "Link two datasets", with given names by Jaro-Winkler like the surnames.

    The guide blocks on the given name only, so that 34 % of the true pairs of FEBRL 4
    are never compared, and counts agreements. Here, pairs are compared that share a
    given name, a surname, a date of birth or a social security number.

    Source:
        recordlinkage 0.16, "Link two datasets": Jaro-Winkler from 0.85, Levenshtein
        (as ``string`` is by default) from 0.85, all others exact.
    """
    package = import_module("recordlinkage")
    start = perf_counter()
    index = package.Index()
    for name in (*_NAMES, "date_of_birth", "soc_sec_id"):
        index.block(name)
    candidates = index.index(*frames)
    compare = package.Compare()
    for name in _NAMES:
        compare.string(name, name, method="jarowinkler", threshold=0.85, label=name)
    exact_fields = ("soc_sec_id", "postcode", "street_number") if all_fields else ()
    for name in ("date_of_birth", "suburb", "state", *exact_fields):
        compare.exact(name, name, label=name)
    for name in ("address_1", "address_2") if all_fields else ("address_1",):
        compare.string(name, name, threshold=0.85, label=name)
    vectors = compare.compute(candidates, *frames)
    links = package.ECMClassifier().fit_predict(vectors)
    seconds = perf_counter() - start
    return Links([(str(a), str(b)) for a, b in links], seconds, len(candidates))


@final
@attrs.frozen
class Splink:
    """
    A trained model of Splink, with its predictions.

    Args:
        linker: The linker of Splink.
        predictions: The table of pairs of Splink.
        scored: The pairs with their probabilities, from 0.01.
        seconds: The time of training and prediction.
    """

    linker: Any = attrs.field(repr=False)
    predictions: Any = attrs.field(repr=False)
    scored: list[tuple[str, str, float]] = attrs.field(repr=False)
    seconds: float

    def pairs(self, least: float) -> list[Pair]:
        """Return the pairs of at least a probability."""
        return [(a, b) for a, b, probability in self.scored if probability >= least]

    def best(self, right: Callable[[Pair], bool], true: int) -> float:
        """
        Return the threshold with the best F1, computed with the true persons.

        Args:
            right: Returns whether the records of a pair are of one person.
            true: The number of such pairs.

        >>> scored = [("a", "b", 0.9), ("c", "d", 0.7), ("e", "f", 0.2)]
        >>> Splink(None, None, scored, 0.0).best(lambda pair: pair[0] != "e", 2)
        0.7
        """
        correct, best = 0, (0.0, 1.0)
        ranked = sorted(self.scored, key=lambda row: -row[2])
        for place, (a, b, probability) in enumerate(ranked, 1):
            correct += right((a, b))
            best = max(best, (2 * correct / (place + true), probability))
        return best[1]

    def clusters(self, least: float) -> list[dict[str, str]]:
        """Return the clusters of Splink: rows of ``unique_id`` and ``cluster_id``."""
        clusters_ = self.linker.clustering.cluster_pairwise_predictions_at_threshold(
            self.predictions, threshold_match_probability=least
        )
        table = clusters_.as_pandas_dataframe()[["unique_id", "cluster_id"]]
        rows: list[dict[str, str]] = table.to_dict("records")
        return rows

    def look_up(self, records: Sequence[Mapping[str, str]]) -> list[float]:
        """Match each record against the existing ones; return the seconds of each."""
        for name in ("given_name", "surname", "street_number", "postcode"):
            self.linker.table_management.compute_tf_table(name)
        block_on = import_module("splink").block_on
        rules = [block_on(n) for n in ("soc_sec_id", "date_of_birth", "postcode")]
        times = []
        for number, record in enumerate(records):
            row = {"source_dataset": "new", **dict.fromkeys(_COLUMNS), **record}
            start = perf_counter()
            self.linker.inference.find_matches_to_new_records(
                [{**row, "unique_id": f"new-{number}"}],
                blocking_rules=rules,
                match_weight_threshold=0,
            ).as_pandas_dataframe()
            times.append(perf_counter() - start)
        return times


_COLUMNS = (
    *("given_name", "surname", "street_number", "address_1", "address_2"),
    *("suburb", "postcode", "state", "date_of_birth", "soc_sec_id"),
)


def splink(frames: Sequence[Any]) -> Splink:
    """
    Train Splink on duckdb and predict.

    Args:
        frames: One frame to deduplicate, or two to link.

    Two frames use the detailed model of the guide to FEBRL 4, one frame that of the
    guide to FEBRL 3. Differences: the probability of chance agreement is estimated
    with one seed, pairs are kept from 0.01 instead of 0.2, and an invalid date is null
    in both.

    Source:
        Splink 4, "Linking the febrl4 datasets", "Deduplicating the febrl3 dataset".

    Raises:
        RuntimeError: If another version of Splink is installed.
    """
    package = import_module("splink")
    if not str(package.__version__).startswith(f"{SPLINK}."):
        raise RuntimeError(f"splink: must be {SPLINK}, not {package.__version__}")
    # It logs every step, and that few dates of birth are a month apart.
    logging.getLogger("splink").setLevel(logging.ERROR)
    tables = [frame.rename_axis("unique_id").reset_index() for frame in frames]
    is_linking = len(tables) > 1
    start = perf_counter()
    settings, rules, recall = (_linking if is_linking else _deduplicating)(package)
    connection = import_module("duckdb").connect()
    connection.execute("SET enable_progress_bar = false")
    linker = package.Linker(
        tables if is_linking else tables[0],
        settings,
        db_api=package.DuckDBAPI(connection=connection),
        set_up_basic_logging=False,
    )
    training = linker.training
    training.estimate_probability_two_random_records_match(rules, recall=recall)
    training.estimate_u_using_random_sampling(max_pairs=1e6, seed=_SEED)
    for name in ("date_of_birth", "postcode"):
        training.estimate_parameters_using_expectation_maximisation(
            package.block_on(name), estimate_without_term_frequencies=is_linking
        )
    predictions = linker.inference.predict(threshold_match_probability=_LEAST)
    frame_ = predictions.as_pandas_dataframe()
    seconds = perf_counter() - start
    columns = [frame_[f"unique_id_{side}"].astype(str) for side in "lr"]
    scored = zip(*columns, frame_["match_probability"].astype(float), strict=True)
    return Splink(linker, predictions, list(scored), seconds)


def _linking(package: Any) -> tuple[Any, list[Any], float]:
    """Return the detailed model, deterministic rules, and their recall."""
    library, on = import_module("splink.comparison_library"), package.block_on
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
            *[_by_frequency(library.NameComparison(name)) for name in _NAMES],
            _born(library),
            library.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            _by_frequency(library.ExactMatch("street_number")),
            _by_frequency(library.DamerauLevenshteinAtThresholds("postcode", [1, 2])),
        ],
    )
    return settings, [on("soc_sec_id"), on(*_NAMES, "date_of_birth")], 0.8


def _deduplicating(package: Any) -> tuple[Any, list[Any], float]:
    library, on = import_module("splink.comparison_library"), package.block_on
    blocked = ("soc_sec_id", *_NAMES, "date_of_birth", "postcode")
    settings = package.SettingsCreator(
        link_type="dedupe_only",
        blocking_rules_to_generate_predictions=[on(name) for name in blocked],
        comparisons=[
            *[library.NameComparison(name) for name in _NAMES],
            _born(library),
            library.DamerauLevenshteinAtThresholds("soc_sec_id", [2]),
            _by_frequency(library.ExactMatch("street_number")),
            _by_frequency(library.ExactMatch("postcode")),
        ],
    )
    swapped = (
        "l.given_name = r.surname and l.surname = r.given_name"
        " and l.date_of_birth = r.date_of_birth"
    )
    return settings, [on("soc_sec_id"), on(*_NAMES, "date_of_birth"), swapped], 0.9


def _by_frequency(comparison: Any) -> Any:
    return comparison.configure(term_frequency_adjustments=True)


def _born(library: Any) -> Any:
    return library.DateOfBirthComparison(
        "date_of_birth",
        input_is_string=True,
        datetime_format="%Y%m%d",
        invalid_dates_as_null=True,
    )
