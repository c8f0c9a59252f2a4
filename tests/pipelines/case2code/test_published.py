"""Evaluation rows in the layout of the published test set, judged as they are downloaded.

`published.jsonl` was recorded like the published rows: each block of inputs in a separate interpreter. The exceptions
are in `NOT_RIGHT`.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.pipelines.case2code.calls import CallResults, WrittenCalls
from synth.pipelines.case2code.evaluate import EvaluateFunctions
from synth.pipelines.case2code.literals import write_call, write_value
from synth.pipelines.case2code.results import CallResult, agree, recorded_results
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.runtime.stage import Reject
from synth.sandbox.pool import Sandbox
from synth.sandbox.verdict import Limits
from synth.schemas.dataset import Dataset
from synth.schemas.errors import UsageError
from tests.command import invoke
from tests.jails import BlockingSandbox, why_not
from tests.pipelines.case2code.test_evaluate import Author, fenced
from tests.pipelines.case2code.test_literals import VALUES
from tests.rows import rows_of

jailed = pytest.mark.skipif(bool(why_not("bwrap")), reason=f"no bwrap jail: {why_not('bwrap')}")

ROWS = [json.loads(line) for line in Path(__file__).with_name("published.jsonl").read_text().splitlines()]

# The functions that do not reproduce the recorded results: the reason, and the beginning of the detail.
NOT_RIGHT = {
    "getter": ("gold_differs", "the value shows an address in memory"),
    "squares": ("gold_differs", "the value shows an address in memory"),
    "distinct": ("gold_differs", "it changes from run to run, as the order of a set, a hash or a random number does"),
    "hashed": ("gold_differs", "it changes from run to run"),
    # Recorded when the harness's first result had replaced the function.
    "r": ("gold_differs", "the published harness has a variable r of its own, and overwrote the function"),
    # Recorded in two runs; a name was missing in one of them.
    "within": ("gold_differs", "a name was missing when it was recorded (name 'LIMIT' is not defined)"),
    "helped": ("gold_differs", "a name is missing here that was there when it was recorded (name 'helper' is not"),
    "shifted": ("gold_differs", "the type of an error differs between versions of Python"),
    "tally": ("gold_differs", "it was recorded with another version of Python, or after other calls"),
    "stuck": ("gold_differs", "timeout: "),
    "length": ("unreadable_input", "the inputs cannot be built: ModuleNotFoundError: No module named 'numpy' (--jail-"),
    "first_of": ("unreadable_input", "the inputs cannot be built: NameError: name 'SHAPES' is not defined"),
    "cut": ("unreadable_input", "example_str cannot be parsed: "),
    "twice": ("count_mismatch", "3 inputs and 2 outputs"),
    "thrice": ("count_mismatch", "2 inputs and 3 outputs"),
}


def row_of(func_name: str) -> dict[str, Any]:
    (row,) = [row for row in ROWS if row["func_name"] == func_name]
    return row


def judged(folder: Path, row: Mapping[str, Any], *replies: str) -> dict[str, Any]:
    """The output row of a task for which a model returns these samples."""
    (folder / "task.jsonl").write_text(json.dumps(row) + "\n")
    stage, author = EvaluateFunctions(n=len(replies), temperature=0.8, seconds=2.0), Author(*replies)
    Run(
        stage, [str(folder / "task.jsonl")], folder / "out", Options(), engine=author, sandbox=Sandbox("bwrap")
    ).execute()
    (found,) = rows_of(folder / "out")
    return found


def test_the_rows_have_the_published_layout() -> None:
    columns = (
        "id prompt output code exec_code func_name example_str example_inputs example_outputs parsed_inputs "
        "choosed_example_idx exec_status"
    )
    assert all(set(row) == set(columns.split()) for row in ROWS)
    assert len(ROWS) == 64
    assert sum(len(row["example_inputs"]) < len(row["example_outputs"]) for row in ROWS) > 50


@jailed
def test_recorded_answers_are_right_except_for_known_faults(tmp_path: Path) -> None:
    source, out = Path(__file__).with_name("published.jsonl"), tmp_path / "ceiling"
    done = invoke("case2code", "evaluate", source, out, "--gold", "--jail", "bwrap")
    assert done.exit_code == 0, done.output
    dataset = Dataset.open(out)
    right = {row["func_name"]: row for row in dataset.rows()}
    assert set(right) == {row["func_name"] for row in ROWS} - set(NOT_RIGHT)
    assert {label for row in right.values() for label in row["labels"]} == {"correct"}
    assert right["gap"]["responses"] == [row_of("gap")["output"]]
    assert {row["model"] for row in right.values()} == {None}
    assert dataset.rejected is not None
    told = {row["func_name"]: (row["reason"], row["detail"]) for row in dataset.rejected.rows()}
    assert set(told) == set(NOT_RIGHT)
    for name, (reason, beginning) in NOT_RIGHT.items():
        assert told[name][0] == reason
        assert told[name][1].startswith(beginning), told[name]
    assert told["r"][1].endswith("dict(n=3, m=2) gave 6, not TypeError: 'int' object is not callable")
    assert told["tally"][1].endswith("dict(x=3) gave 3, not 6")


@jailed
def test_inputs_from_source_are_built_in_the_jail(tmp_path: Path) -> None:
    replies = {
        fenced("def applied(f, xs):\n    return list(map(f, xs))"): "correct",
        fenced("def map_all(f, xs):\n    return [*map(f, xs)]"): "correct",
        fenced("def applied(f, xs):\n    return tuple(map(f, xs))"): "wrong_output",
        fenced("def applied(f, items):\n    return [f(x) for x in items]"): "wrong_output",
        # The block that divides by zero is hidden.
        fenced("def applied(f, xs):\n    return [f(x) for x in xs if x != 0]"): "wrong_on_hidden",
        fenced("def applied(f, xs):\n    raise ZeroDivisionError('always')"): "wrong_output",
        fenced("def applied(f, xs:\n    return xs"): "load_error",
        fenced("applied = 3\nclass Other: pass"): "wrong_output",
    }
    found = judged(tmp_path, row_of("applied"), *replies)
    assert dict(zip(replies, found["labels"], strict=True)) == replies
    details = found["details"]
    assert details[2].endswith("gave (2, 3), not [2, 3]")
    assert "gave TypeError: applied() got an unexpected keyword argument 'xs', not" in details[3]
    assert details[4].endswith("gave [], not ZeroDivisionError: division by zero")
    assert details[6].startswith("SyntaxError: ")


@jailed
def test_a_sample_sees_the_names_of_blocks_but_is_not_overwritten(tmp_path: Path) -> None:
    row = row_of("is_open")
    own = "OPENING_DAYS = {}\ndef is_open(day):\n    return bool(day) and day.lower() in ('mon', 'tue')"
    gold_in_a_block = {**row, "example_str": row["example_str"] + "\n" + row["code"]}
    found = judged(tmp_path, gold_in_a_block, row["output"], fenced(own), fenced("def is_open(day):\n    return day"))
    assert found["labels"] == ["correct", "wrong_output", "wrong_output"]
    assert found["details"][1] == ("dict(day='Mon') gave True, not NameError: name 'OPENING_DAYS' is not defined"), (
        "that is what is recorded of the first block, whatever one thinks of it"
    )


@jailed
def test_a_recorded_answer_whose_value_is_too_long_is_rejected(tmp_path: Path) -> None:
    row = {**row_of("shout"), "code": "def shout(word):\n    return word * 40_000"}
    (tmp_path / "task.jsonl").write_text(json.dumps(row) + "\n")
    stage = EvaluateFunctions(gold=True)
    Run(stage, [str(tmp_path / "task.jsonl")], tmp_path / "out", Options(), sandbox=Sandbox("bwrap")).execute()
    rejected = Dataset.open(tmp_path / "out").rejected
    assert rejected is not None
    (found,) = rejected.rows()
    assert found["reason"] == "gold_differs"
    assert found["detail"] == (
        "the value is too long, or of a kind that cannot be compared: "
        "dict(word='no') gave what has no canonical form: too long, not 'NO!'"
    )


@jailed
def test_chosen_indices_separate_shown_from_hidden(tmp_path: Path) -> None:
    row = {**row_of("shout"), "choosed_example_idx": [1]}
    special = "def shout(word):\n    return 'NO?' if word == 'no' else word.upper() + '!'"
    found = judged(tmp_path, row, fenced(special), fenced("def shout(word):\n    return word"))
    assert found["labels"] == ["wrong_on_hidden", "wrong_output"]
    assert (found["right_on_shown"], found["right_on_hidden"]) == ([True, False], [False, False])


@jailed
def test_recorded_outputs_never_enter_the_jail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []
    run_in_jail = Sandbox.answer

    async def watched(self: Sandbox, *arguments: Any, **how: Any) -> Any:
        entered.append(repr((arguments, how)))
        return await run_in_jail(self, *arguments, **how)

    monkeypatch.setattr(Sandbox, "answer", watched)
    judged(tmp_path, row_of("celsius"), row_of("celsius")["output"])
    assert len(entered) == 2
    assert all("98.6" in text and "37.0" not in text and "TypeError" not in text for text in entered)


def test_gold_asks_for_no_samples() -> None:
    with pytest.raises(UsageError, match="--gold judges the one recorded answer of each task: -n must be 1, not 3"):
        EvaluateFunctions(n=3, temperature=0.5, gold=True)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("<|EXCEPTION|> \"<class 'IndexError'>: list index out of range\"", "IndexError", "list index out of range"),
        ("<|EXCEPTION|> \"<class 'json.decoder.JSONDecodeError'>: Extra data\"", "JSONDecodeError", "Extra data"),
        ("<|EXCEPTION|> \"<class '__main__.f.<locals>.Odd'>: \"", "Odd", ""),
        ("n is 0\n[1]\n<|EXCEPTION|> \"<class 'ZeroDivisionError'>: division by zero\"", "ZeroDivisionError", "divis"),
        ("<|EXCEPTION|> said\n<|EXCEPTION|> \"<class 'KeyError'>: 'a'\"", "KeyError", "'a'"),
        ("<|EXCEPTION|> \"<class 'ValueError'>: no <|EXCEPTION|> here\"", "ValueError", "no <|EXCEPTION|> here"),
        ('<|EXCEPTION|> "<class \'TypeError\'>: \\"quoted\\"\\nlines"', "TypeError", '"quoted"\nlines'),
        ("ValueError: invalid literal: 'x'", "ValueError", "invalid literal: 'x'"),
        ("json.decoder.JSONDecodeError: Extra data", "JSONDecodeError", "Extra data"),
        ("StopIteration", "StopIteration", ""),
    ],
)  # fmt: skip
def test_errors_are_parsed_into_type_and_message(text: str, error: str, message: str) -> None:
    (read,) = recorded_results([{"return": None, "error": text}], published=True)
    assert read.error == error
    assert read.message.startswith(message)
    assert agree(CallResult(error=error, message="in other words"), read)
    assert not agree(CallResult(error="LookupError"), read)
    assert not agree(CallResult(f"'{error}'"), read)


def test_values_are_unquoted_if_all_in_a_published_row_are_quoted() -> None:
    def values(*texts: str, published: bool = True) -> list[str | None]:
        return [
            one.value for one in recorded_results([{"return": t, "error": None} for t in texts], published=published)
        ]

    assert values('"42"', "\"'a'\"", '"\\"it\'s\\""') == ["42", "'a'", '"it\'s"']
    assert recorded_results([{"return": '"1"', "error": None}, {"return": None, "error": None}], published=True) == [
        CallResult("1"),
        CallResult(),
    ]
    assert values("42", '"it\'s"') == ["42", '"it\'s"'], "as synth writes them"
    assert values('"it\'s"', published=False) == ['"it\'s"']


@pytest.mark.parametrize(
    ("now", "then", "same"),
    [
        ("{'b', 'a'}", "{'a', 'b'}", True),
        ("{'a': {2, 1}, 'b': 0}", "{'b': 0, 'a': {1, 2}}", True),
        ("Point(x=1)", "Point(x=1)", True),
        ("1", "1.0", False),
        ("1", "True", False),
        ("0.30000000000000004", "0.3", False),
        ("['b', 'a']", "['a', 'b']", False),
        ("'1'", "1", False),
        ("(1,)", "[1]", False),
        ("nan", "nan", True),
        ("{'a', inf, -inf, nan}", "{nan, -inf, inf, 'a'}", True),
        ("{'a', inf}", "{-inf, 'a'}", False),
        ("-0.0", "0.0", False),
    ],
)
def test_values_are_compared_by_repr_ignoring_the_order_of_sets_and_keys(now: str, then: str, same: bool) -> None:
    assert agree(CallResult(now), CallResult(then)) is same
    assert agree(CallResult(then), CallResult(now)) is same


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("examples = [", "example_str cannot be parsed: "),
        ("cases = [dict(x=1)]", "example_str has no list called examples"),
        ("# nothing", "example_str has no list called examples"),
        ("(" * 500, "example_str cannot be parsed: "),
    ],
)
def test_source_without_inputs_is_unreadable(source: str, detail: str) -> None:
    with pytest.raises(Reject, match=f"unreadable_input: {detail}"):
        WrittenCalls.read(source, 1)


@pytest.fixture(scope="module")
def jail() -> Any:
    with BlockingSandbox("bwrap") as sandbox:
        yield sandbox


NAMES = st.sampled_from(["a", "b", "key"])
ARGUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
FORMS = (write_call, write_value, lambda one: f"dict({write_value(one)})", lambda one: f"dict(**{write_value(one)})")
BEGINNINGS = ("examples = {items}", "examples: list = {items}", "examples = []\nexamples += {items}")
ADDITIONS = (
    "examples += {items}",
    "examples.extend({items})",
    "examples = examples + {items}",
    "for one in {items}:\n    examples.append(one)",
    "more = {items}\nexamples += [dict(one) for one in more]",
)


@st.composite
def written(
    draw: st.DrawFn, forms: Sequence[Callable[[dict[str, Any]], str]] = FORMS, additions: Sequence[str] = ADDITIONS
) -> tuple[str, list[dict[str, Any]]]:
    """Source that builds a list of inputs as models write it, and the inputs."""
    source, made = [], []
    for number in range(draw(st.integers(1, 4))):
        block = draw(st.lists(ARGUMENTS, min_size=1, max_size=3))
        made += block
        items = [draw(st.sampled_from(forms))(one) for one in block]
        items = ",\n    ".join(items) + draw(st.sampled_from(["", ",", "  # the last"]))
        ways = BEGINNINGS if number == 0 else additions
        source.append(draw(st.sampled_from(ways)).format(items=f"[\n    {items}\n]"))
    return draw(st.sampled_from(["\n", "\n\n"])).join(source), made


def results_of(jail: BlockingSandbox, calls: WrittenCalls, code: str) -> CallResults:
    return calls.results(jail.wait(jail.pool.answer(calls.program(code, "f", Limits()))))


@jailed
@settings(max_examples=60, deadline=None)
@given(written())
def test_inputs_from_any_source_are_complete(jail: BlockingSandbox, source: tuple[str, list[dict[str, Any]]]) -> None:
    text, made = source
    calls = WrittenCalls.read(text, len(made))
    ran = results_of(jail, calls, "def f(**given):\n    return given")
    assert (ran.status, ran.detail) == ("ok", "")
    assert len(ran.results) == len(made)
    for result, arguments in zip(ran.results, made, strict=True):
        assert agree(result, CallResult(repr(arguments))), text
    short = results_of(jail, WrittenCalls.read(text, len(made) + 1), "def f(**given): pass")
    assert (short.status, short.detail) == ("count_mismatch", f"{len(made)} inputs and {len(made) + 1} outputs")


@jailed
def test_each_block_runs_in_a_new_module_after_earlier_blocks(jail: BlockingSandbox) -> None:
    source = "examples = [dict(x=1), dict(x=2)]\nimport math\nexamples += [dict(x=math.tau)]\nexamples += [dict(x=3)]"
    code = "calls = []\ndef f(x):\n    calls.append(x)\n    return len(calls), 'math' in globals()"
    ran = results_of(jail, WrittenCalls.read(source, 4), code)
    assert [str(one) for one in ran.results] == ["(1, False)", "(2, False)", "(1, True)", "(1, True)"]


@jailed
def test_a_new_list_replaces_earlier_examples(jail: BlockingSandbox) -> None:
    source = "examples = [dict(x=1)]\nexamples = [dict(x=2), dict(x=3)]\nexamples += [dict(x=4)]"
    ran = results_of(jail, WrittenCalls.read(source, 3), "def f(x): return x")
    assert [str(one) for one in ran.results] == ["2", "3", "4"]


@jailed
def test_recursion_depth_is_that_of_a_script(jail: BlockingSandbox) -> None:
    code = "def f(n):\n    return n and 1 + f(n - 1)\n"
    source = "examples = [dict(n=n) for n in range(970, 1010)]"
    calls = "for call in examples:\n    try: print(f(**call))\n    except RecursionError: print('RecursionError')"
    script = subprocess.run([sys.executable, "-c", "\n".join([code, source, calls])], capture_output=True, check=True)
    ran = results_of(jail, WrittenCalls.read(source, 40), code)
    assert [str(one).partition(":")[0] for one in ran.results] == script.stdout.decode().split()
