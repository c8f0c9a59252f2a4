"""Grow queries from seeds by alternating question extension and thought generation (Query of CC, arXiv 2401.14624)."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.query_of_cc.replies import cut, plain, read_questions, read_thought, words
from synth.pipelines.runtime.asking import Ask, Form, gather_settled
from synth.pipelines.runtime.common_options import MaxTokens, Repairs, Schema, Temperature
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, nothing_kept
from synth.pipelines.runtime.text.near import NearDuplicates
from synth.schemas.record import Record
from synth.schemas.records import QUERY_POOL, SEED

__all__ = ["KINDS", "Bootstrap"]

FOLDER = Path(__file__).parent

KINDS = ("category", "question", "phrase", "passage", "thought")
# The longest question in JSON, in characters: weak models would not end it.
LONGEST_QUESTION = 300
SHORTEST_QUESTION = 10
NO_LIST = ("no_list", "the reply has no list of questions")
# A seed without a kind that has at least this many words counts as a passage.
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
    that all its outputs share, or as `nothing_kept`. With `schema`, questions come as JSON.

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
    rounds: Annotated[int, Option("Rounds; each extends the results of the previous one.", min=1)] = 2
    questions_per_seed: Annotated[int, Option("Questions to request per reply.", min=1)] = 10
    samples: Annotated[int, Option("Replies with questions about each seed or query.", min=1)] = 1
    thoughts_per_question: Annotated[int, Option("Thoughts about each new question.", min=0)] = 1
    parents: Annotated[int, Option("Maximum queries of a seed that a later round extends.", min=1)] = 20
    temperature: Annotated[Temperature, Option("Sampling temperature of questions.", min=0)] = 1.0
    thought_temperature: Annotated[Temperature, Option("Sampling temperature of thoughts.", min=0)] = 0.7
    max_tokens: MaxTokens = 1024
    schema: Schema = False
    repairs: Repairs = 0
    max_query_chars: Annotated[int, Option("Maximum characters of a query; longer thoughts are cut.", min=1)] = 1000
    min_query_words: Annotated[int, Option("Minimum words of a query.", min=0)] = 4
    threshold: Annotated[float, Option("Minimum Jaccard similarity of near duplicates.", min=0.1, max=1)] = 0.8
    shingle: Annotated[int, Option("Words in a shingle, the unit of comparison.", min=1)] = 5

    @cached_property
    def form(self) -> Form | None:
        if not self.schema:
            return None
        # One sentence that ends as a question does: weak models else fill strings with spaces or statements. Engines
        # take a pattern for the text as it stands in JSON, where a quote would end it.
        most = min(self.max_query_chars, LONGEST_QUESTION)
        question = {"type": "string", "pattern": rf'^\w[^\n"\\?？]{{{SHORTEST_QUESTION},{most}}}[?？]$'}
        questions = {"type": "array", "items": question, "minItems": 1, "maxItems": self.questions_per_seed}
        return Form.of(
            {"questions": questions}, 'Reply with a JSON object instead of the list: "questions" is the list.'
        )

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        tree = _Tree(self, row, tools)
        for _ in range(self.rounds):
            await tree.grow()
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

    def __init__(self, stage: Bootstrap, row: Row, tools: Tools) -> None:
        self._stage = stage
        self._tools = tools
        self.root: Row = _root(row)
        self.queries: list[Row] = []
        self.filtered: list[Rejected] = []
        self._round = self.root["round"]
        self._first_with_text: dict[str, str] = {}
        self._near = NearDuplicates(stage.threshold, stage.shingle)
        self._duplicate(self.root["id"], self.root["text"])
        # The results of the previous round.
        self._fresh = [self.root]

    async def grow(self) -> None:
        """Run one round: questions about the results of the previous round, thoughts about the questions."""
        stage, domain = self._stage, self.root["domain"]
        self._round += 1
        parents = self._parents()
        prompts = [
            stage.questions_prompt.render(domain=domain, kind=one["kind"], text=one["text"], n=stage.questions_per_seed)
            for one in parents
        ]
        questions = await self._ask("question", parents, prompts, stage.temperature, stage.samples)
        thoughts: list[Row] = []
        if n := stage.thoughts_per_question:
            prompts = [stage.thought_prompt.render(domain=domain, question=one["text"]) for one in questions]
            thoughts = await self._ask("thought", questions, prompts, stage.thought_temperature, n)
        self._fresh = [*questions, *thoughts]

    def shortened(self, text: str) -> str:
        """A text cut to the maximum length of a query."""
        if len(text) > self._stage.max_query_chars:
            self._tools.tally("shortened")
        return cut(text, self._stage.max_query_chars)

    def _parents(self) -> list[Row]:
        if len(self._fresh) <= self._stage.parents:
            return self._fresh
        self._tools.tally("not_extended", len(self._fresh) - self._stage.parents)
        sampled = self._tools.random("parents", self._round).sample(range(len(self._fresh)), self._stage.parents)
        return [self._fresh[index] for index in sorted(sampled)]

    async def _ask(
        self,
        kind: str,
        parents: Sequence[Row],
        prompts: Sequence[str | tuple[Message, ...]],
        temperature: float,
        n: int,
    ) -> list[Row]:
        """The queries kept from the replies to the prompt of each parent. Prompts are sent concurrently."""
        read = self._questions if kind == "question" else self._thoughts
        sampling = Sampling(temperature=temperature, max_tokens=self._stage.max_tokens)
        replied = await gather_settled(self._replies(kind, prompt, sampling, n) for prompt in prompts)
        kept: list[Row] = []
        for parent, replies in zip(parents, replied, strict=True):
            if isinstance(replies, Reject):
                self.filtered.append(Rejected.because(replies, self._row(parent, kind, 0, "")))
            else:
                for sample, completion in enumerate(replies):
                    kept += read(parent, sample, completion)
        return kept

    async def _replies(
        self, kind: str, prompt: str | tuple[Message, ...], sampling: Sampling, n: int
    ) -> list[Completion]:
        """The replies to a prompt. One that should have a list and has none is replaced by its repair."""
        if kind == "thought":
            return [*(await Ask(self._tools, prompt).samples(sampling, n)).completions]
        ask = Ask(self._tools, prompt, self._stage.form, self._stage.repairs)
        replies = (await ask.samples(sampling, n)).completions
        repaired = await gather_settled(
            ask.repaired(reply, _with_list, sampling, sample) for sample, reply in enumerate(replies)
        )
        return [
            reply if isinstance(repair, Reject) else repair for reply, repair in zip(replies, repaired, strict=True)
        ]

    def _questions(self, parent: Row, sample: int, completion: Completion) -> list[Row]:
        wanted = self._stage.questions_per_seed
        texts = read_questions(completion.text)
        rows = [
            self._row(parent, "question", sample * wanted + index, text, completion.reasoning)
            for index, text in enumerate(texts[:wanted] or [completion.text])
        ]
        if len(texts) > len(rows):
            self._tools.tally("surplus_questions", len(texts) - len(rows))
        if fault := completion.no_answer or (None if texts else NO_LIST):
            self.filtered.append(Rejected(rows[0], *fault, [completion.said]))
            return []
        if completion.cut and len(rows) == len(texts):
            self.filtered.append(Rejected(rows.pop(), "truncated", completion.cut, [completion.said]))
        return [row for row in rows if self._keep(row, completion)]

    def _thoughts(self, parent: Row, sample: int, completion: Completion) -> list[Row]:
        text = read_thought(completion.text)
        # The token limit cut the last sentence short.
        text = self.shortened(cut(text, len(text) - 1) if completion.cut else text)
        row = self._row(parent, "thought", sample, text, completion.reasoning)
        return [row] if self._keep(row, completion, completion.no_answer) else []

    def _row(self, parent: Row, kind: str, number: int, text: str, reasoning: str | None = None) -> Row:
        return {
            "id": f"{parent['id']}/{kind[0]}{number}",
            "domain": self.root["domain"],
            "kind": kind,
            "text": text,
            "parent_id": parent["id"],
            "round": self._round,
            "model": self._tools.model,
            "reasoning": reasoning,
        }

    def _keep(self, row: Row, completion: Completion, fault: tuple[str, str] | None = None) -> bool:
        """Whether a query joins the tree; otherwise it is filtered."""
        if fault := fault or self._fault(row["id"], row["text"]):
            self.filtered.append(Rejected(row, *fault, [completion.said]))
        else:
            self.queries.append(row)
        return not fault

    def _fault(self, query_id: str, text: str) -> tuple[str, str] | None:
        if (count := words(text)) < self._stage.min_query_words:
            return "too_short", f"{count:.3g} {'word' if count == 1 else 'words'}; see --min-query-words"
        if len(text) > self._stage.max_query_chars:
            return "too_long", f"{len(text)} characters; see --max-query-chars"
        return self._duplicate(query_id, text)

    def _duplicate(self, query_id: str, text: str) -> tuple[str, str] | None:
        """The earlier query that a text duplicates, as a reason and a detail; a new text is remembered."""
        if (same := self._first_with_text.setdefault(plain(text), query_id)) != query_id:
            return "duplicate", f"of {same}"
        if similar := self._near.seen(query_id, text):
            return "near_duplicate", f"of {similar}"
        return None


def _with_list(completion: Completion) -> Completion:
    if not read_questions(completion.text):
        raise Reject(*NO_LIST)
    return completion


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
