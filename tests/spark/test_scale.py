"""The benchmark of a growing log: run, comparison and published results."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import scale, scale_worker

pytestmark = pytest.mark.full


def test_docstrings_of_the_worker_are_true() -> None:
    """The docstring of the module states its rules."""
    assert 0 == doctest.testmod(scale_worker).failed
    assert "Rules:" in (scale_worker.__doc__ or "")


def test_log_of_several_chunks_has_every_sequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_worker, "_CHUNK", 10)
    scale_worker.write_log(25, tmp_path / "log.parquet")

    table = pq.read_table(tmp_path / "log.parquet")
    assert [*range(25)] == table.column("sequence").to_pylist()


def test_two_engines_of_one_process_write_equal_contacts() -> None:
    """With the time and the memory of each."""
    lines: list[str] = []
    rows = scale.measure([300], "1g", lines.append, scale.NAMES[:2])

    assert [*scale.NAMES[:2]] == [row["engine"] for row in rows]
    assert rows[0]["contacts"] == rows[1]["contacts"] == 150
    assert rows[0]["sum"] == rows[1]["sum"]
    assert all(row["seconds"] > 0 for row in rows)
    assert lines[0] == "300 patches: writing the log"


def test_engine_with_other_contacts_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message names the engine."""
    results = iter([{}, {"seconds": 1.0}, {"sum": 1}, {"seconds": 1.0}, {"sum": 2}])
    monkeypatch.setattr(scale, "_run", lambda _arguments: (next(results), 1))

    with pytest.raises(RuntimeError, match="replay, one process wrote"):
        scale.measure([10], "1g", str, scale.NAMES[:2])


def test_failed_worker_is_an_error_with_its_output() -> None:
    with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
        scale.measure([10], "1g", str, ["nobody"])


def test_main_writes_results_and_replaces_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"size": 10, "seconds": 2.0, "start": 0.0, "peak": 2**20, "contacts": 5}
    rows = [{**row, "engine": "one book"}, {**row, "engine": "Spark", "start": 3.2}]
    monkeypatch.setattr(scale, "measure", lambda *_arguments: rows)
    for _ in "ab":
        assert 0 == scale.main(["--sizes", "10", "--out", str(tmp_path)])

    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert 1 == text.count(scale.BEGIN) == text.count(scale.END)
    assert "| one book | 2 s, 5 a second, 1 MiB |" in text
    assert "Starting Spark took 3 s" in text
    results = json.loads((tmp_path / "scale.json").read_text(encoding="utf-8"))
    assert rows == results["rows"]


def test_committed_table_is_that_of_the_committed_results() -> None:
    folder = Path(scale.__file__).parent
    results = json.loads((folder / "scale.json").read_text(encoding="utf-8"))
    text = (folder / "README.md").read_text(encoding="utf-8")

    assert text == scale.insert_tables(text, results)
    assert [*scale.SIZES] == sorted({row["size"] for row in results["rows"]})
    for size in scale.SIZES:
        rows = [row for row in results["rows"] if row["size"] == size]
        assert [*scale.NAMES] == [row["engine"] for row in rows]
        assert 1 == len({(row["contacts"], row["sum"]) for row in rows})
