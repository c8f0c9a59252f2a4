"""`synth why` says what a repeated command would do, and for which field, without doing it."""

import json
from pathlib import Path

import pytest

from tests.cli.test_main import synth
from tests.rows import write_rows


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    """questions.jsonl > samples, with a prompt file of its own, made in the folder itself."""
    rows = [{"id": f"q-{i}", "question": f"What is {i} + {i}?", "answer": f"#### {2 * i}"} for i in range(3)]
    write_rows(tmp_path / "questions.jsonl", rows)
    (tmp_path / "ask.md").write_text("# user\nSolve it.\n{{ question }}\n")
    sample = ("reject", "sample", "questions.jsonl", "samples", "--engine", "echo", "-n", 2, "--prompt", "ask.md")
    assert synth(*sample, folder=tmp_path).returncode == 0
    return tmp_path


def before_and_after(folder: Path, *arguments: object) -> tuple[int, str]:
    """Exit code and output of `synth why`, which changes no file."""
    there = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = synth("why", *arguments, folder=folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == there
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_complete_output_needs_nothing(chain: Path) -> None:
    assert before_and_after(chain, "samples") == (0, "samples: complete, nothing would run\n")


def test_an_option_to_try_is_named_with_both_values(chain: Path) -> None:
    code, said = before_and_after(chain, "samples", "-n", 5, "--json")
    assert code == 4
    assert json.loads(said)["changed"] == [{"field": "options.n", "was": 2, "is": 5}]


def test_concurrency_is_no_reason_to_run_again(chain: Path) -> None:
    assert before_and_after(chain, "samples/", "--in-flight", 7)[0] == 0


def test_a_changed_prompt_is_shown_line_by_line(chain: Path) -> None:
    (chain / "ask.md").write_text("# user\nSolve it with care.\n{{ question }}\n")
    code, said = before_and_after(chain, "samples")
    assert code == 4
    assert "-Solve it." in said
    assert "+Solve it with care." in said


RULES = [f"Rule {number}: write the numbers of step {number} as digits." for number in range(80)]


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (RULES, "-Rule 40: write the numbers of step 40 as digits. +Rule 40: write the NUMBERS of step 40 as digits."),
        ([" ".join(RULES)], "Rule 40: write the [-numbers-]{+NUMBERS+} of step 40 as digits."),
    ],
)
def test_of_a_long_prompt_only_what_changed_is_shown(tmp_path: Path, lines: list[str], shown: str) -> None:
    prompt = "\n".join(["# user", *lines, "{{ question }}\n"])
    (tmp_path / "ask.md").write_text(prompt)
    (tmp_path / "other.md").write_text(prompt.replace("the numbers of step 40", "the NUMBERS of step 40"))
    write_rows(tmp_path / "in.jsonl", [{"question": "What is 1?"}])
    done = synth("map", "in.jsonl", "out", "--engine", "echo", "--prompt", "ask.md", folder=tmp_path)
    assert done.returncode == 0
    code, said = before_and_after(tmp_path, "out", "--prompt", "other.md")
    assert code == 4
    assert shown in " ".join(said.split())
    assert "Rule 37" not in said
    assert len(said) < 1000


def test_a_changed_input_is_named(chain: Path) -> None:
    with (chain / "questions.jsonl").open("a") as file:
        file.write('{"id": "q-9", "question": "What is 1?", "answer": "#### 1"}\n')
    code, said = before_and_after(chain, "samples")
    assert (code, "inputs.0" in said) == (4, True)


def test_an_unfinished_run_would_go_on(chain: Path) -> None:
    stopped = ("reject", "sample", "questions.jsonl", "other", "--engine", "echo", "-n", 1, "--budget-tokens", 1)
    assert synth(*stopped, "--in-flight", 1, folder=chain).returncode == 3
    code, said = before_and_after(chain, "other")
    assert code == 3
    assert "0 of 3 rows finished, the run would resume" in said or "1 of 3 rows finished" in said
    assert "versions" not in said


def test_of_several_directories_the_worst_counts(chain: Path) -> None:
    assert synth("reject", "select", "samples", "accepted", folder=chain).returncode == 0
    (chain / "ask.md").write_text("# user\n{{ question }}\n")
    assert before_and_after(chain, "accepted", "samples")[0] == 4


def test_it_can_be_asked_from_anywhere(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert before_and_after(elsewhere, chain / "samples") == (0, f"{chain}/samples: complete, nothing would run\n")
    (elsewhere / "link").symlink_to(chain / "samples")
    assert before_and_after(elsewhere, "link")[0] == 0
    stopped = ("reject", "sample", "questions.jsonl", "other", "--engine", "echo", "-n", 1, "--budget-tokens", 1)
    assert synth(*stopped, "--in-flight", 1, folder=chain).returncode == 3
    code, said = before_and_after(chain / "samples", "../other")
    assert (code, "of 3 rows finished, the run would resume" in said) == (3, True)


def test_a_folder_that_moved_with_all_it_has_can_be_asked(chain: Path) -> None:
    (chain / "deep" / "er").mkdir(parents=True)
    moved = ["questions.jsonl", "ask.md", "samples"]
    for name in moved:
        (chain / name).rename(chain / "deep" / "er" / name)
    assert before_and_after(chain, "deep/er/samples")[0] == 0
    with (chain / "deep" / "er" / "questions.jsonl").open("a") as file:
        file.write('{"id": "q-9", "question": "What is 1?", "answer": "#### 1"}\n')
    assert before_and_after(chain, "deep/er/samples")[0] == 4
    command = ("reject", "sample", "questions.jsonl", "samples", "--engine", "echo", "-n", 2, "--prompt", "ask.md")
    done = synth(*command, folder=chain / "deep" / "er")
    assert "samples is stale: the content of questions.jsonl changed" in done.stderr


def test_an_output_that_moved_alone_is_said_to_have(chain: Path) -> None:
    (chain / "samples").rename(chain / "renamed")
    code, said = before_and_after(chain, "renamed")
    assert code == 2
    assert "renamed was written as samples by `synth reject sample questions.jsonl samples" in said
    (chain / "away").mkdir()
    assert synth("reject", "select", "../renamed", "../accepted", folder=chain / "away").returncode == 0
    (chain / "away").rmdir()
    code, said = before_and_after(chain, "accepted")
    assert (code, "accepted was moved: away, where its command was run, does not exist" in said) == (2, True)


def test_a_record_without_the_folder_of_its_command_is_asked_in_that_folder(chain: Path) -> None:
    record = json.loads((chain / "samples" / "synth.json").read_text())
    assert (record.pop("folder"), record["inputs"]) == ("..", ["../questions.jsonl"])
    (chain / "samples" / "synth.json").write_text(json.dumps({**record, "inputs": ["questions.jsonl"]}))
    assert before_and_after(chain, "samples")[0] == 0
    (chain / "empty").mkdir()
    code, said = before_and_after(chain / "empty", "../samples")
    assert (code, "ask.md" in said) == (2, True)


@pytest.mark.parametrize("made", ["nothing", "by datasets"])
def test_what_synth_did_not_make_cannot_be_asked(tmp_path: Path, made: str) -> None:
    if made == "by datasets":
        from datasets import Dataset

        Dataset.from_dict({"id": ["a"]}).save_to_disk(str(tmp_path / "there"))
    code, said = before_and_after(tmp_path, "there")
    assert code == 2
    assert "not an output of synth" in said


def test_the_ways_with_a_stale_output_are_told_apart(tmp_path: Path) -> None:
    write_rows(tmp_path / "q.jsonl", [{"id": "a", "question": "What is 3+4?", "answer": "#### 7"}])
    command = ("reject", "sample", "q.jsonl", "out", "--engine", "echo", "-n", 2)
    assert synth(*command, folder=tmp_path).returncode == 0

    def would(*options: object, **environment: str) -> tuple[str, int]:
        done = synth("why", "--json", "out", *options, folder=tmp_path, **environment)
        return json.loads(done.stdout)["would"], done.returncode

    assert would() == ("nothing", 0)
    assert would("-n", 3) == ("refuse", 4)
    assert would("-n", 3, "--stale", "update") == ("update", 3)
    assert would("-n", 3, SYNTH_STALE="fresh") == ("start over", 3)
    assert would("--fresh") == ("start over", 3)
    assert would("--update") == ("update", 3)
    assert would(SYNTH_STALE="update") == ("nothing", 0)
    assert "sending only requests without a recorded answer" in synth("why", "out", "--update", folder=tmp_path).stdout
