"""Queries from seeds: question extension, thought generation, and both fed back (Query of CC, arXiv 2401.14624)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Answer, Completion, Message, Sampling
from synth.pipelines.query_of_cc.replies import cut, plain, read_questions, read_thought, words
from synth.pipelines.runtime.asking import gather_settled
from synth.pipelines.runtime.common_options import MaxTokens, Temperature
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, allow_empty, nothing_kept
from synth.pipelines.runtime.text.near import NearDuplicates
from synth.schemas.record import Record
from synth.schemas.records import QUERY_POOL, SEED

__all__ = ["KINDS", "Bootstrap"]

FOLDER = Path(__file__).parent

KINDS = ("category", "question", "phrase", "passage", "thought")
# From this many words on, a seed that does not say what it is is taken for a passage.
PASSAGE_WORDS = 25


@dataclass(frozen=True)
class Bootstrap(RowStage):
    """Write queries from seeds: questions about each, thoughts about these, and then questions about both.

    The output is the tree of queries that grows from each seed, with the seed as its root.

    As in the paper, a round asks for questions about each result of the previous one (breadth) and for a thought about
    each new question (depth), and passes both to the next round. Prompts, numbers and filters are ours, and so is the
    limit: from the second round on, at most `parents` questions and thoughts, sampled at random, are extended. A tree
    has up to `samples * questions_per_seed` questions in its first round, and up to `parents` times as many in each
    later one.

    Queries have ids such as `<seed>/q2/t0/q1`. Within a tree, queries that duplicate or nearly duplicate an
    earlier one, including the seed, are filtered. Trees are independent, so they grow concurrently, in any order, and
    can resume; remove duplicates across seeds with `synth dedup`. A seed without queries is rejected for the reason
    that all its outputs share, or as `nothing_kept`.

    The rows of a pool are valid seeds: its seeds are rejected as `already_extended`; its questions and thoughts are
    extended but not written again. So each round can be run separately, with deduplication of the pool in between.
    """

    name: ClassVar[str] = "query-of-cc bootstrap"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = SEED
    output: ClassVar[Record] = QUERY_POOL

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth query-of-cc bootstrap seeds.jsonl queries/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth query-of-cc bootstrap seeds.jsonl queries/ --model Qwen/Qwen2.5-7B-Instruct --rounds 3 --samples 2",
    )

    questions_prompt: Annotated[Prompt, Option("Prompt file that asks for questions.", metavar="FILE")] = shipped(
        "questions", FOLDER
    )
    thought_prompt: Annotated[Prompt, Option("Prompt file that asks for a thought.", metavar="FILE")] = shipped(
        "thought", FOLDER
    )
    rounds: Annotated[int, Option("Rounds; each extends what the last one wrote.", min=1)] = 2
    questions_per_seed: Annotated[int, Option("Questions to ask for in a reply.", min=1)] = 10
    samples: Annotated[int, Option("Replies with questions about each seed or query.", min=1)] = 1
    thoughts_per_question: Annotated[int, Option("Thoughts about each new question.", min=0)] = 1
    parents: Annotated[int, Option("Queries of a seed that a later round extends.", min=1)] = 20
    temperature: Annotated[Temperature, Option("Sampling temperature of questions.", min=0)] = 1.0
    thought_temperature: Annotated[Temperature, Option("Sampling temperature of thoughts.", min=0)] = 0.7
    max_tokens: MaxTokens = 1024
    max_query_chars: Annotated[int, Option("Longest query; longer thoughts are cut.", min=1)] = 1000
    min_query_words: Annotated[int, Option("Shortest query.", min=0)] = 4
    threshold: Annotated[
        float, Option("Jaccard similarity from which queries are near duplicates.", min=0.1, max=1)
    ] = 0.8
    shingle: Annotated[int, Option("Consecutive words that are compared for it.", min=1)] = 5

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        tree = _Tree(self, row, tools)
        for number in range(tree.root["round"] + 1, tree.root["round"] + self.rounds + 1):
            await tree.grow(number)
        for rejected in tree.filtered:
            yield rejected
        if not tree.queries:
            raise nothing_kept(tree.filtered)
        if row["round"] is None:
            yield {**tree.root, "kind": "seed", "text": tree.shortened(tree.root["text"])}
        for query in tree.queries:
            yield query


class _Tree:
    """The tree of one seed: its `queries` in order, and the queries that were `filtered`."""

    def __init__(self, rules: Bootstrap, row: Row, tools: Tools) -> None:
        self._rules = rules
        self._tools = tools
        self.root: Row = _root(row)
        self.queries: list[Row] = []
        self.filtered: list[Rejected] = []
        self._domain = self.root["domain"]
        self._first_with_text: dict[str, str] = {}
        self._near = NearDuplicates(rules.threshold, rules.shingle)
        self._duplicate(self.root["id"], self.root["text"])
        # The results of the previous round.
        self._fresh = [self.root]

    async def grow(self, number: int) -> None:
        """Run one round: questions about the results of the previous round, thoughts about the questions."""
        questions = await self._extend(self._parents(number), number)
        thoughts = await self._think(questions, number)
        self._fresh = [*questions, *thoughts]

    def shortened(self, text: str) -> str:
        """A text that is no longer than a query may be."""
        if len(text) > self._rules.max_query_chars:
            self._tools.tally("shortened")
        return cut(text, self._rules.max_query_chars)

    def _parents(self, number: int) -> list[Row]:
        if len(self._fresh) <= self._rules.parents:
            return self._fresh
        self._tools.tally("not_extended", len(self._fresh) - self._rules.parents)
        sampled = self._tools.random("parents", number).sample(range(len(self._fresh)), self._rules.parents)
        return [self._fresh[index] for index in sorted(sampled)]

    async def _extend(self, parents: Sequence[Row], number: int) -> list[Row]:
        wanted = self._rules.questions_per_seed
        prompts = [
            self._rules.questions_prompt.render(domain=self._domain, kind=one["kind"], text=one["text"], n=wanted)
            for one in parents
        ]
        replies = await self._ask(prompts, self._rules.temperature, self._rules.samples)
        return [
            question
            for parent, reply in zip(parents, replies, strict=True)
            for question in self._questions(parent, reply, number)
        ]

    def _questions(self, parent: Row, reply: Answer | Reject, number: int) -> list[Row]:
        if isinstance(reply, Reject):
            lost = self._row(f"{parent['id']}/q0", parent, "question", "", number)
            self.filtered.append(Rejected.because(reply, lost))
            return []
        kept: list[Row] = []
        wanted = self._rules.questions_per_seed
        for sample, completion in enumerate(reply.completions):
            texts = read_questions(completion.text)
            rows = [
                self._row(
                    f"{parent['id']}/q{sample * wanted + place}", parent, "question", text, number, completion.reasoning
                )
                for place, text in enumerate(texts[:wanted] or [completion.text])
            ]
            if len(texts) > len(rows):
                self._tools.tally("surplus_questions", len(texts) - len(rows))
            fault = completion.no_answer or (None if texts else ("no_list", "the reply has no list of questions"))
            if fault:
                self._filter(rows[0], *fault)
                continue
            if completion.cut and len(rows) == len(texts):
                self._filter(rows.pop(), "truncated", completion.cut)
            kept += [row for row in rows if self._keep(row)]
        return kept

    async def _think(self, questions: Sequence[Row], number: int) -> list[Row]:
        if not self._rules.thoughts_per_question:
            return []
        prompts = [self._rules.thought_prompt.render(domain=self._domain, question=one["text"]) for one in questions]
        replies = await self._ask(prompts, self._rules.thought_temperature, self._rules.thoughts_per_question)
        return [
            thought
            for question, reply in zip(questions, replies, strict=True)
            for thought in self._thoughts(question, reply, number)
        ]

    def _thoughts(self, question: Row, reply: Answer | Reject, number: int) -> list[Row]:
        if isinstance(reply, Reject):
            lost = self._row(f"{question['id']}/t0", question, "thought", "", number)
            self.filtered.append(Rejected.because(reply, lost))
            return []
        kept: list[Row] = []
        for sample, completion in enumerate(reply.completions):
            text = self._thought(completion)
            row = self._row(f"{question['id']}/t{sample}", question, "thought", text, number, completion.reasoning)
            if completion.no_answer:
                self._filter(row, *completion.no_answer)
            elif self._keep(row):
                kept.append(row)
        return kept

    def _thought(self, completion: Completion) -> str:
        text = read_thought(completion.text)
        # A last sentence that the token limit cut is no sentence.
        return self.shortened(cut(text, len(text) - 1) if completion.cut else text)

    async def _ask(
        self, prompts: Sequence[str | tuple[Message, ...]], temperature: float, n: int
    ) -> list[Answer | Reject]:
        """The answer to each prompt, or why there is none. Prompts are sent concurrently."""
        sampling = Sampling(temperature=temperature, max_tokens=self._rules.max_tokens)
        asked = [allow_empty(self._tools.llm.generate(prompt, sampling, n=n)) for prompt in prompts]
        return await gather_settled(asked)

    def _row(self, query_id: str, parent: Row, kind: str, text: str, number: int, reasoning: str | None = None) -> Row:
        return {
            "id": query_id,
            "domain": self._domain,
            "kind": kind,
            "text": text,
            "parent_id": parent["id"],
            "round": number,
            "model": self._tools.model,
            "reasoning": reasoning,
        }

    def _keep(self, row: Row) -> bool:
        """Whether a query joins the tree; otherwise it is filtered with a reason."""
        rules = self._rules
        if (count := words(row["text"])) < rules.min_query_words:
            return self._filter(
                row, "too_short", f"{count:.3g} {'word' if count == 1 else 'words'}; see --min-query-words"
            )
        if len(row["text"]) > rules.max_query_chars:
            return self._filter(row, "too_long", f"{len(row['text'])} characters; see --max-query-chars")
        if duplicate := self._duplicate(row["id"], row["text"]):
            return self._filter(row, *duplicate)
        self.queries.append(row)
        return True

    def _duplicate(self, query_id: str, text: str) -> tuple[str, str] | None:
        """The earlier query that a text duplicates, as a reason and a detail; a new text is remembered."""
        if (same := self._first_with_text.setdefault(plain(text), query_id)) != query_id:
            return "duplicate", f"of {same}"
        if like := self._near.seen(query_id, text):
            return "near_duplicate", f"of {like}"
        return None

    def _filter(self, row: Row, reason: str, detail: str) -> bool:
        self.filtered.append(Rejected(row, reason, detail))
        return False


def _root(row: Row) -> Row:
    """The seed as the root of its tree. Raises `Reject`: `no_text`, `no_domain`, `unknown_kind`, `already_extended`."""
    text, domain = row["text"].strip(), row["domain"].strip()
    if not text or not domain:
        raise Reject("no_text" if domain else "no_domain", "a seed needs a text and a domain")
    if row["round"] == 0:
        raise Reject("already_extended", "it is the seed of a pool, whose queries of round 1 came from it")
    kind = (row["kind"] or "").strip().lower() or _guess(text)
    if kind not in KINDS:
        raise Reject("unknown_kind", f"{kind!r:.100} is none of {', '.join(KINDS)}")
    return {
        "id": row["id"],
        "domain": domain,
        "kind": kind,
        "text": text,
        "parent_id": None,
        "round": row["round"] or 0,
        "model": None,
        "reasoning": None,
    }


def _guess(text: str) -> str:
    if text.endswith(("?", "？", "؟")):
        return "question"
    return "passage" if words(text) >= PASSAGE_WORDS else "phrase"
