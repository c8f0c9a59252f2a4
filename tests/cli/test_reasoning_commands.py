"""What a model thought before its answer, on the command line: in rows, looked at, and put back on export."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from synth.pipelines.augment.evolve import EVOLUTIONS
from synth.pipelines.engines import Answer, Completion, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.reject.sample import SamplePaths
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError, UsageError
from tests.command import synth
from tests.counting_server import counting_server
from tests.rows import rows_of

DRAFT = "The harbour is loud at noon. Gulls cry over the boats."
THOUGHT = "A short text on a harbour.\nShould it rain? No."


def drafted(folder: Path, reply: str) -> Path:
    (folder / "in.jsonl").write_text('{"id": "harbour", "instruction": "Write about a harbour."}\n')
    echo = ("--engine", "echo", "--engine-arg", f"reply={reply}")
    synth("self-lengthen", "draft", folder / "in.jsonl", folder / "drafts", *echo, "-n", "1")
    return folder / "drafts"


@pytest.mark.parametrize(
    "reply",
    [f"<think>\n{THOUGHT}\n</think>\n\n{DRAFT}", f"{THOUGHT}</think>{DRAFT}", f"[THINK]{THOUGHT}[/THINK] {DRAFT}"],
)
def test_a_draft_is_measured_and_trained_on_without_what_was_thought_before_it(tmp_path: Path, reply: str) -> None:
    (row,) = rows_of(drafted(tmp_path, reply))
    assert (row["response"], row["reasoning"], row["words"]) == (DRAFT, THOUGHT, 11)
    assert row["completion_tokens"] == len(reply.split())
    synth("self-lengthen", "curate", tmp_path / "drafts", tmp_path / "chats", "--role", "generator")
    (chat,) = rows_of(tmp_path / "chats")
    assert chat["messages"][1] == {"role": "assistant", "content": DRAFT}


def exported(directory: Path, *options: str) -> dict[str, Any]:
    synth("export", directory, directory.with_name("out.jsonl"), "--force", *options)
    row: dict[str, Any] = json.loads(directory.with_name("out.jsonl").read_text().splitlines()[0])
    return row


THINKING = f"<think>\n{THOUGHT}\n</think>\n\n{DRAFT}"


def test_an_export_leaves_reasoning_out_or_puts_it_back(tmp_path: Path) -> None:
    directory = drafted(tmp_path, f"<think>{THOUGHT}</think>{DRAFT}")
    asked = {"role": "user", "content": "Write about a harbour."}
    answered = {"role": "assistant", "content": DRAFT}
    assert exported(directory, "--as", "messages") == {"messages": [asked, answered]}
    think, field = ("--reasoning", "think"), ("--reasoning", "field")
    assert exported(directory, "--as", "messages", *think)["messages"] == [asked, {**answered, "content": THINKING}]
    assert exported(directory, "--as", "sharegpt", *think)["conversations"][1] == {"from": "gpt", "value": THINKING}
    assert exported(directory, "--as", "alpaca", *think)["output"] == THINKING
    assert exported(directory, "--as", "llama-factory", *think)["output"] == THINKING
    assert exported(directory, "--as", "messages", *field)["messages"] == [
        {**asked, "reasoning_content": None},
        {**answered, "reasoning_content": THOUGHT},
    ]


def test_rows_without_reasoning_are_exported_as_they_are(tmp_path: Path) -> None:
    directory = drafted(tmp_path, DRAFT)
    for shape in ("messages", "sharegpt", "alpaca"):
        assert exported(directory, "--as", shape, "--reasoning", "think") == exported(directory, "--as", shape)


def test_reasoning_goes_into_the_last_turn_of_chats_that_are_there(tmp_path: Path) -> None:
    chat = [{"role": role, "content": role} for role in ("user", "assistant", "user", "assistant", "user")]
    rows = [{"messages": chat, "reasoning": "Hm."}, {"messages": chat, "reasoning": None}]
    datasets.Dataset.from_list(rows).save_to_disk(tmp_path / "chats")
    synth("export", tmp_path / "chats", tmp_path / "out.jsonl", "--as", "messages", "--reasoning", "think")
    first, second = (json.loads(line)["messages"] for line in (tmp_path / "out.jsonl").read_text().splitlines())
    assert second == chat
    assert first == [*chat[:3], {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nassistant"}, chat[4]]


def test_reasoning_that_has_no_place_is_refused(tmp_path: Path) -> None:
    directory = drafted(tmp_path, DRAFT)
    with pytest.raises(UsageError, match="--reasoning needs --as messages"):
        synth("export", directory, tmp_path / "out.jsonl", "--reasoning", "think")
    with pytest.raises(UsageError, match="use --reasoning think"):
        synth("export", directory, tmp_path / "out.jsonl", "--as", "alpaca", "--reasoning", "field")
    datasets.Dataset.from_list([{"query": "a", "response": "b"}]).save_to_disk(tmp_path / "plain")
    with pytest.raises(InputError, match="plain has no text column reasoning"):
        synth("export", tmp_path / "plain", tmp_path / "out.jsonl", "--as", "messages", "--reasoning", "think")


class Uncounting(EchoEngine):
    """A reasoning model on a server that counts no tokens and does not say why it ended."""

    async def answer(self, request: Request) -> Answer:
        said = Completion("<think>Two and one.</think>2+1=<<2+1=3>>3\n#### 3", None, None)
        return Answer((said,) * request.n, None)


def test_a_trace_shows_reasoning_apart_and_copes_with_what_nobody_counted(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "q", "question": "What is 2+1?", "answer": "#### 3"}\n')
    Run(
        SamplePaths(n=2),
        [str(tmp_path / "in.jsonl")],
        tmp_path / "out",
        Options(keep_answers=True),
        engine=Uncounting(),
    ).execute()
    shown = synth("trace", "q/path-1", tmp_path / "out").stdout
    for words in ("request for q: tokens unknown", "sample 1: reasoning Two and one.", "finish reason unknown"):
        assert words in shown
    assert "<think>" not in shown
    (_, path) = json.loads(synth("trace", "q/path-1", tmp_path / "out", "--json").stdout)["rows"]
    assert path["answers"][0]["samples"][1] == {
        "sample": 1,
        "text": "2+1=<<2+1=3>>3\n#### 3",
        "tokens": None,
        "finish_reason": None,
        "reasoning": "Two and one.",
        "stop": None,
    }


QUESTION = '{"id": "q", "question": "Anna has 4 pens and buys 3. How many?", "answer": "4+3=<<4+3=7>>7\\n#### 7"}\n'
PATH = "Four and three: 4+3=<<4+3=7>>7\n#### 7"
UNSURE = "Perhaps\n#### 12\nif she buys them in packs? No: 7."
SURE = "4+3=<<4+3=7>>7\nso\n#### 7\nNow I write that up, in my own words."


def selected(folder: Path, reply: str) -> tuple[list[dict[str, Any]], list[str]]:
    """The paths that are accepted when a server gives this reply, and reasons to reject the others."""
    (folder / "in.jsonl").write_text(QUESTION)
    with counting_server(says=lambda _: reply) as server:
        how = ("--base-url", server.url, "--prompt", "chat", "-n", "1", "--fresh")
        synth("reject", "sample", folder / "in.jsonl", folder / "samples", *how)
        synth("reject", "select", folder / "samples", folder / "accepted", "--no-gold", "--fresh")
    accepted = Dataset.open(folder / "accepted")
    return list(accepted.rows()), [] if accepted.rejected is None else accepted.rejected.table["reason"].to_pylist()


@pytest.mark.parametrize("thought", [UNSURE, SURE])
@pytest.mark.parametrize("form", ["<think>\n{}\n</think>\n\n", "{}</think>\n", "[THINK]{}[/THINK]"])
def test_the_answer_of_a_path_is_not_looked_for_in_the_thought(tmp_path: Path, thought: str, form: str) -> None:
    ((path,), rejected) = selected(tmp_path, form.format(thought) + PATH)
    assert (path["response"], path["reasoning"], rejected) == (PATH, thought, [])


def test_a_wrong_answer_after_a_right_thought_is_wrong(tmp_path: Path) -> None:
    assert selected(tmp_path, f"<think>{SURE}</think>Eight.\n#### 8") == ([], ["wrong_answer"])


EVOLVED = "\n".join(f"{number}. **{name}**: What is {number}+1?" for number, name in enumerate(EVOLUTIONS, 1))


def evolved(folder: Path, reply: str) -> Dataset:
    (folder / "in.jsonl").write_text(QUESTION)
    with counting_server(says=lambda _: reply) as server:
        synth("augment", "evolve", folder / "in.jsonl", folder / "out", "--base-url", server.url)
    return Dataset.open(folder / "out")


def test_a_list_that_is_begun_in_the_thought_is_not_counted(tmp_path: Path) -> None:
    begun = EVOLVED.replace("What is", "How much is").partition("\n3.")[0]
    rows = list(evolved(tmp_path, f"<think>{begun}</think>\n{EVOLVED}").rows())
    assert [row["query"] for row in rows] == [f"What is {number}+1?" for number in range(1, 6)]
    assert {row["reasoning"] for row in rows} == {begun}


def test_a_list_in_a_thought_that_never_ends_is_none(tmp_path: Path) -> None:
    out = evolved(tmp_path, f"<think>So it could be:\n{EVOLVED}")
    assert out.rejected is not None
    (row,) = out.rejected.rows()
    assert (row["reason"], row["detail"]) == (
        "truncated",
        "the reasoning did not end within 7 tokens; see --max-tokens",
    )
