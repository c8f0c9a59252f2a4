"""`synth rank score`: what is scored, by whom, and which sets rank nothing."""

from collections.abc import Sequence
from math import inf, nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.rank.score import ScoreResponses
from synth.schemas.dataset import Dataset
from synth.schemas.errors import EngineFailed, Partial
from tests.command import synth, type_synth
from tests.pipelines.rank.judges import ListJudge, by_length, first_is_best, ran
from tests.pipelines.reward import reward_model, transformers_scores
from tests.rows import Rows, rejected_of, rows_of, write_rows

TEXTS = ["A bird", "Bird.", "A", "A wren."]
ROWS: Rows = [{"id": "a", "query": "Name a bird.", "responses": TEXTS, "sources": ["s", "s", "t", "u"]}]


def given(*responses: str, scores: list[Any] | None = None) -> Rows:
    return [{"id": "a", "query": "Name a bird.", "responses": [*responses], "scores": scores}]


def test_a_judge_scores_all_responses_at_once_and_they_keep_their_order(tmp_path: Path) -> None:
    summary = ran(tmp_path, ScoreResponses(), [{**ROWS[0], "topic": "birds"}], judge := ListJudge(by_length))
    (row,) = rows_of(tmp_path / "out")
    (shown,) = judge.asked
    assert row["score_reasons"] == [f"Of {min(TEXTS, key=lambda text: shown.index(f'{chr(10)}{text}{chr(10)}'))}."]
    assert {name: row[name] for name in ("responses", "sources", "scores", "ranks", "scorer", "topic")} == {
        "responses": TEXTS,
        "sources": ["s", "s", "t", "u"],
        "scores": [6.0, 5.0, 1.0, 7.0],
        "ranks": [2, 3, 4, 1],
        "scorer": "echo",
        "topic": "birds",
    }
    assert summary.record["means"] == {"best_score": 7.0, "worst_score": 1.0, "responses": 4.0}
    assert "does what the query asks" in shown
    assert list(judge.fields) == ["reason", "1", "2", "3", "4"]
    assert judge.fields["1"] == {"type": "integer", "minimum": 1, "maximum": 10}


def test_scores_go_with_the_responses_however_these_are_ordered(tmp_path: Path) -> None:
    for number, order in enumerate(([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0])):
        row = {**ROWS[0], "id": f"a{number}", "responses": [TEXTS[place] for place in order]}
        ran(tmp_path, ScoreResponses(rounds=3), [row], ListJudge(by_length))
        (found,) = rows_of(tmp_path / "out")
        assert found["scores"] == [len(TEXTS[place]) for place in order]


def test_what_a_judge_gives_for_places_cancels_out_in_two_rounds(tmp_path: Path) -> None:
    ran(tmp_path, ScoreResponses(rounds=1), ROWS, judge := ListJudge(first_is_best))
    assert sorted(rows_of(tmp_path / "out")[0]["scores"]) == [6, 7, 8, 9]
    summary = ran(tmp_path, ScoreResponses(rounds=2), ROWS, judge := ListJudge(first_is_best))
    assert summary.counts.reasons == {"all_equal": 1}
    assert rejected_of(tmp_path / "out")[0]["detail"] == "all scores are 7.5"
    places = [[shown.index(f"]\n{text}\n[") for text in TEXTS] for shown in judge.asked]
    ascending = [sorted(range(4), key=places[number].__getitem__) for number in (0, 1)]
    assert ascending[0] == ascending[1][::-1]

    def both(shown: Sequence[str], place: int) -> int:
        return first_is_best(shown, place) // 2 + (shown[place - 1] == "A wren.")

    ran(tmp_path, ScoreResponses(rounds=2), ROWS, ListJudge(both))
    (row,) = rows_of(tmp_path / "out")
    assert row["ranks"][3] == 1
    assert len(row["score_reasons"]) == 2


@pytest.mark.parametrize(
    ("reply", "reason", "detail"),
    [
        ('{"reason": "So.", "1": 3}', "wrong_fields", "the scores are 3, none: 2 integers from 1 to 10 are needed"),
        ('{"reason": "So.", "1": 3, "2": 11}', "wrong_fields", "the scores are 3, 11: 2 integers"),
        ('{"reason": "So.", "1": 3, "2": 4.5}', "wrong_fields", "the scores are 3, 4.5: 2 integers"),
        ('{"reason": "So.", "1": true, "2": 4}', "wrong_fields", "the scores are true, 4: 2 integers"),
        ('{"reason": "\\ud800", "1": 3, "2": 4}', "unreadable", "it is not JSON: "),
        ("The first.", "unreadable", "it is not JSON: no object in it"),
        ("[3, 4]", "unreadable", "it is not JSON: no object in it"),
    ],
)
def test_a_reply_without_a_score_for_each_response_cannot_be_used(
    tmp_path: Path, reply: str, reason: str, detail: str
) -> None:
    stage = ScoreResponses(schema=False, tries=2)
    summary = ran(tmp_path, stage, given("A wren.", "Bird"), EchoEngine(reply))
    assert summary.counts.reasons == {reason: 1}
    assert rejected_of(tmp_path / "out")[0]["detail"].startswith(detail)
    assert summary.counts.tallies["requests"] == 2


def test_rounds_that_were_answered_are_not_asked_again_after_a_run_broke_off(tmp_path: Path) -> None:
    rows = [ROWS[0], {**ROWS[0], "id": "b"}]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    ran(whole, ScoreResponses(rounds=3), rows, ListJudge(by_length))
    with pytest.raises(EngineFailed):
        ran(broken, ScoreResponses(rounds=3), rows, ListJudge(by_length, most=4), in_flight=1)
    resumed = ListJudge(by_length)
    ran(broken, ScoreResponses(rounds=3), rows, resumed, fresh=False, in_flight=1)
    assert len(resumed.asked) == 2
    assert rows_of(broken / "out") == rows_of(whole / "out")


def test_the_likelihood_is_that_of_the_response_alone_by_token(tmp_path: Path) -> None:
    """To the echo, a word is a token and costs as many nats as it has characters."""
    ran(tmp_path, ScoreResponses(by="likelihood"), given("A wren.", "Bird", "Large  bird"), EchoEngine())
    (row,) = rows_of(tmp_path / "out")
    assert row["scores"] == [-(1 + 5) / 2, -4.0, -(5 + 4) / 2]
    assert row["ranks"] == [1, 2, 3]
    (tmp_path / "alpaca.md").write_text("### Instruction:\n{{ query }}\n\n### Response:\n")
    source = write_rows(tmp_path / "in.jsonl", given("A wren.", "Bird"))
    words = ("--by", "likelihood", "--context", tmp_path / "alpaca.md", "--engine", "echo", "--fresh")
    synth("rank", "score", source, tmp_path / "out", *words)
    assert rows_of(tmp_path / "out")[0]["scores"] == [-3.0, -4.0]


def test_a_response_that_does_not_fit_the_context_fails_its_row(tmp_path: Path) -> None:
    with pytest.raises(Partial, match="prompt_too_long 1"):
        ran(tmp_path, ScoreResponses(by="likelihood"), given("A", "B " * 30), EchoEngine(context=20))


def test_a_reward_model_scores_each_conversation_with_its_system_prompt(tmp_path: Path) -> None:
    model = reward_model(tmp_path / "model")
    rows = [{**given("A wren.", "A lark, I think.")[0], "system": "Be brief."}]
    ran(tmp_path, ScoreResponses(by="reward", reward_model=model), rows)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a bird."}]
    chats = [[*asked, {"role": "assistant", "content": text}] for text in rows[0]["responses"]]
    (row,) = rows_of(tmp_path / "out")
    assert row["scores"] == pytest.approx(transformers_scores(model, chats), abs=1e-4)
    assert (row["scorer"], row["score_reasons"]) == (model, None)
    assert (Dataset(tmp_path / "out").run or {})["identity"]["reward_model"]["model"] == model


def test_preferred_responses_have_the_scores_of_the_paper_and_given_ones_their_own(tmp_path: Path) -> None:
    pair = {"id": "a", "prompt": "Name a bird.", "chosen": "A wren.", "rejected": "Bird"}
    ran(tmp_path, ScoreResponses(by="given"), [pair])
    (row,) = rows_of(tmp_path / "out")
    assert (row["scores"], row["ranks"], row["sources"], row["scorer"]) == (
        [2, 1],
        [1, 2],
        ["chosen", "rejected"],
        None,
    )
    ran(tmp_path, ScoreResponses(by="given"), given("A", "B", "C", scores=[2, 7.5, 2]))
    (row,) = rows_of(tmp_path / "out")
    assert (row["scores"], row["ranks"], row["sources"]) == ([2, 7.5, 2], [2, 1, 2], [None, None, None])


def test_blank_and_repeated_responses_are_filtered_with_their_scores(tmp_path: Path) -> None:
    ran(tmp_path, ScoreResponses(by="given"), given(" A\nwren. ", " ", "A wren.", "Bird", scores=[1, 2, 3, 4]))
    (row,) = rows_of(tmp_path / "out")
    assert (row["responses"], row["scores"]) == (["A\nwren.", "Bird"], [1, 4])
    assert [(row["id"], row["reason"], row["responses"]) for row in rejected_of(tmp_path / "out")] == [
        ("a/response-2", "empty_response", [" "]),
        ("a/response-3", "repeated_response", ["A wren."]),
    ]


def test_turns_that_a_model_wrote_for_others_are_cut_on_request(tmp_path: Path) -> None:
    rows = given("A wren.\n\nHuman: And a tree?\n\nAssistant: Oak.", "Bird", "Human: Why?", scores=[1, 2, 3])
    ran(tmp_path, ScoreResponses(by="given", stop_turns=True), rows)
    assert rows_of(tmp_path / "out")[0]["responses"] == ["A wren.", "Bird"]
    assert [row["detail"] for row in rejected_of(tmp_path / "out")] == ["it begins with a turn of somebody else"]
    ran(tmp_path, ScoreResponses(by="given"), rows)
    assert rows_of(tmp_path / "out")[0]["responses"] == rows[0]["responses"]


@pytest.mark.parametrize(
    ("responses", "scores", "reason", "detail"),
    [
        (["A", "B"], [1.0], "unequal_lengths", "there are 2 responses and 1 scores"),
        (["A", "B"], [1.0, 1.0], "all_equal", "all scores are 1"),
        (["A", "B"], [1.0, nan], "not_finite", "the scores are 1.0, nan"),
        (["A", "B"], [1.0, -inf], "not_finite", "the scores are 1.0, -inf"),
        (["A", "B"], [1.0, None], "not_finite", "the scores are 1.0, None"),
        (["A", None], [1.0, 2.0], "too_few_responses", "1 can be used, and 2 are needed"),
        ([], [], "too_few_responses", "0 can be used, and 2 are needed"),
    ],
)
@pytest.mark.parametrize("command", ["score", "pairs"])
def test_a_set_that_ranks_nothing_is_rejected_by_reason(
    tmp_path: Path, command: str, responses: list[Any], scores: list[Any] | None, reason: str, detail: str
) -> None:
    kinds = {
        "id": pa.string(),
        "query": pa.string(),
        "responses": pa.list_(pa.string()),
        "scores": pa.list_(pa.float64()),
    }
    good = given("A", "B", scores=[2.0, 1.0])[0]
    bad = {"id": "bad", "query": "Name a bird.", "responses": responses, "scores": scores}
    parquet.write_table(pa.Table.from_pylist([good, bad], pa.schema(kinds)), tmp_path / "in.parquet")
    by = ("--by", "given") if command == "score" else ()
    done = type_synth("rank", command, "in.parquet", "out", *by, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(tmp_path / "out")) == 1
    (rejected,) = [row for row in rejected_of(tmp_path / "out") if row["id"] == "bad"]
    assert (rejected["reason"], rejected["detail"]) == (reason, detail)


def test_a_set_without_scores_is_rejected_where_they_are_to_be_given(tmp_path: Path) -> None:
    summary = ran(
        tmp_path, ScoreResponses(by="given"), [*given("A", "B"), {**given("A", "B", scores=[2, 1])[0], "id": "b"}]
    )
    assert summary.counts.reasons == {"no_scores": 1}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--by", "reward"), "--by reward needs --reward-model: the model that gives the scores"),
        (("--by", "given", "--rounds", "2"), "--rounds applies only with --by judge"),
        (("--by", "reward", "--model", "tiny"), "--reward-model"),
        (("--by", "given", "--model", "tiny"), "--model applies only with --by judge or likelihood"),
        (("--reward-model", "m", "--engine", "echo"), "--reward-model applies only with --by reward"),
        (("--rubric", "nowhere.md"), "--rubric nowhere.md: no such file"),
        (("--rubric", "chat", "--engine", "echo"), "--rubric chat is a chat, but must be plain text"),
        (("--by", "best"), "--by best: must be one of judge, reward, likelihood, given"),
        (("--engine", "echo"), "the input has no responses, only id, query: name"),
    ],
)
def test_what_cannot_be_scored_is_said_in_a_sentence(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    write_rows(tmp_path / "in.jsonl", [{"id": "a", "query": "Name a bird."}])
    done = type_synth("rank", "score", "in.jsonl", "out", *words, folder=tmp_path)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
