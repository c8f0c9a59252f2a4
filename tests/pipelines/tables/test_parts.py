"""Random parts of a dataset: `sample` and `split`."""

from pathlib import Path

import pytest

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.tables.sample import Sample
from synth.pipelines.tables.split import Split
from synth.schemas.errors import UsageError
from tests.pipelines.passing import passed
from tests.rows import Rows, write_rows


def rows(count: int, *, backwards: bool = False) -> Rows:
    made: Rows = [{"id": f"r-{i}", "source": None if i % 10 == 0 else f"doc-{i // 4}"} for i in range(count)]
    return made[::-1] if backwards else made


def ids(folder: Path, stage: Sample | Split, given: Rows, seed: int = 0) -> list[str]:
    found, _ = passed(stage, [write_rows(folder / "rows.jsonl", given)], folder / "out", fresh=True, seed=seed)
    return [row["id"] for row in found]


def test_a_sample_has_the_rows_asked_for_in_their_order(tmp_path: Path) -> None:
    sampled = ids(tmp_path, Sample(n=50), rows(200))
    assert len(set(sampled)) == 50
    assert sampled == sorted(sampled, key=lambda row_id: int(row_id[2:]))
    assert len(ids(tmp_path, Sample(fraction=0.1), rows(200))) == 20
    assert sampled != ids(tmp_path, Sample(n=50), rows(200), seed=1)


def test_a_larger_sample_contains_a_smaller_one_wherever_the_rows_stand(tmp_path: Path) -> None:
    small = ids(tmp_path, Sample(n=20), rows(200))
    assert set(small) < set(ids(tmp_path, Sample(n=80), rows(200, backwards=True)))


def test_a_sample_larger_than_the_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only 5 rows"):
        ids(tmp_path, Sample(n=6), rows(5))
    with pytest.raises(UsageError, match="either -n"):
        Sample()


def test_parts_share_no_row_and_leave_out_none(tmp_path: Path) -> None:
    parts = [Split(end=0.7), Split(start=0.7, end=0.8), Split(start=0.8)]
    found = [ids(tmp_path, part, rows(1000)) for part in parts]
    assert sorted(row_id for part in found for row_id in part) == sorted(row["id"] for row in rows(1000))
    assert [round(len(part), -2) for part in found] == [700, 100, 200]


def test_a_dataset_that_grows_keeps_its_parts(tmp_path: Path) -> None:
    before, after = (ids(tmp_path, Split(end=0.5), rows(count)) for count in (300, 1000))
    assert before == [row_id for row_id in after if int(row_id[2:]) < 300]


def test_rows_with_the_same_value_stay_together(tmp_path: Path) -> None:
    given = rows(400)
    part = {*ids(tmp_path, Split(end=0.5, by="source"), given)}
    documents = [{row["source"] for row in given if (row["id"] in part) == side} - {None} for side in (True, False)]
    assert not documents[0] & documents[1]
    loose = [row["id"] in part for row in given if row["source"] is None]
    assert any(loose)
    assert not all(loose)


def test_a_split_that_selects_nothing_or_all_is_refused(tmp_path: Path) -> None:
    for bounds in ({"start": 0.5, "end": 0.5}, {}):
        with pytest.raises(UsageError, match="--from"):
            Split(**bounds)
    source = write_rows(tmp_path / "rows.jsonl", rows(3))
    with pytest.raises(UsageError, match="--by sourc: the input has no such column, only id, source"):
        Run(Split(end=0.5, by="sourc"), [str(source)], tmp_path / "out", Options()).execute()
