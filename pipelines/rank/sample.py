"""Sampling responses to rank (arXiv 2304.05302, section 3.1)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Sampling
from synth.pipelines.rank.sets import Collecting, Response, columns_of
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Temperature, TopP
from synth.pipelines.runtime.conversation import asked_in
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.stage import Rejected, Row, Tools, allow_empty, nothing_kept
from synth.schemas.record import Record
from synth.schemas.records import OPEN_SET, RESPONSE_SET

__all__ = ["SampleResponses"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SampleResponses(Collecting):
    """Sample several responses to each query, and put them beside those that it has already.

    Rows keep their ids and columns and get `responses`, `sources` and `reasonings`. Responses that are there come
    first: those in `responses`, as an earlier `rank sample` with another model leaves them, or `chosen` and `rejected`
    of preference data; and those in the columns that `response` names.

    As in the paper, four responses of up to 128 tokens. There they come from diverse beam search, in four groups with a
    penalty of 1; vLLM has none, so these are samples, at temperature 0.8. (The published code sets that temperature,
    too, without effect: its beam search does not sample.) A model that has responses in the row already draws further
    samples.

    A blank sample is filtered as `refused`, `empty_answer` or, if it was cut while reasoning, `truncated`. A row
    without any response is rejected for the reason that its samples share. A row without a query (`no_query`), or
    whose `responses` and `sources` do not fit (`unequal_lengths`), is rejected, too. Repeated responses stay: `rank
    score` filters them.
    """

    name: ClassVar[str] = "rank sample"
    input: ClassVar[Record] = OPEN_SET
    output: ClassVar[Record] = RESPONSE_SET
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth rank sample prompts.jsonl sets/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth rank sample sets/ more/ --model huggyllama/llama-7b --prompt plain -n 2",
    )

    prompt: Annotated[
        PromptFile, Option("Prompt file, or the name of a shipped one; `plain` suits base models.", metavar="FILE")
    ] = shipped("chat", FOLDER)
    n: Annotated[int, Option("Responses to sample.", min=1, flag="-n", long="--samples")] = 4
    temperature: Temperature = 0.8
    top_p: TopP = 1.0
    max_tokens: MaxTokens = 128

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        responses = self.collected(row)
        *system, asked = [message["content"] for message in asked_in(row, "query")]
        prompt = self.prompt.render(query=asked, system="".join(system))
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)
        # So that its samples go on where an earlier run of the same model has ended.
        first = sum(one.source == tools.model for one in responses)
        answer = await allow_empty(tools.llm.generate(prompt, sampling, n=self.n, first_sample=first))
        blank = []
        for number, completion in enumerate(answer.completions, start=first):
            if completion.no_answer:
                name = {"id": f"{row['id']}/sample-{number}", "query": row["query"]}
                blank.append(Rejected(name, *completion.no_answer, [completion.said]))
                yield blank[-1]
            else:
                responses.append(Response(completion.text, tools.model, completion.reasoning))
                if completion.cut:
                    tools.tally("cut_by_the_limit")
        if not responses:
            raise nothing_kept(blank)
        tools.tally("responses", len(responses))
        yield {**row, **columns_of(responses)}
