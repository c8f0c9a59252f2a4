"""Vectors of rows: what belongs to which row, and what is no vector."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synth.pipelines.retrieval.document_vectors import EMBED_STAGE, GivenVectors, LaidOut
from synth.pipelines.retrieval.nearest import FLAT
from synth.pipelines.retrieval.vectors import VectorWriter, finish
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.tables.import_ import Import
from synth.schemas.atomic import write_json
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError
from tests.rows import write_rows


def embedded(folder: Path, vectors: dict[str, list[float]]) -> Path:
    """A directory as `synth embed` writes it, but for the model."""
    out = folder / "embedded"
    rows = write_rows(folder / "embedded.jsonl", [{"id": name, "text": name} for name in vectors])
    Run(Import(), [str(rows)], out, Options()).execute()
    record = Dataset.open(out).run or {}
    record["identity"]["stage"] = EMBED_STAGE
    write_json(out / "synth.json", record)
    array = np.array([*vectors.values()], np.float32)
    writer = VectorWriter(out / "vectors", array.shape[1], 1)
    writer.append(array, np.arange(len(array), dtype=np.uint32))
    finish(writer.unfinished(len(array), FLAT))
    return out


def laid_out(given: str, table: pa.Table, folder: Path) -> LaidOut:
    return GivenVectors(given).laid_out(table, folder, np.arange(table.num_rows))


def test_vectors_belong_to_rows_by_id_and_to_the_rows_that_repeat_them(tmp_path: Path) -> None:
    source = embedded(tmp_path, {"a": [1, 0], "b": [0, 1], "b/repeat-2": [0.6, 0.8]})
    table = pa.table({"id": ["b", "new", "a/repeat-3", "b/repeat-2", "a"]})
    found = laid_out(str(source), table, tmp_path / "laid")
    assert found.rows.tolist() == [0, 2, 3, 4]
    assert found.vectors.array.round(3).tolist() == [[0, 1], [1, 0], pytest.approx([0.6, 0.8], abs=1e-3), [1, 0]]
    assert found.faults == {1: ("no_vector", f"{source} has no vector of this id")}


def test_a_column_is_made_unit_vectors_and_what_is_none_is_told(tmp_path: Path) -> None:
    values = [[3, 4], None, [0, 0], [1], [float("nan"), 1], [1e200, 1e200], [None, 1], [0, -2]]
    table = pa.table({"id": [str(at) for at in range(8)], "v": pa.array(values, pa.list_(pa.float64()))})
    found = laid_out("v", table, tmp_path / "laid")
    assert found.rows.tolist() == [0, 7]
    assert np.asarray(found.vectors.array) == pytest.approx(np.array([[0.6, 0.8], [0, -1]]), abs=1e-3)
    assert found.faults == {
        1: ("no_vector", "the column v is null"),
        2: ("bad_vector", "the column v is all zeros"),
        3: ("bad_vector", "the column v has 1 number, where others have 2"),
        4: ("bad_vector", "the column v is not finite"),
        5: ("bad_vector", "the column v is not finite"),
        6: ("bad_vector", "the column v is not finite"),
    }


@pytest.mark.parametrize("kind", [pa.float16(), pa.float32(), pa.int64()])
@pytest.mark.parametrize("of", [pa.list_, pa.large_list, lambda kind: pa.list_(kind, 2)])
def test_lists_of_any_kind_of_numbers_are_vectors(tmp_path: Path, kind: pa.DataType, of: Any) -> None:
    column = pa.array([[1, 0], None, [0, 1]], pa.list_(pa.float32())).cast(pa.list_(kind)).cast(of(kind))
    found = laid_out("v", pa.table({"id": ["a", "b", "c"], "v": column}), tmp_path / "laid")
    assert found.vectors.array.tolist() == [[1, 0], [0, 1]]
    assert [*found.faults] == [1]


def test_what_is_laid_out_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = [None if at % 7 == 3 else row for at, row in enumerate(rng.standard_normal((100, 8)).tolist())]
    table = pa.table({"id": [str(at) for at in range(100)], "v": values})
    whole = laid_out("v", table, tmp_path / "whole")
    written = (tmp_path / "whole" / "vectors.float16").read_bytes()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "vectors.float16").write_bytes(written[: 16 * 40 + 5])
    (broken / "documents.uint32").write_bytes((tmp_path / "whole" / "documents.uint32").read_bytes()[: 4 * 41])
    again = laid_out("v", table, broken)
    assert (broken / "vectors.float16").read_bytes() == written
    assert again.rows.tolist() == whole.rows.tolist() == [at for at in range(100) if at % 7 != 3]
    # What is whole is not written again.
    assert laid_out("v", table, broken).faults == whole.faults
    assert (broken / "vectors.float16").read_bytes() == written


def test_other_directories_and_columns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = pa.table({"id": ["a"], "text": ["x"], "v": pa.array([None], pa.list_(pa.float32()))})
    Run(Import(), [str(write_rows(tmp_path / "a.jsonl", [{"id": "a"}]))], tmp_path / "plain", Options()).execute()
    (tmp_path / "empty").mkdir()
    for given, error, message in (
        ("plain", InputError, "--vectors plain holds no vectors, it was made by import: make them with synth embed"),
        ("empty", InputError, "empty is not a dataset directory"),
        ("w", UsageError, "--vectors w: neither an output of synth embed nor a column of the input, .* id, text, v"),
        ("text", InputError, "--vectors text: the column is string, where lists of numbers are needed"),
        ("v", InputError, r"--vectors v: no row has a usable vector \(no_vector: the column v is null\)"),
    ):
        with pytest.raises(error, match=message):
            laid_out(given, table, tmp_path / "laid")


def test_an_identity_tells_what_the_vectors_were_made_of(tmp_path: Path) -> None:
    source = embedded(tmp_path, {"a": [1, 0]})
    first = GivenVectors(str(source)).identity()
    assert GivenVectors("v").identity() == {"column": "v"}
    assert GivenVectors(str(source.rename(tmp_path / "moved"))).identity() == first
    assert GivenVectors(str(embedded(tmp_path, {"b": [1, 0]}))).identity() != first
