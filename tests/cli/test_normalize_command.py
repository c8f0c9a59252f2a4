"""`synth instag normalize` as a command, between `tag` and `measure`."""

import json
from pathlib import Path

from typer.testing import Result

from synth.schemas.errors import InputError, Stale
from tests.command import invoke
from tests.pipelines.instag.normalizing import queries, turns
from tests.rows import rows_of, write_rows

POEMS = [["Poem writing", "rhymes"]] * 30 + [["poem-writing"]] * 25 + [["Rhyme"]] * 3


def normalize(*arguments: object) -> Result:
    return invoke("instag", "normalize", *arguments, "--embedder", "characters")


def test_the_summary_tells_what_each_step_left(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", queries(*POEMS))
    result = normalize(source, tmp_path / "out")
    assert result.exit_code == 0
    said = " ".join(result.stderr.split())
    assert "out: 58 rows from 58 of 58 input rows" in said
    assert "raw tags 4, after frequency 3, after rules 2, after semantics 2, association rules 0" in said
    assert "rows without tags 3" in said
    assert "mean tags per query 1.4655" in said
    assert "nothing to do" in normalize(source, tmp_path / "out").stderr
    changed = normalize(source, tmp_path / "out", "--eps", "0.2")
    assert isinstance(changed.exception, Stale)
    assert "eps was 0.11 and is now 0.2" in str(changed.exception)


def test_what_is_decided_in_a_file_is_part_of_what_the_run_is(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", queries(*POEMS))
    decisions = write_rows(tmp_path / "decisions.jsonl", [{"form": "rhymes", "tag": "Rhyme"}])
    assert normalize(source, tmp_path / "out", "--overrides", decisions).exit_code == 0
    assert rows_of(tmp_path / "out")[0]["tags"] == ["Poem writing", "Rhyme"]
    write_rows(decisions, [{"apart": ["rhymes", "Rhyme"]}])
    result = normalize(source, tmp_path / "out", "--overrides", decisions)
    assert isinstance(result.exception, Stale)
    assert "overrides was" in str(result.exception)


def test_a_threshold_that_leaves_nothing_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", queries(*POEMS))
    result = normalize(source, tmp_path / "out", "--alpha", "31")
    assert isinstance(result.exception, InputError)
    assert "occurs in 30 queries, so --alpha 31 drops all tags" in str(result.exception)
    # Nothing stands in the way of another try.
    assert normalize(source, tmp_path / "out", "--alpha", "30").exit_code == 0


def test_what_comes_out_can_be_measured_and_selected_from(tmp_path: Path) -> None:
    rows = [{"id": f"r-{n}", "raw_tags": turns(["poem"], ["poems", f"topic {n % 3}"]), "queries": 2} for n in range(60)]
    source, out = write_rows(tmp_path / "rows.jsonl", rows), tmp_path / "out"
    assert normalize(source, out).exit_code == 0
    vocabulary = ["--vocabulary", str(out / "vocabulary"), "--json"]
    measured = invoke("instag", "measure", out, *vocabulary)
    assert measured.exit_code == 0
    (found,) = json.loads(measured.stdout)
    assert found["complexity"] == 1.5
    selected = invoke("instag", "select", out, tmp_path / "selected", "-n", 3)
    assert selected.exit_code == 0
    assert len({row["tags"][1] for row in rows_of(tmp_path / "selected")}) == 3
