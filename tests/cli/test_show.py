"""`synth show`: what a reader sees of rows, on a terminal and in a pipe."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet
from rich.console import Console
from typer.testing import Result

from synth.cli.row_view import row_panel
from synth.schemas.errors import InputError, UsageError
from synth.schemas.shards import ROWS_PER_SHARD, ShardWriter
from synth.schemas.writing.publication import OutputClaim
from tests.command import invoke, synth
from tests.rows import write_rows

ROWS: list[dict[str, Any]] = [
    {
        "id": f"gsm8k-{index}",
        "question": f"Natalia sold {index} clips to each of her friends in April. How many clips is that?",
        "answer": f"She sold {index}*2 = <<{index}*2={index * 2}>>{index * 2} clips.\n#### {index * 2}",
        "sample": index,
        "agreement": index / 4,
        "model": None if index == 1 else "tiny",
    }
    for index in range(5)
]


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    """A dataset directory with five rows and two rejected ones."""
    claim = OutputClaim.open(tmp_path / "accepted", {"stage": "reject-select"})
    assert claim
    rejected = [{"id": "x-1", "reason": "wrong", "detail": "3 is not 4", "question": "?"}]
    rejected += [{"id": f"x-{i}", "reason": "no_answer", "detail": "", "question": "?"} for i in (2, 3)]
    shards = []
    for name, rows in (("data", ROWS), ("rejected", rejected)):
        table = pa.Table.from_pylist(rows)
        writer = ShardWriter(claim.layout.shards / f"{name}.arrow", table.schema)
        writer.write(table)
        shards.append(writer.close())
    claim.publish(shards[:1], shards[1:], {"finished": "2026-01-02T03:04:05Z"})
    claim.close()
    return tmp_path / "accepted"


def show(*arguments: str | Path) -> Result:
    return invoke("show", *arguments)


def lines(*arguments: str | Path) -> list[str]:
    result = show(*arguments)
    assert result.exit_code == 0, result.output
    return [line.strip("│ ") for line in result.stdout.splitlines()]


def titles(*arguments: str | Path) -> list[str]:
    return [line.strip("╭─╮ ") for line in lines(*arguments) if line.startswith("╭")]


def rendered(row: dict[str, Any], *, full: bool = False, colour: bool = False) -> str:
    console = Console(width=80, force_terminal=colour, color_system="standard" if colour else None, record=True)
    with console.capture() as capture:
        console.print(row_panel("a", row, full=full))
    return capture.get()


def test_rows_are_panels_under_their_ids(accepted: Path) -> None:
    assert titles(accepted) == ["gsm8k-0", "gsm8k-1", "gsm8k-2"]
    assert titles(accepted, "-n", "1") == ["gsm8k-0"]
    text = lines(accepted, "-n", "1")
    assert "Natalia sold 0 clips to each of her friends in April. How many clips is" in text
    assert "#### 0" in text
    assert "sample 0   agreement 0.0   model tiny" in text


def test_the_header_goes_to_stderr_and_the_rows_to_stdout(accepted: Path) -> None:
    result = show(accepted)
    columns = "id, question, answer, sample, agreement, model"
    assert result.stderr == f"{accepted}  5 rows  reject-select  2026-01-02T03:04:05Z  {columns}\n"
    assert "5 rows" not in result.stdout


def test_a_pipe_gets_80_columns_without_colour(accepted: Path) -> None:
    assert max(map(len, show(accepted).stdout.splitlines())) == 80
    assert "\x1b" not in show(accepted).stdout


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "csv"])
def test_any_input_file_can_be_shown(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"seeds.{suffix}"
    table = pa.table({"text": ["one", "two"], "n": ["1", "2"]})
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif suffix == "parquet":
        parquet.write_table(table, path)
    else:
        csv.write_csv(table, path)
    assert titles(path) == ["seeds-0", "seeds-1"]
    assert "text two   n 2" in lines(path, "--row", "seeds-1")


def test_a_directory_of_datasets_can_be_shown(tmp_path: Path) -> None:
    datasets.Dataset.from_list([{"text": "hello"}]).save_to_disk(tmp_path / "saved")
    assert titles(tmp_path / "saved") == ["saved-0"]
    assert f"{tmp_path}/saved  1 row  text" in show(tmp_path / "saved").stderr


def test_a_dataset_without_rows_says_so(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": []}).save_to_disk(tmp_path / "empty")
    assert show(tmp_path / "empty").stderr.startswith(f"{tmp_path}/empty  0 rows")


def test_a_row_is_found_by_its_id(accepted: Path) -> None:
    assert titles(accepted, "--row", "gsm8k-4") == ["gsm8k-4"]
    with pytest.raises(InputError, match=r"has no row gsm8k-9$"):
        raise show(accepted, "--row", "gsm8k-9").exception or AssertionError
    with pytest.raises(InputError, match="has no row x-2: it was rejected, so add --rejected"):
        raise show(accepted, "--row", "x-2").exception or AssertionError


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("sample = 3", [3]),
        ("sample > 0 AND agreement < 0.75", [1, 2]),
        ("model IS NULL", [1]),
        ("model <> 'tiny'", []),
        ("answer LIKE '%<<3*2=6>>%'", [3]),
        ("id > 'gsm8k-2' AND contains(question, 'Natalia')", [3, 4]),
    ],
)
def test_rows_are_found_by_a_condition_and_counted(accepted: Path, condition: str, found: list[int]) -> None:
    assert titles(accepted, "-n", "9", "--where", condition) == [f"gsm8k-{index}" for index in found]
    assert f"{len(found)} of 5 rows match" in show(accepted, "--where", condition).stderr


def test_rows_of_a_file_are_found_by_a_condition_on_generated_ids_too(tmp_path: Path) -> None:
    source = write_rows(tmp_path / "rows.jsonl", [{"n": number} for number in range(9)])
    assert titles(source, "--where", "n > 6 OR id = 'rows-0'") == ["rows-0", "rows-7", "rows-8"]
    assert titles(source, "--where", "n > 6", "--row", "rows-8") == ["rows-8"]


def test_no_match_is_said_on_stderr(accepted: Path) -> None:
    result = show(accepted, "--where", "sample > 100")
    assert (result.stdout, result.exit_code) == ("", 0)
    assert f"no row of {accepted} to show" in result.stderr


def test_what_cannot_be_asked_is_refused(accepted: Path) -> None:
    with pytest.raises(UsageError, match='--where smaple = 1: Referenced column "smaple" not found'):
        raise show(accepted, "--where", "smaple = 1").exception or AssertionError
    with pytest.raises(UsageError, match="has no column text, only id"):
        raise show(accepted, "--columns", "question,text").exception or AssertionError


def test_columns_are_chosen_and_ordered(accepted: Path) -> None:
    text = lines(accepted, "-n", "1", "--columns", "model,sample,id")
    assert text[1:-1] == ["model tiny   sample 0   id gsm8k-0"]


def test_rejected_rows_show_their_reason_first_and_are_counted(accepted: Path) -> None:
    result = show(accepted, "--rejected")
    assert result.stderr == f"{accepted}/rejected  3 rows  no_answer 2, wrong 1\n"
    assert "│ reason wrong   detail 3 is not 4   question ?" in result.stdout
    assert titles(accepted, "--rejected", "--where", "reason = 'no_answer'") == ["x-2", "x-3"]
    assert show(accepted / "rejected", "--rejected").stderr == f"{accepted}/rejected has no rejected rows\n"


def test_long_text_is_cut_and_its_length_told() -> None:
    text = "word " * 3000
    assert "… 15,000 characters" in rendered({"text": text})
    assert len(rendered({"text": text})) < 4000
    assert rendered({"text": text}, full=True).count("word") == 3000
    assert "… 200 characters" in rendered({"text": "x\n" * 100})
    assert "characters" not in rendered({"text": "word " * 100})


def body(row: dict[str, Any], *, full: bool = False) -> list[str]:
    """The lines within the panel."""
    return [line.strip("│").rstrip().removeprefix(" ") for line in rendered(row, full=full).splitlines()[1:-1]]


def test_lists_and_objects_are_json() -> None:
    assert body({"tags": [1, 2], "of": {"a": 1}}) == ['tags [1, 2]   of {"a": 1}']
    assert '  "name": "Wie spät ist es?",' in body({"of": {"name": "Wie spät ist es?", "much": "text " * 9}})[2]


def test_a_chat_is_read_as_one_whoever_names_its_roles() -> None:
    turns = [("user", "What is 2+2? Explain it."), ("assistant", "It is 4:\n```python\n2 + 2\n```\n#### 4")]
    for speaker, said in (("role", "content"), ("from", "value")):
        chat = [{speaker: who, said: text} for who, text in turns]
        assert [line.rstrip() for line in body({"messages": chat})] == [
            "messages",
            "  user",
            "    What is 2+2? Explain it.",
            "  assistant",
            "    It is 4:",
            "    ```python",
            "    2 + 2",
            "    ```",
            "    #### 4",
        ]


def test_what_a_message_holds_besides_its_text_is_shown() -> None:
    calls = [{"name": "add", "arguments": "2, 2"}]
    chat = [{"role": "assistant", "content": None, "tool_calls": calls, "reasoning": None}]
    assert [line.split() for line in body({"messages": chat})] == [
        ["messages"],
        ["assistant"],
        ["tool_calls"],
        ["name", "arguments"],
        ["─" * 16],
        ["add", "2,", "2"],
    ]


def test_long_chats_and_lists_of_texts_are_cut_by_messages_and_texts() -> None:
    chat = [{"role": "user", "content": f"{number}: " + "word " * 400} for number in range(20)]
    text = "\n".join(body({"messages": chat}))
    assert "… 2,003 characters" in text
    assert "… 12 more messages" in text
    assert len(text) < 8000
    assert "\n".join(body({"messages": chat}, full=True)).count("word") == 8000
    assert "  … 12 more texts" in body({"codes": [f"x = {number}\n" * 2 for number in range(20)]})


def test_texts_in_a_list_stand_below_each_other_and_a_single_one_as_itself() -> None:
    assert body({"replies": ["First,\nthen", " "]}) == [
        "replies",
        "  1 of 2",
        "    First,",
        "    then",
        "  2 of 2: blank",
    ]
    assert body({"replies": ["First,\nthen"]}) == ["replies", "  First,", "  then"]


def test_objects_in_a_list_are_a_table() -> None:
    outputs = [{"return": "'A'", "error": None, "seconds": 0.1 + 0.2}, {"return": None, "error": None, "seconds": 2}]
    assert [line.split() for line in body({"outputs": outputs})] == [
        ["outputs"],
        ["return", "seconds"],
        ["─" * 16],
        ["'A'", "0.3"],
        ["null", "2"],
        ["null:", "error"],
    ]
    many = body({"rows": [{"n": number, "text": "word " * 60} for number in range(30)]})
    assert "  … 18 more rows" in many
    assert "300 characters" in " ".join(" ".join(many).split())
    assert '"g": 1' in "".join(body({"wide": [dict.fromkeys("abcdefg", 1)]}))


def test_floats_are_rounded_and_integers_kept() -> None:
    row = {"a": 0.1 + 0.2, "b": 2.0, "c": 12345678901, "d": 123456.789, "e": 1 / 3e7, "f": [0.1 + 0.2], "g": 2 / 3}
    shown = " ".join(body(row))
    for pair in ("a 0.3 ", "b 2.0", "c 12345678901", "d 123456.8", "e 3.33333e-08", "f [0.3]", "g 0.666667"):
        assert pair in shown


def test_columns_without_a_value_are_only_named() -> None:
    assert body({"a": None, "b": True, "c": [], "d": -3, "e": "", "f": {}, "g": None}) == [
        "b true   d -3",
        "null: a, g; empty: c, e, f",
    ]


def test_short_values_stand_in_as_few_lines_as_they_fit_in() -> None:
    row = {"first": "a" * 30, "second": "b" * 30, "third": 3, "fourth": "c" * 30, "fifth": 5}
    assert body(row) == [
        f"first {'a' * 30}   second {'b' * 30}",
        f"third 3   fourth {'c' * 30}   fifth 5",
    ]


def test_names_of_columns_without_a_value_take_one_line_unless_all_are_asked_for() -> None:
    row = {f"column_{number}": None for number in range(30)}
    assert len(body(row)) == 1
    assert "column_29" in " ".join(body(row, full=True))


def test_a_text_that_two_columns_have_is_shown_once() -> None:
    text = "It is four, because two and two are four."
    assert body({"model_replies": [text], "n": 4, "response": text, "short": "4", "other": "4"}) == [
        "model_replies",
        f"  {text}",
        "n 4   short 4   other 4",
        "response: the same as model_replies",
    ]


def as_json(*arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in show(*arguments, "--json").stdout.splitlines()]


def test_json_has_a_line_for_each_row_with_its_exact_values(accepted: Path, tmp_path: Path) -> None:
    assert as_json(accepted, "-n", "9") == ROWS
    assert as_json(accepted, "--row", "gsm8k-3") == as_json(accepted, "--where", "sample = 3") == [ROWS[3]]
    assert as_json(accepted, "-n", "1", "--columns", "sample,id") == [{"sample": 0, "id": "gsm8k-0"}]
    assert as_json(accepted, "--rejected", "-n", "1") == [
        {"id": "x-1", "reason": "wrong", "detail": "3 is not 4", "question": "?"}
    ]
    row = {"text": "word " * 3000 + "\x1b\u202e\r", "n": 0.1 + 0.2, "none": None, "list": []}
    source = write_rows(tmp_path / "in.jsonl", [row])
    assert as_json(source) == [{"id": "in-0", **row}]
    assert "0.30000000000000004" in show(source, "--json").stdout


def test_calculator_annotations_and_the_answer_line_stand_out_on_a_terminal() -> None:
    text = rendered({"answer": "She sold 48/2 = <<48/2=24>>24 clips in May, all to friends.\n#### 24"}, colour=True)
    assert "\x1b[2;32m<<48/2=24>>\x1b[0m24 clips" in text
    assert "\x1b[1m#### 24\x1b[0m" in text


def test_code_is_highlighted_where_it_is_code() -> None:
    program = "def double(number):\n    return 2 * number\n"
    keyword = "\x1b[94;49mdef\x1b[0m"
    assert keyword in rendered({"content": program}, colour=True)
    assert keyword in rendered({"my_column": program}, colour=True)
    assert keyword in rendered({"chosen_code": f"{program}return return\n"}, colour=True)
    assert keyword not in rendered({"query": f"Explain this:\n{program}"}, colour=True)
    assert keyword in rendered({"codes": [program, program]}, colour=True)
    assert "\x1b[94;49m" in rendered({"reply": json.dumps({"title": "A long enough title of a text"})}, colour=True)
    assert keyword in rendered({"query": f"Explain:\n```python\n{program}```\nThank you."}, colour=True)
    assert keyword in rendered({"query": f"Explain:\n```python\n{program}"}, colour=True)
    assert keyword not in rendered({"content": "An essay on how to def\nine things."}, colour=True)


def test_what_comes_from_data_is_shown_literally() -> None:
    row = {"text": "[bold]no[/bold] :smile: \x1b[31mred\x07 \u202egnirts\r\x9b end", "[red]name": "[/]", "x": "\x00"}
    text = rendered(row, colour=False)
    assert r"[bold]no[/bold] :smile: \x1b[31mred\x07 \u202egnirts\r\x9b end" in text
    assert "[red]name [/]" in text
    assert r"x \x00" in text
    code = rendered({"code": "import os\nprint('\x1b[2J')  # [bold]\n"})
    assert r"\x1b[2J" in code
    assert "[bold]" in code


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps({"text": "word " * 50}) + "\n" for _ in range(2000)))
    command = f"{sys.executable} -c 'from synth.cli.main import main; main()' show {path} -n 2000 | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("╭─ many-0")
    assert result.stderr == f"{path}  text\n"


def test_only_the_files_of_the_shown_rows_are_opened(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array(range(ROWS_PER_SHARD + 1))})
    feather.write_feather(table, str(tmp_path / "rows.feather"))
    synth("import", tmp_path / "rows.feather", tmp_path / "out")
    *_, last = sorted((tmp_path / "out").glob("data-*.arrow"))
    last.write_bytes(b"")
    result = synth("show", tmp_path / "out", "-n", "1")
    assert f"{ROWS_PER_SHARD + 1:,} rows" in result.stderr
    assert "rows-0" in result.stdout
