"""The worked vectors of TPT (arXiv 2509.20186): what the model reads of a document, and what of its reply is a thought.

The notes on the paper say 2,000 tokens. Each digit is a token of the embedded model.
"""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from synth.pipelines.engines import Answer, Request
from synth.pipelines.engines.echo import EchoEngine
from synth.pipelines.engines.models import TINY_FOLDER
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.pipelines.think.think import Think
from tests.rows import rejected_of, rows_of, write_rows

TOKENIZER = Tokenizer.from_file(str(TINY_FOLDER / "tokenizer.json"))
REQUEST = "\n\n[end of the text]\n\n"


class Recording(EchoEngine):
    """The echo, which remembers what it was asked."""

    asked: list[Request]

    async def answer(self, request: Request) -> Answer:
        self.asked = [*getattr(self, "asked", ()), request]
        return await super().answer(request)


def thought_through(folder: Path, document: str, reply: str, **options: Any) -> tuple[list[dict[str, Any]], Request]:
    """The rows that come out of a document, and what was asked."""
    engine = Recording(reply)
    source = write_rows(folder / "documents.jsonl", [{"id": "d", "text": document}])
    stage = Think(**{"tokenizer": "tiny", "min_thought": 1, **options})
    Run(stage, [str(source)], folder / "out", Options(fresh=True), engine=engine).execute()
    return rows_of(folder / "out"), engine.asked[0]


def read_by_the_model(request: Request) -> str:
    """What stands before the line that marks the end of the document."""
    (message,) = request.prompt
    assert not isinstance(message, str)
    assert message["role"] == "user"
    return message["content"].partition(REQUEST)[0]


@pytest.mark.parametrize(("options", "read"), [({"document_tokens": 2000}, 2000), ({}, 2048)])
def test_the_model_reads_the_beginning_of_a_document_and_the_whole_is_trained_on(
    tmp_path: Path, options: dict[str, int], read: int
) -> None:
    document = "2718281828459" * 200
    (row,), request = thought_through(tmp_path, document, "It is a number.", **options)
    assert read_by_the_model(request) == document[:read]
    assert len(TOKENIZER.encode(read_by_the_model(request), add_special_tokens=False)) == read
    assert row["text"] == f"{document}\n\n<think>\nIt is a number.\n</think>"
    assert (row["document"], row["document_tokens"], row["cut"]) == (document, 2600, True)
    assert row["thought_tokens"] == len(TOKENIZER.encode("It is a number.", add_special_tokens=False))


def test_a_document_that_is_short_enough_is_read_whole(tmp_path: Path) -> None:
    (row,), request = thought_through(tmp_path, "7" * 2048, "Sevens.")
    assert (read_by_the_model(request), row["cut"], row["document_tokens"]) == ("7" * 2048, False, 2048)


def test_it_is_sampled_as_in_the_paper(tmp_path: Path) -> None:
    _, request = thought_through(tmp_path, "One two.", "Three.")
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.stop) == (0.6, 0.9, 8192, ("</think>",))
    assert request.n == 1


@pytest.mark.parametrize("reply", ["a b</think>c", "<think>\na b</think>c", "a b"])
@pytest.mark.parametrize(("tags", "added"), [("think", "<think>\na b\n</think>"), ("none", "a b")])
def test_the_thought_ends_at_its_tag_and_loses_the_tag_that_opens_it(
    tmp_path: Path, reply: str, tags: str, added: str
) -> None:
    (row,), _ = thought_through(tmp_path, "One two.", reply, tags=tags)
    assert (row["thought"], row["finish_reason"]) == ("a b", "stop")
    assert row["text"] == f"One two.\n\n{added}"


@pytest.mark.parametrize("reply", ["</think>c", "<think>\n\n</think>c", " \n"])
def test_an_empty_thought_is_none(tmp_path: Path, reply: str) -> None:
    rows, _ = thought_through(tmp_path, "One two.", reply)
    assert rows == []
    assert [row["reason"] for row in rejected_of(tmp_path / "out")] == ["no_thought"]
