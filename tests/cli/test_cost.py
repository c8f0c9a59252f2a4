"""What a run cost, as its summary and `synth stats` say it, and what a whole input would cost."""

from pathlib import Path

import pytest

from synth.cli.summaries import about, duration, money
from tests.command import type_synth
from tests.counting_server import CountingServer, counting_server
from tests.rows import write_rows

# A request for two samples is 5 prompt and 14 completion tokens.
PRICES = ("--price-in", 1_000_000, "--price-out", 500_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "questions.jsonl", [{"id": f"q-{i}", "question": "1+1?", "answer": "2"} for i in range(20)])
    return tmp_path


def sample(folder: Path, server: CountingServer, *words: object, **environment: str) -> str:
    command = ("reject", "sample", "questions.jsonl", "out", "--base-url", server.url, "-n", 2, *words)
    done = type_synth(*command, folder=folder, **environment)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_summary_and_the_statistics_say_the_cost(folder: Path) -> None:
    with counting_server() as server:
        said = sample(folder, server, *PRICES)
    assert "\n  cost 240.00, 15.00 for each accepted\n" in said
    shown = type_synth("stats", "out", folder=folder).stdout
    assert "cost     240.00, 15.00 for each accepted" in shown
    assert '"money": 240.0' in type_synth("stats", "out", "--json", folder=folder).stdout


def test_prices_may_come_from_the_environment(folder: Path) -> None:
    prices = {"SYNTH_PRICE_IN": "0.15", "SYNTH_PRICE_OUT": "0.6"}
    with counting_server() as server:
        assert "cost 0.000183, 0.0000114 for each accepted" in sample(folder, server, **prices)
    done = type_synth(
        "reject", "sample", "questions.jsonl", "other", "--engine", "echo", folder=folder, SYNTH_PRICE_IN="cheap"
    )
    assert (done.returncode, done.stderr) == (2, "synth: --price-in cheap: expected a number\n")


def test_an_update_says_what_it_reused(folder: Path) -> None:
    with counting_server() as server:
        assert "of an earlier run" not in sample(folder, server, "--limit", 15)
        said = sample(folder, server, "--stale", "update", *PRICES)
    assert "\n  285 tokens in answers of an earlier run, which cost nothing\n" in said
    assert "\n  cost 60.00, 3.75 for each accepted\n" in said
    assert "25 prompt, 70 completion, 7.0 a row, 285 reused" in type_synth("stats", "out", folder=folder).stdout


def test_a_trial_ends_with_what_the_whole_input_would_take(folder: Path) -> None:
    with counting_server() as server:
        said = sample(folder, server, "--limit", 5, *PRICES, COLUMNS="200").splitlines()[-1]
        assert said.startswith("  the whole input (20 rows) would take about 100 prompt and 280 completion tokens, ")
        assert "completion tokens, a cost of 240.00 and " in said
        assert said.endswith(" s at this rate")
        said = sample(folder, server, "--limit", 4, "--fresh", COLUMNS="80")
        assert "cost" not in said
        assert all(len(line) <= 80 for line in said.splitlines()[1:])
        assert "the whole input" not in sample(folder, server, "--limit", 20, "--fresh")


@pytest.mark.parametrize("option", ["--budget-tokens", "--price-in"])
def test_options_of_a_model_that_is_not_asked_are_refused(tmp_path: Path, option: str) -> None:
    done = type_synth("case2code", "evaluate", "tasks", "out", "--gold", option, 5, folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"synth: {option} applies only without --gold\n")


def test_prices_in_the_environment_do_not_matter_where_no_model_is_asked(folder: Path) -> None:
    done = type_synth(
        "case2code", "evaluate", "tasks", "out", "--gold", folder=folder, SYNTH_PRICE_IN="1", SYNTH_PRICE_OUT="1"
    )
    assert done.stderr == "synth: tasks does not exist\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59, "59 s"), (61, "1 min"), (7_790, "2 h 10 min"), (7_200, "2 h"), (180_000, "2 d 2 h")],
)
def test_durations_have_their_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("amount", "words"), [(0, "0.00"), (0.000183, "0.000183"), (0.5, "0.500"), (5.6, "5.60"), (1234.5, "1,234.50")]
)
def test_money_below_one_has_three_digits(amount: float, words: str) -> None:
    assert money(amount) == words


@pytest.mark.parametrize(
    ("count", "words"), [(7, "7"), (9_999, "9,999"), (12_345, "12 k"), (999_400, "999 k"), (3_440_000, "3.4 M")]
)
def test_large_numbers_are_rounded(count: float, words: str) -> None:
    assert about(count) == words
