"""Append to each document what a model thinks about it (thinking-augmented pre-training, arXiv 2509.20186)."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.engines.reasoning import MARKERS
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Temperature, TopP
from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, allow_empty
from synth.pipelines.runtime.text.columns import text_column
from synth.pipelines.runtime.text.tokens import ModelTokenizer
from synth.pipelines.runtime.text.words import windows, word_hashes
from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import ROW, THOUGHT

__all__ = ["Think", "repeated_share"]

# The tags around a thought in the texts to train on.
OPENING, CLOSING = MARKERS[0]
WORDS_OF_A_WINDOW = 10


@dataclass(frozen=True)
class Think(RowStage):
    """Append to documents what a model thinks about them, to pre-train on both (TPT).

    The model reads the first `document_tokens` tokens of a document and thinks them through like an expert who teaches.
    Its thought ends at `close`, so that a reasoning model writes no answer; where the engine keeps reasoning apart, the
    reasoning is the thought; what a plain model writes is the thought as a whole. Output: `<id>/thought`, whose `text`
    is the whole document, a blank line, and the thought between `<think>` and `</think>`. Other columns go through.

    Documents are rejected as `no_text`; `contains_tag` if they have one of the tags; `refused`; `cut_off` if the
    thought does not end within `max_tokens`; `no_thought`; `unclosed`, with `--unclosed reject`, if it ends without the
    tag; `too_short`; and `repetition`, if more than `max_repeated` of all windows of ten words have occurred before.

    The paper says neither what stands between document and thought nor which thoughts it drops: both are ours.
    """

    name: ClassVar[str] = "think"
    advice: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"unclosed": "--close TAG names the tag that ends a thought of the model (default `</think>`)"}
    )
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = THOUGHT
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth think corpus/ thoughts/ --model Qwen/Qwen3-8B",
        "synth think corpus/ thoughts/ --model Qwen/Qwen3-1.7B --document-tokens 2000 --max-tokens 8000",
    )

    prompt: PromptFile = shipped("think", Path(__file__).parent)
    text: Annotated[
        str | None, Option("Column with the documents; required if several columns contain text.", metavar="NAME")
    ] = None
    document_tokens: Annotated[int, Option("Tokens of a document that the model reads.", min=16)] = 2048
    tokenizer: Annotated[
        str | None,
        Option(
            "The model whose tokens count: a directory, a hub name, or `tiny`.", metavar="MODEL", default="the --model"
        ),
    ] = None
    temperature: Temperature = 0.6
    top_p: TopP = 0.9
    max_tokens: MaxTokens = 8192
    open: Annotated[str, Option("The tag with which the model may begin a thought.", metavar="TAG")] = OPENING
    close: Annotated[str, Option("The tag that ends a thought of the model.", metavar="TAG")] = CLOSING
    unclosed: Annotated[
        Literal["keep", "reject"], Option("What to do with thoughts that end without the tag, as plain models write.")
    ] = "keep"
    tags: Annotated[Literal["think", "none"], Option("The tags around a thought in `text`.")] = "think"
    min_thought: Annotated[int, Option("Fewest tokens of a thought.", min=1)] = 16
    max_repeated: Annotated[
        float, Option("Largest share of windows of ten words that have occurred before in a thought.", min=0, max=1)
    ] = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.close.strip():
            raise UsageError("--close is empty: name the tag that ends a thought, such as </think>")

    def identity(self) -> dict[str, Any]:
        # Without the option it is the tokenizer of the model, which the engine identifies.
        return {**super().identity(), "tokenizer": self._tokenizer.identity if self._tokenizer else None}

    @cached_property
    def _tokenizer(self) -> ModelTokenizer | None:
        return ModelTokenizer(self.tokenizer, "--tokenizer") if self.tokenizer else None

    @property
    def means(self) -> Mapping[str, str]:
        return {"document_tokens": "thoughts", "thought_tokens": "thoughts"}

    @property
    def _sampling(self) -> Sampling:
        return Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens, stop=(self.close,))

    def prepare(self, table: pa.Table) -> Self:
        return replace(self, text=text_column(table.schema, self.text))

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        document = row[self.text or ""] or ""
        if not document.strip():
            raise Reject("no_text", f"{self.text} is empty")
        self._check_tags(document, "document")
        tokenizer = self._tokenizer or _tokenizer_of(tools.model)
        read, document_tokens = tokenizer.beginning(document, self.document_tokens)
        answer = await allow_empty(tools.llm.generate(self.prompt.render(document=read), self._sampling))
        (completion,) = answer.completions
        thought = self._thought(completion)
        thought_tokens = tokenizer.count(thought)
        if thought_tokens < self.min_thought:
            raise Reject("too_short", f"{plural(thought_tokens, 'token')}, and --min-thought is {self.min_thought}")
        if (share := repeated_share(thought)) > self.max_repeated:
            raise Reject("repetition", f"{share:.0%} of its windows of {WORDS_OF_A_WINDOW} words have occurred before")
        tools.tally("document_tokens", document_tokens)
        tools.tally("thought_tokens", thought_tokens)
        tools.tally("thoughts")
        tagged = f"{OPENING}\n{thought}\n{CLOSING}" if self.tags == "think" else thought
        yield {
            **row,
            "id": f"{row['id']}/thought",
            "text": f"{document}\n\n{tagged}",
            "document": document,
            "thought": thought,
            "document_tokens": document_tokens,
            "cut": len(read) < len(document),
            "thought_tokens": thought_tokens,
            "finish_reason": completion.finish_reason,
            "model": tools.model,
        }

    def _thought(self, completion: Completion) -> str:
        """What the model thought. Raises `Reject` if that cannot be trained on."""
        if completion.finish_reason == "refused":
            raise Reject("refused", completion.refusal or "the model or a filter declined to answer")
        # A server may ignore the stop string. Of reasoning that an answer follows, nothing is missing.
        has_answer = bool(completion.reasoning and completion.text.strip())
        if completion.cut and not has_answer:
            raise Reject("cut_off", completion.cut)
        said, closing, _ = (completion.reasoning or completion.text).partition(self.close)
        thought = said.strip().removeprefix(self.open).strip()
        if not thought:
            raise Reject("no_thought", "the model ended its thought before the first word")
        if not (completion.reasoning or closing or completion.stop) and self.unclosed == "reject":
            raise Reject("unclosed", f"it ends without {self.close}: {thought[-40:]!r}")
        self._check_tags(thought, "thought")
        return thought

    def _check_tags(self, text: str, name: str) -> None:
        """Raises `Reject` for a tag by which a reader of the text, or of the reply, would be misled."""
        tags = (self.close, OPENING, CLOSING) if self.tags == "think" else (self.close,)
        if found := next((tag for tag in tags if tag.lower() in text.lower()), None):
            raise Reject("contains_tag", f"the {name} has {found} in it")

    def published(self, out: Path, counts: Counts) -> Iterator[str]:  # noqa: ARG002
        found = counts.tallies
        if found.get("thoughts"):
            before, added = found["document_tokens"], found["thought_tokens"]
            times = (before + added) / before
            yield f"{before:,.0f} tokens of documents have become {before + added:,.0f}, {times:.2f} times as many"


def repeated_share(text: str) -> float:
    """The share of the windows of ten words in a text that have occurred in it before; 0 with fewer words."""
    found, _ = windows(*word_hashes([text]), WORDS_OF_A_WINDOW)
    return 1 - len(np.unique(found)) / len(found) if len(found) else 0.0


@cache
def _tokenizer_of(model: str) -> ModelTokenizer:
    try:
        return ModelTokenizer(model, "--model")
    except UsageError as error:
        raise UsageError(
            f"documents are cut by the tokens of a model on this machine: name it with --tokenizer ({error})"
        ) from error
