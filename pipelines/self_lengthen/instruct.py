"""Write new instructions from seed instructions and have the same model judge them (arXiv 2410.23933, section 3)."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import pyarrow as pa
from msgspec import Struct

from synth.pipelines.engines import Sampling
from synth.pipelines.runtime.asking import Ask, Form, gather_all
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Schema, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, Tools, check_not_empty
from synth.pipelines.runtime.text.json_values import member_of
from synth.pipelines.self_lengthen import language, words
from synth.pipelines.self_lengthen.tries import EndOfText, Writing, fault_of, until_kept
from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import NEW_INSTRUCTION, SEED_INSTRUCTION

__all__ = ["Examples", "Instruct", "Seed"]

FOLDER = Path(__file__).parent

Examples = Literal["pool", "seeds"]

# A list item is one paragraph; a remark or the next item follows it.
END_OF_ITEM = ("\n\n", "\n4.", "\n4、")
# The item number, if the model repeats it instead of continuing the list.
_NUMBER = re.compile(r"\A\s*3\s*[.、](?!\d)")
_NO_LETTERS = re.compile(r"[\W_]+")
_YES = {"yes", "是", "是的"}
# The judgement, not the instruction: that continues a list which the prompt begins.
SUITED = Form.of(
    {"suitable": {"type": "string", "enum": ["yes", "no"]}}, 'Reply with a JSON object: "yes" or "no" as "suitable".'
)


class Seed(Struct, frozen=True):
    """A seed instruction and its language: `en`, `zh` or any other name; detected if None."""

    id: str
    instruction: str
    language: str | None = None


@dataclass(frozen=True)
class Instruct(Writing):
    """Write new instructions from seeds, and keep those that the model finds suitable for a long text.

    Writes about `n` instructions, equally many for each of the `seeds`: `<id>/i0`, `<id>/i1`, ...

    The prompt begins a list with two examples, and the model writes its third item. Examples are drawn from the seed's
    pool: the seeds in its language and the instructions accepted for it so far; if `examples` is "seeds", from the
    seeds alone. (The paper has one pool, reset every 500 instructions. Here each seed has its own, and pools grow
    concurrently.) Instructions are written in waves of the size of the pool, with up to `tries` tries each, until there
    are enough or a wave yields none.

    An instruction is accepted if it has more than `min_words` and fewer than `max_words` words, is in the right
    language, repeats nothing in its pool, and the model answers yes when asked whether it suits an article of more than
    2,000 words. (The published code accepts `yes` but not `Yes.`; here case, punctuation and emphasis are ignored, but
    no further word is allowed.) With `schema`, that answer is a JSON object.

    Other tries are filtered as `<id>/i0/t3`: `cut`, `refused`, `empty_answer`, `too_short`, `too_long`, `repeats`,
    `other_language`, `not_suited`, `not_judged`, or if the engine gives no answer (`prompt_too_long`). A seed is
    rejected as `no_instruction`, `unknown_language` or `too_few_seeds` (in its language), for the reason that all its
    tries share, or as `nothing_kept`.
    """

    name: ClassVar[str] = "self-lengthen instruct"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = SEED_INSTRUCTION
    output: ClassVar[Record] = NEW_INSTRUCTION
    texts: ClassVar[str] = "instructions"
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen instruct seeds.jsonl instructions/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen instruct seeds.jsonl instructions/ --model tiny -n 50 --examples seeds",
    )

    prompt: PromptFile = shipped("instruct", FOLDER)
    judge_prompt: Annotated[Prompt, Option("Prompt file of the judge.", metavar="FILE")] = shipped("suited", FOLDER)
    n: Annotated[int, Option("Instructions to write in total.", min=1, flag="-n", long="--instructions")] = 5000
    tries: Tries = 10
    examples: Annotated[Examples, Option("Draw examples from the whole pool or only from the seeds.")] = "pool"
    min_words: Annotated[int, Option("An instruction must have more words than this.", min=0)] = 3
    max_words: Annotated[int, Option("An instruction must have fewer words than this.", min=2)] = 500
    # More tokens would mean too many words.
    max_tokens: MaxTokens = 1024
    stop: EndOfText = END_OF_ITEM
    schema: Schema = False
    # The whole input, set by `prepare`.
    seeds: tuple[Seed, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_words - self.min_words < 2:
            raise UsageError(f"no length is above --min-words {self.min_words} and below --max-words {self.max_words}")

    def prepare(self, table: pa.Table) -> Self:
        return replace(self, seeds=tuple(Seed(**row) for row in table.to_pylist()))

    @cached_property
    def by_language(self) -> Mapping[str, Mapping[str, Seed]]:
        """The distinct seeds of each language, by normalized text."""
        found: dict[str, dict[str, Seed]] = {}
        for seed in self.seeds:
            if (lang := _language(seed)) and (text := _normalized(seed.instruction)):
                found.setdefault(lang, {}).setdefault(text, seed)
        return found

    @cached_property
    def per_seed(self) -> int:
        """The number of instructions to write for each usable seed."""
        usable = [seed for seed in self.seeds if len(self.by_language.get(_language(seed) or "", ())) > 1]
        return -(-self.n // max(1, sum(bool(_normalized(seed.instruction)) for seed in usable)))

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "instruction")
        pool = _Pool(self, Seed(row["id"], row["instruction"], row["language"]), tools)
        while pool.wanted and await pool.wave():
            pass
        for one in self.outcome([*pool.filtered, *pool.accepted], tools):
            yield one


class _Pool:
    """The instructions for one seed: those `accepted`, in order, and the tries that were `filtered`."""

    def __init__(self, stage: Instruct, root: Seed, tools: Tools) -> None:
        lang = _language(root)
        if lang is None:
            raise Reject("unknown_language", "it is neither English nor Chinese; name its language in `language`")
        seeds = stage.by_language.get(lang, {})
        if len(seeds) < 2:
            raise Reject("too_few_seeds", f"two different examples are needed, and no other seed is in {lang!r}")
        self._stage = stage
        self._tools = tools
        self._id = root.id
        self._language = lang
        self._known = dict(seeds)
        self._next_slot = 0
        self._examples: list[Seed] = []
        # What the model said last for each slot.
        self._replies: dict[str, str] = {}
        self.accepted: list[Row] = []
        self.filtered: list[Rejected] = []

    @property
    def wanted(self) -> int:
        return self._stage.per_seed - len(self.accepted)

    async def wave(self) -> bool:
        """Concurrently write as many instructions as the pool has, or are wanted; whether any is accepted."""
        self._examples = list(self._known.values())
        if self._stage.examples == "seeds":
            self._examples = self._examples[: len(self._stage.by_language[self._language])]
        slots = range(self._next_slot, self._next_slot + min(self.wanted, len(self._known)))
        self._next_slot = slots.stop
        before = len(self.accepted)
        for tries in await gather_all(until_kept(partial(self._draw, slot), self._stage.tries) for slot in slots):
            for one in tries:
                if isinstance(one, Rejected):
                    self.filtered.append(one)
                elif fault := self._repetition(one["instruction"]):
                    self.filtered.append(Rejected(one, *fault, [self._replies[one["id"]]]))
                else:
                    self.accepted.append(one)
                    self._known[_normalized(one["instruction"])] = Seed(one["id"], one["instruction"])
        return len(self.accepted) > before

    async def _draw(self, slot: int, attempt: int) -> Row | Rejected:
        stage = self._stage
        first, second = self._tools.random("examples", slot, attempt).sample(self._examples, 2)
        row: dict[str, Any] = {
            "id": f"{self._id}/i{slot}",
            "instruction": "",
            "language": self._language,
            "words": 0,
            "examples": [first.id, second.id],
            "tries": attempt + 1,
            "reasoning": None,
            "model": self._tools.model,
        }
        fault: tuple[str, str] | None
        cause: Reject | None = None
        try:
            prompt = stage.prompt.render(first=first.instruction, second=second.instruction, language=self._language)
            sample = slot * stage.tries + attempt
            answer = await self._tools.llm.generate(prompt, stage.sampling, first_sample=sample)
            (completion,) = answer.completions
            self._replies[row["id"]] = completion.said
            text = _NUMBER.sub("", completion.text).strip()
            row |= {"instruction": text, "words": words.count(text), "reasoning": completion.reasoning}
            fault = fault_of(completion) or self._fault(text) or await self._judgement(text)
        except Reject as reject:
            cause, fault = reject, (reject.reason, reject.detail)
        return Rejected({**row, "id": f"{row['id']}/t{attempt}"}, *fault, cause=cause) if fault else row

    def _fault(self, text: str) -> tuple[str, str] | None:
        """Why an instruction is filtered without asking the judge."""
        stage, counted = self._stage, words.count(text)
        if counted <= stage.min_words:
            return "too_short", f"{plural(counted, 'word')}; see --min-words"
        if counted >= stage.max_words:
            return "too_long", f"{counted} words; see --max-words"
        lang = language.of(text)
        if self._language in ("en", "zh") and lang != self._language:
            return "other_language", f"{lang}, where the seed is {self._language}"
        return self._repetition(text)

    def _repetition(self, text: str) -> tuple[str, str] | None:
        same = self._known.get(_normalized(text))
        return ("repeats", f"it is {same.id}") if same else None

    async def _judgement(self, text: str) -> tuple[str, str] | None:
        # Not `stage.sampling`, whose repetition penalty would disfavor a "yes" quoted in the question. The answer is
        # one word, but reasoning may precede it.
        sampling = Sampling(temperature=0, max_tokens=self._stage.sampling.max_tokens)
        prompt = self._stage.judge_prompt.render(instruction=text, language=self._language)
        ask = Ask(self._tools, prompt, SUITED if self._stage.schema else None)
        (verdict,) = (await ask.samples(sampling)).completions
        if verdict.no_answer:
            reason, detail = verdict.no_answer
            return "not_judged", f"{reason}: {detail}"
        if _NO_LETTERS.sub("", member_of(verdict.text, "suitable")).casefold() in _YES:
            return None
        return "not_suited", "the model does not say yes"


def _language(seed: Seed) -> str | None:
    """The language given for a seed, or else the detected one if that is English or Chinese."""
    if named := (seed.language or "").strip().lower():
        return named
    lang = language.of(seed.instruction)
    return None if lang == "other" else lang


def _normalized(text: str) -> str:
    return " ".join(text.casefold().split())
