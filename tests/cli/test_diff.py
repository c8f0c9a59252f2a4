"""`synth diff`: settings, counts, columns and rows in which two datasets differ, and an exit code as diff(1) has."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.command import type_synth as synth
from tests.rows import write_rows

ROOT = Path(__file__).parents[2]


def diff(*arguments: object, folder: Path, code: int) -> str:
    done = synth("diff", *arguments, folder=folder)
    assert (done.returncode, done.stderr) == (code, "")
    return re.sub(r" +", " ", done.stdout).replace(" \n", "\n")


def document(*arguments: object, folder: Path) -> dict[str, Any]:
    done = synth("diff", *arguments, "--json", folder=folder)
    assert (done.returncode in (0, 1), done.stderr) == (True, "")
    return dict(json.loads(done.stdout))


def imported(folder: Path, name: str, *rows: dict[str, Any]) -> str:
    write_rows(folder / f"{name}.jsonl", rows)
    assert synth("import", f"{name}.jsonl", name, folder=folder).returncode == 0
    return name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs over the same questions: `four`, the same `again`, and `five` samples with a prompt of one's own."""
    folder = tmp_path_factory.mktemp("runs")
    sample = ("reject", "sample", ROOT / "examples" / "questions.jsonl")
    (folder / "mine.md").write_text("Solve this.\nEnd with the number.\n\n{{ question }}\n")
    for out, options in (("four", ("-n", 4)), ("again", ("-n", 4)), ("five", ("-n", 5, "--prompt", "mine.md"))):
        done = synth(*sample, out, "--engine", "echo", *options, folder=folder)
        assert done.returncode == 0, done.stderr
    return folder


def test_equal_rows_give_exit_code_0(runs: Path) -> None:
    text = diff("four", "again", folder=runs, code=0)
    assert "320 equal" in text
    assert "settings" not in text


def test_settings_counts_and_rows_that_differ_are_shown(runs: Path) -> None:
    text = diff("four", "five", folder=runs, code=1)
    assert "options.n 4 → 5" in text
    assert "outputs 320 400 +80" in text
    assert "0 equal, 320 different, 80 only in B" in text
    assert "only in B: bakery-01/path-4, bakery-02/path-4, bakery-03/path-4, and 77 more" in text
    assert "and 317 more rows that differ" in text
    assert "bakery-01/path-3" not in diff("four", "five", "--rows", 1, folder=runs, code=1)


def test_the_texts_of_prompts_are_compared_line_by_line(runs: Path) -> None:
    for name, line in (("a", "Solve this."), ("b", "Solve this slowly.")):
        target = shutil.copytree(runs / "four", runs / name) / "synth.json"
        record = json.loads(target.read_text())
        text = f"{line}\nEnd with the number.\n"
        record["identity"]["options"]["prompt"] = {"prompt": "mine", "sha256": line, "text": text}
        target.write_text(json.dumps(record))
    text = diff("a", "b", folder=runs, code=0)
    assert "\n -Solve this.\n +Solve this slowly.\n End with the number.\n" in text
    assert "sha256" not in text


def test_long_settings_are_cut_to_what_changed(runs: Path) -> None:
    marks = ["Answer: " * 50, "#### "]
    for name, stop, system in (("a", marks, None), ("b", [f"{marks[0]}!", marks[1]], "Be kind. " * 500)):
        target = shutil.copytree(runs / "four", runs / f"long-{name}") / "synth.json"
        record = json.loads(target.read_text())
        record["identity"]["options"] |= {"stop": stop, "system": system}
        target.write_text(json.dumps(record))
    text = " ".join(diff("long-a", "long-b", folder=runs, code=0).split())
    assert '[-",-]{+!",+} "#### "]' in text
    assert "options.system null → Be kind. Be kind." in text
    assert "… 4,500 characters" in text
    assert len(text) < 1000


def test_shards_with_the_same_checksum_are_not_read(runs: Path) -> None:
    (shard,) = shutil.copytree(runs / "four", runs / "spoilt").glob("*.arrow")
    data = shard.read_bytes()
    shard.write_bytes(data.replace(b"bakery-01/path-0", b"spoilt-01/path-0"))
    assert shard.read_bytes() != data
    assert document("four", "spoilt", folder=runs)["equal"]


def test_a_changed_text_is_shown_word_by_word_with_what_lies_around(tmp_path: Path) -> None:
    before, after = "She has 3 apples and " + "many " * 50, "of them.\n#### 12"
    a = imported(tmp_path, "a", {"id": "q", "text": f"{before}most {after}", "n": 1})
    b = imported(tmp_path, "b", {"id": "q", "text": f"{before}{after}3", "n": None})
    text = diff(a, b, folder=tmp_path, code=1)
    assert "[-most -]of them." in text
    assert "####\n" not in text
    assert "#### [-12-]{+123+}" in text
    assert "apples" not in text
    assert "n 1 → null" in text


def test_a_long_text_without_spaces_shows_the_characters_that_changed(tmp_path: Path) -> None:
    a = imported(tmp_path, "a", {"id": "q", "text": "春" * 90 + "夏" + "冬" * 90})
    b = imported(tmp_path, "b", {"id": "q", "text": "春" * 90 + "秋" + "冬" * 90})
    assert "春[-夏-]{+秋+}冬" in diff(a, b, folder=tmp_path, code=1)


def test_columns_and_types_are_compared_and_order_is_no_difference(tmp_path: Path) -> None:
    a = imported(tmp_path, "a", {"id": "x", "n": 1, "old": "y"}, {"id": "y", "n": 2, "old": "z"})
    b = imported(tmp_path, "b", {"id": "y", "n": 2.0, "new": "y"}, {"id": "x", "n": 1.0, "new": "z"})
    c = imported(tmp_path, "c", {"id": "y", "n": 2, "old": "z"}, {"id": "x", "n": 1, "old": "y"})
    text = diff(a, b, folder=tmp_path, code=1)
    assert "only in A: old" in text
    assert "only in B: new" in text
    assert "n int64 → double" in text
    assert "2 equal, in another order" in diff(a, c, folder=tmp_path, code=0)


def test_json_lists_all_that_differs(tmp_path: Path) -> None:
    a = imported(tmp_path, "a", {"id": "x", "t": "ä"}, {"id": "y", "t": "b"}, {"id": "z", "t": "c"})
    b = imported(tmp_path, "b", {"id": "x", "t": "ö"}, {"id": "y", "t": "b"}, {"id": "new", "t": "c"})
    found = document(a, b, folder=tmp_path)
    assert not found["equal"]
    assert found["rows"] == {
        "a": 3,
        "b": 3,
        "same": 1,
        "only_a": 1,
        "only_b": 1,
        "different": 1,
        "different_by_column": {"t": 1},
        "moved": False,
    }
    assert (found["only_a"], found["only_b"]) == (["z"], ["new"])
    assert found["different"] == [{"row": "x", "columns": {"t": {"a": "ä", "b": "ö"}}}]
    assert document(a, b, "--rows", 0, folder=tmp_path)["different"] == []


def test_directories_of_datasets_are_compared_by_place_where_they_have_no_ids(tmp_path: Path) -> None:
    for name, last in (("a", "\x1b[31m[bold]" + "x" * 100_000), ("b", "日本")):
        datasets.Dataset.from_list([{"text": "same"}, {"text": last}]).save_to_disk(tmp_path / name)
    text = diff("a", "b", folder=tmp_path, code=1)
    assert "matched by position" in text
    assert "─ row 2 ─" in text
    assert r"\x1b[31m[bold]x" in text
    assert "{+日本+}" in text
    assert len(text) < 3000


def test_what_cannot_be_compared_is_refused_with_exit_code_2(tmp_path: Path) -> None:
    imported(tmp_path, "a", {"id": "x"})
    (tmp_path / "half.partial").mkdir()
    for name, words in (
        ("half", "is not finished"),
        ("nowhere", "does not exist"),
        ("a.jsonl", "convert it with `synth import a.jsonl OUTPUT`"),
    ):
        done = synth("diff", "a", name, folder=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
