"""New instructions in the manner of a few, judged by the model that writes them (arXiv 2410.23933, section 3)."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import pyarrow as pa
from msgspec import Struct

from synth.pipelines.engines import Sampling
from synth.pipelines.runtime.asking import gather_all
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import Reject, Rejected, Row, Tools, allow_empty, nothing_kept
from synth.pipelines.self_lengthen import language, words
from synth.pipelines.self_lengthen.tries import EndOfText, Writing, fault_of, until_kept
from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import NEW_INSTRUCTION, SEED_INSTRUCTION

__all__ = ["Examples", "Instruct", "Seed"]

FOLDER = Path(__file__).parent

Examples = Literal["pool", "seeds"]

# An item of a list is one paragraph: what follows it would be a remark, or the next item.
END_OF_ITEM = ("\n\n", "\n4.", "\n4、")
# The number of the item, from a model that repeats the number rather than continuing the list.
_NUMBER = re.compile(r"\A\s*3\s*[.、](?!\d)")
_NO_LETTERS = re.compile(r"[\W_]+")
_YES = {"yes", "是", "是的"}


class Seed(Struct, frozen=True):
    """An instruction that somebody wrote, and its language: `en`, `zh` or any other name; detected if None."""

    id: str
    instruction: str
    language: str | None = None


@dataclass(frozen=True)
class Instruct(Writing):
    """Write new instructions after seeds, and keep those that the model finds fit for a long text.

    About `n` instructions, equally many from each of the `seeds`: `<id>/i0` and on.

    A list is begun with two examples, and the model writes its third item. The examples of an instruction are any two
    of its pool: the seeds of its language, and what has been accepted for its own seed so far; with `examples` "seeds",
    of the seeds alone. (The paper has one pool and resets it every 500 instructions. Here a pool is one row, and
    pools grow at a time.) Instructions are written in waves of as many as the pool holds, each with up to `tries`
    tries, until there are enough or a whole wave gives none.

    What is taken has more than `min_words` and fewer than `max_words`, repeats nothing of its pool, is in its language,
    and then the model says yes to it, asked whether it suits an article of more than 2,000 words. The published code
    takes `yes` and refuses `Yes.`; here case, punctuation and emphasis do not count, but any further word does.

    What is not is filtered as `<id>/i0/t3`: `cut`, `refused`, `empty_answer`, `too_short`, `too_long`, `repeats`,
    `other_language`, `not_suited`, `not_judged`, or for want of an answer (`prompt_too_long`). A seed is rejected as
    `no_instruction`, `unknown_language`, `too_few_seeds` (of its language), or for the reason that all its tries share,
    or as `nothing_kept`.
    """

    name: ClassVar[str] = "self-lengthen instruct"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = SEED_INSTRUCTION
    output: ClassVar[Record] = NEW_INSTRUCTION

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen instruct seeds.jsonl instructions/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen instruct seeds.jsonl instructions/ --model tiny -n 50 --examples seeds",
    )

    prompt: PromptFile = shipped("instruct", FOLDER)
    judge_prompt: Annotated[Prompt, Option("Prompt file that asks whether an instruction suits.", metavar="FILE")] = (
        shipped("suited", FOLDER)
    )
    n: Annotated[
        int, Option("Instructions to write; equally many for each seed.", min=1, flag="-n", long="--instructions")
    ] = 5000
    tries: Tries = 10
    examples: Annotated[
        Examples,
        Option("Two examples from the pool (seeds and what was accepted), or two of the seeds."),
    ] = "pool"
    min_words: Annotated[int, Option("An instruction has more words than these.", min=0)] = 3
    max_words: Annotated[int, Option("An instruction has fewer words than these.", min=2)] = 500
    # What needs more tokens would have too many words.
    max_tokens: MaxTokens = 1024
    stop: EndOfText = END_OF_ITEM
    # The whole input, which `prepare` finds.
    seeds: tuple[Seed, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_words - self.min_words < 2:
            raise UsageError(f"--max-words {self.max_words} leaves nothing between it and --min-words {self.min_words}")

    @property
    def means(self) -> Mapping[str, str]:
        return {"words": "instructions"}

    def prepare(self, table: pa.Table) -> Self:
        return replace(self, seeds=tuple(Seed(**row) for row in table.to_pylist()))

    @cached_property
    def by_language(self) -> Mapping[str, Mapping[str, Seed]]:
        """The different seeds of each language, by their `_plain` texts."""
        found: dict[str, dict[str, Seed]] = {}
        for seed in self.seeds:
            if (spoken := _language(seed)) and (text := _plain(seed.instruction)):
                found.setdefault(spoken, {}).setdefault(text, seed)
        return found

    @cached_property
    def per_seed(self) -> int:
        """How many instructions each seed that can be used stands for."""
        usable = [seed for seed in self.seeds if len(self.by_language.get(_language(seed) or "", ())) > 1]
        return -(-self.n // max(1, sum(bool(_plain(seed.instruction)) for seed in usable)))

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        pool = _Pool(self, Seed(row["id"], row["instruction"], row["language"]), tools)
        while pool.wanted and await pool.wave():
            pass
        for refused in pool.refused:
            yield refused
        if not pool.accepted:
            raise nothing_kept(pool.refused)
        for instruction in pool.accepted:
            tools.tally("instructions")
            tools.tally("words", instruction["words"])
            yield instruction


class _Pool:
    """The instructions that one seed stands for: those `accepted`, in order, and the tries that were `refused`."""

    def __init__(self, rules: Instruct, root: Seed, tools: Tools) -> None:
        if not root.instruction.strip():
            raise Reject("no_instruction", "it is empty")
        spoken = _language(root)
        if spoken is None:
            raise Reject("unknown_language", "it is neither English nor Chinese; name its language in `language`")
        seeds = rules.by_language.get(spoken, {})
        if len(seeds) < 2:
            raise Reject("too_few_seeds", f"two different examples are needed, and no other seed is in {spoken!r}")
        self._rules = rules
        self._tools = tools
        self._id = root.id
        self._language = spoken
        self._known = dict(seeds)
        self._begun = 0
        self._examples: list[Seed] = []
        self.accepted: list[Row] = []
        self.refused: list[Rejected] = []

    @property
    def wanted(self) -> int:
        return self._rules.per_seed - len(self.accepted)

    async def wave(self) -> bool:
        """Write as many instructions as are known, at a time; whether any is accepted."""
        self._examples = list(self._known.values())
        if self._rules.examples == "seeds":
            self._examples = self._examples[: len(self._rules.by_language[self._language])]
        slots = range(self._begun, self._begun + min(self.wanted, len(self._known)))
        self._begun = slots.stop
        before = len(self.accepted)
        for tries in await gather_all(self._write(slot) for slot in slots):
            *refused, last = tries
            self.refused += [one for one in refused if isinstance(one, Rejected)]
            if not isinstance(last, Rejected) and (fault := self._repetition(last["instruction"])):
                last = Rejected(last, *fault)
            if isinstance(last, Rejected):
                self.refused.append(last)
            else:
                self.accepted.append(last)
                self._known[_plain(last["instruction"])] = Seed(last["id"], last["instruction"])
        return len(self.accepted) > before

    async def _write(self, slot: int) -> list[Row | Rejected]:
        """The tries at one instruction, of which the last may be it."""

        async def draw(attempt: int) -> Row | Rejected:
            first, second = self._tools.random("examples", slot, attempt).sample(self._examples, 2)
            row = {
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
                prompt = self._rules.prompt.render(
                    first=first.instruction, second=second.instruction, language=self._language
                )
                sample = slot * self._rules.tries + attempt
                answer = await self._tools.llm.generate(prompt, self._rules.sampling, first_sample=sample)
                (completion,) = answer.completions
                text = _NUMBER.sub("", completion.text).strip()
                row |= {"instruction": text, "words": words.count(text), "reasoning": completion.reasoning}
                fault = fault_of(completion) or self._fault(text) or await self._judgement(text)
            except Reject as reject:
                cause, fault = reject, (reject.reason, reject.detail)
            return Rejected({**row, "id": f"{row['id']}/t{attempt}"}, *fault, cause) if fault else row

        return await until_kept(draw, self._rules.tries)

    def _fault(self, text: str) -> tuple[str, str] | None:
        """What is wrong with an instruction that needs no judge to tell."""
        rules, counted = self._rules, words.count(text)
        if counted <= rules.min_words:
            return "too_short", f"{plural(counted, 'word')}; see --min-words"
        if counted >= rules.max_words:
            return "too_long", f"{counted} words; see --max-words"
        spoken = language.of(text)
        if self._language in ("en", "zh") and spoken != self._language:
            return "other_language", f"{spoken}, where the seed is {self._language}"
        return self._repetition(text)

    def _repetition(self, text: str) -> tuple[str, str] | None:
        same = self._known.get(_plain(text))
        return ("repeats", f"it is {same.id}") if same else None

    async def _judgement(self, text: str) -> tuple[str, str] | None:
        # Not the sampling of texts: its penalty on repetitions would count against the word that the question offers.
        # One word is asked for, but the reasoning before it takes as many tokens as it takes.
        sampling = Sampling(temperature=0, max_tokens=self._rules.sampling.max_tokens)
        prompt = self._rules.judge_prompt.render(instruction=text, language=self._language)
        answer = await allow_empty(self._tools.llm.generate(prompt, sampling))
        (verdict,) = answer.completions
        if verdict.no_answer:
            reason, detail = verdict.no_answer
            return "not_judged", f"{reason}: {detail}"
        if _NO_LETTERS.sub("", verdict.text).casefold() in _YES:
            return None
        return "not_suited", f"the model says {verdict.text.strip()!r:.100}"


def _language(seed: Seed) -> str | None:
    """The language that a seed names, or the one that it is in where that is English or Chinese."""
    if named := (seed.language or "").strip().lower():
        return named
    spoken = language.of(seed.instruction)
    return None if spoken == "other" else spoken


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
