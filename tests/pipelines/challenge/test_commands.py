"""The three commands one after the other: what they read, what they refuse, and how they go on after a kill."""

import json
from pathlib import Path

import pytest

from synth.pipelines.challenge.given import rows_given_by
from synth.pipelines.challenge.patterns import SummarizeFailures
from synth.pipelines.engines import Answer, Request, RequestFailed
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.retrieval.embedding import Embedder
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, InputError, Partial, UsageError
from synth.schemas.records import FAILURE, MARKED
from tests.command import invoke
from tests.pipelines.challenge.made import SUMMARIZE, failures, found, questions
from tests.pipelines.passing import shards
from tests.pipelines.query_of_cc.talking import TalkingEngine
from tests.pipelines.retrieval.meanings import MODEL, needs_model
from tests.rows import rejected_of, rows_of, write_rows


def synth(*arguments: object) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.exception


def test_failures_become_patterns_questions_and_rates(tmp_path: Path) -> None:
    """With the shortest replies that the schemas allow."""
    seeds = write_rows(tmp_path / "failures.jsonl", failures(4))
    synth("challenge", "patterns", seeds, tmp_path / "patterns", "--engine", "echo", "--batch", 2)
    record = Dataset.open(tmp_path / "patterns").run or {}
    counts = record["counts"]
    assert (record["input_rows"], counts["produced"], counts["reasons"]) == (4, 2, {"in_no_pattern": 2})
    assert {row["question"] for row in rejected_of(tmp_path / "patterns") if row["reason"] == "in_no_pattern"} <= {
        row["question"] for row in failures(4)
    }
    more = ["--failures", seeds, "--domains", "chess, tea", "--engine", "echo"]
    synth("challenge", "questions", tmp_path / "patterns", tmp_path / "questions", *more)
    (asked,) = rows_of(tmp_path / "questions")
    assert (asked["pattern"], asked["domain"], asked["correct"], asked["gold"]) == ("a", "chess", None, None)
    marked = write_rows(tmp_path / "marked.jsonl", [{**asked, "correct": False}])
    more = ["--questions", marked, "--engine", "echo"]
    synth("challenge", "refine", tmp_path / "patterns", tmp_path / "sharper", *more)
    (sharper,) = rows_of(tmp_path / "sharper")
    assert (sharper["round"], sharper["marked"], sharper["failed"], sharper["failure_rate"]) == (1, 1, 1, 1.0)
    # What was refined can be asked about, and refined, again.
    synth(
        "challenge",
        "questions",
        tmp_path / "sharper",
        tmp_path / "next",
        "--domains",
        "go",
        "--failures",
        seeds,
        *more[2:],
    )
    assert [row["id"] for row in rows_of(tmp_path / "next")] == [f"{sharper['id']}/d0/q0"]


def test_columns_may_have_the_names_of_the_published_files(tmp_path: Path) -> None:
    row = {"Question": "What is 2+2?", "GPT-4": "5", "Gold": 4}
    (seed,) = rows_given_by("--failures", FAILURE)(str(write_rows(tmp_path / "seeds.jsonl", [row]))).rows
    assert (seed["question"], seed["answer"], seed["gold"]) == ("What is 2+2?", "5", "4")
    row = {"Question": "Who?", "GPT-4 Answer": "I.", "Correct Answer": "None.", "Pattern": "Logic", "Domain": "Tea"}
    (asked,) = rows_given_by("--questions", MARKED)(str(write_rows(tmp_path / "asked.jsonl", [row]))).rows
    assert (asked["pattern"], asked["gold"], asked["correct"]) == ("Logic", "None.", None)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"question": "Who?", "answer": "I."}, "no column gold"),
        ({"question": "Who?", "answer": "I.", "gold": ["None."]}, "gold"),
        ({"question": None, "answer": "I.", "gold": "None."}, "question"),
    ],
)
def test_failures_that_cannot_be_used_are_named_with_their_option(
    row: dict[str, object], fault: str, tmp_path: Path
) -> None:
    seeds = write_rows(tmp_path / "seeds.jsonl", [row])
    with pytest.raises(InputError, match=f"--failures: .*{fault}"):
        rows_given_by("--failures", FAILURE)(str(seeds))


def test_a_mark_is_true_or_false(tmp_path: Path) -> None:
    row = {"question": "Who?", "answer": "I.", "pattern": "Logic", "correct": "perhaps"}
    with pytest.raises(InputError, match=r"--questions: .*correct"):
        rows_given_by("--questions", MARKED)(str(write_rows(tmp_path / "marked.jsonl", [row])))


def test_an_input_that_does_not_exist_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--questions: .*nowhere.jsonl"):
        rows_given_by("--questions", MARKED)(str(tmp_path / "nowhere.jsonl"))


def test_other_failures_make_another_run(tmp_path: Path) -> None:
    first, second = (
        rows_given_by("--failures", FAILURE)(str(write_rows(tmp_path / f"{count}.jsonl", failures(count))))
        for count in (2, 3)
    )
    assert questions(failures=first).identity() != questions(failures=second).identity()
    assert questions(failures=first).identity() == questions(failures=first).identity()


def says(asked: str, _: int) -> str:
    ids = asked.split()[1:]
    return found((f"kind {ids[0]}", range(1, len(ids) + 1)))


def test_after_a_kill_no_batch_is_asked_about_twice(tmp_path: Path) -> None:
    seeds = write_rows(tmp_path / "failures.jsonl", failures(8))
    stage = SummarizeFailures(SUMMARIZE, batch=2, schema=False)

    def run(name: str, engine: EchoEngine) -> None:
        Run(stage, [str(seeds)], tmp_path / name, Options(), engine=engine).execute()

    whole = TalkingEngine(model=says)
    run("whole", whole)
    dying, resuming = TalkingEngine(3, says), TalkingEngine(model=says)
    with pytest.raises(EngineFailed):
        run("out", dying)
    run("out", resuming)
    assert (len(whole.asked), len(dying.asked), len(resuming.asked)) == (4, 3, 1)
    assert shards(tmp_path / "out") == shards(tmp_path / "whole")


def test_a_batch_that_exceeds_the_context_costs_its_own_failures(tmp_path: Path) -> None:
    seeds = write_rows(tmp_path / "failures.jsonl", [{**one, "id": f"{one['id']}"} for one in failures(3)])
    stage = SummarizeFailures(SUMMARIZE, batch=1, schema=False)

    class Narrow(TalkingEngine):
        async def answer(self, request):  # type: ignore[no-untyped-def]
            if "f1" in str(request.prompt):
                request = type(request)(({"role": "user", "content": "too long"},), request.sampling)
            return await super().answer(request)

    Run(stage, [str(seeds)], tmp_path / "out", Options(), engine=Narrow(model=says)).execute()
    assert len(rows_of(tmp_path / "out")) == 2
    assert [(row["id"], row["reason"]) for row in rejected_of(tmp_path / "out")] == [("f1", "prompt_too_long")]


def test_failures_of_which_no_batch_gets_a_reply_fail_and_are_tried_again(tmp_path: Path) -> None:
    class Broken(TalkingEngine):
        async def answer(self, request: Request) -> Answer:  # noqa: ARG002
            raise RequestFailed("it is broken")

    seeds = write_rows(tmp_path / "failures.jsonl", failures(3))
    stage = SummarizeFailures(SUMMARIZE, batch=1, schema=False)
    with pytest.raises(Partial, match=r"3 of 3 rows failed \(engine_error 3\), the first is patterns \(it is broken\)"):
        Run(stage, [str(seeds)], tmp_path / "out", Options(), engine=Broken(model=says)).execute()
    summary = Run(stage, [str(seeds)], tmp_path / "out", Options(), engine=TalkingEngine(model=says)).execute()
    assert (summary.counts.produced, summary.counts.failed) == (3, 0)


@needs_model
def test_similar_names_are_one_with_an_embedder(tmp_path: Path) -> None:
    names = iter(["Assumption of existence", "Assuming existence", "Popularity bias"])
    replies: dict[str, str] = {}

    def named(asked: str, _: int) -> str:
        return replies.setdefault(asked, found((next(names), [1])))

    seeds = write_rows(tmp_path / "failures.jsonl", failures(3))
    embedder = Embedder.named(str(MODEL), option="--embedder")
    stage = SummarizeFailures(SUMMARIZE, batch=1, schema=False, embedder=embedder)
    Run(stage, [str(seeds)], tmp_path / "out", Options(), engine=TalkingEngine(model=named)).execute()
    assert [(row["name"], row["support"]) for row in rows_of(tmp_path / "out")] == [
        ("Assumption of existence", 2),
        ("Popularity bias", 1),
    ]
    (merged,) = rejected_of(tmp_path / "out")
    assert (merged["name"], merged["reason"]) == ("Assuming existence", "merged")
    assert merged["detail"].endswith("similarity 0.88")


def test_a_model_that_cannot_be_loaded_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    seeds = write_rows(tmp_path / "failures.jsonl", failures(2))
    engine = TalkingEngine(model=says)
    stage = SummarizeFailures(SUMMARIZE, embedder=Embedder.named(str(tmp_path / "broken"), option="--embedder"))
    with pytest.raises(UsageError, match=r"--embedder .* cannot be loaded"):
        Run(stage, [str(seeds)], tmp_path / "out", Options(), engine=engine).execute()
    assert engine.asked == []


def test_a_row_that_cannot_be_read_is_rejected_with_the_failures(tmp_path: Path) -> None:
    lines = [json.dumps(one) for one in failures(2)]
    (tmp_path / "failures.jsonl").write_text("\n".join([*lines, '{"question": "Who?"']) + "\n")
    stage = SummarizeFailures(SUMMARIZE, schema=False)
    run = Run(
        stage,
        [str(tmp_path / "failures.jsonl")],
        tmp_path / "out",
        Options(bad_rows="reject"),
        engine=TalkingEngine(model=says),
    )
    counts = run.execute().counts
    assert (counts.produced, counts.rejected) == (2, 1)
