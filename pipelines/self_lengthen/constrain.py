"""Add length constraints to instructions, derived from existing responses (arXiv 2410.23933, section 4)."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from random import Random
from typing import Annotated, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.asking import Ask, Form
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, TopP, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.instructions import input_of
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools, check_not_empty
from synth.pipelines.runtime.text.json_values import member_of
from synth.pipelines.runtime.text.unicode_ranges import SPACELESS
from synth.pipelines.self_lengthen import language, words
from synth.pipelines.self_lengthen.longen import KINDS, Kind, bounds, score
from synth.pipelines.self_lengthen.numerals import LIMIT, in_chinese, numbers_in
from synth.pipelines.self_lengthen.tries import fault_of
from synth.schemas.errors import UsageError
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import ANSWERED, CONSTRAINED

__all__ = ["Constrain", "Label", "draw_label"]

FOLDER = Path(__file__).parent

# The probabilities of KINDS.
SHARES = (0.40, 0.25, 0.10, 0.25)
# The probabilities that numbers are multiples of twice the base, and that a Chinese constraint has numerals.
TWICE, NUMERALS = 0.2, 0.5
# A rewritten instruction may be this many words longer than the original, or this many times as long.
ADDED_WORDS, TIMES = 60, 2

FORM = Form.of(
    {"assignment": {"type": "string", "minLength": 1, "maxLength": 4000}},
    'Reply with a JSON object: the new assignment as "assignment".',
)

_PHRASES: Mapping[language.Language, Mapping[Kind, str]] = {
    "en": {
        "about": "around {} words",
        "range": "{}-{} words",
        "above": "more than {} words",
        "below": "less than {} words",
    },
    # The published code swaps the last two, so its Chinese labels contradict the texts.
    "zh": {"about": "大约{}字", "range": "{}字至{}字", "above": "大于{}字", "below": "小于{}字"},
}
_STATED = re.compile(
    r"((?<![\d,])[\d,]{0,11}\d|[零〇一二两三四五六七八九十百千万]{1,15})[\s-]?(?:words?\b|字)", re.IGNORECASE
)
_SPACELESS = re.compile(f"[{SPACELESS}]")
_QUOTES = {'"': '"', "“": "”", "「": "」", "'": "'"}


@dataclass(frozen=True)
class Label:
    """A constraint: its text, its kind, and the minimum and maximum words that satisfy it."""

    text: str
    kind: Kind
    low: int
    high: int


@dataclass(frozen=True)
class Constrain(RowStage):
    """Add a length constraint to instructions, about the length of the existing response.

    Writes each row with its instruction rewritten to ask for about the length of its response.

    The constraint is drawn at random, and a model works it into the instruction in its own words. A rewriting is
    accepted if it contains all numbers of the constraint, in digits or numerals, and is still the same instruction.
    Otherwise another sample is drawn; after `tries` of them the row is rejected for the last fault: `no_constraint`,
    `old_constraint` (it repeats a constraint of the original), `not_rewritten` (too long for the instruction),
    `truncated`, `refused`, `empty_answer`.

    An input that belongs to the instruction is shown to the model and stays unchanged.

    The constraint is in the language of the response. Texts in neither Chinese nor English get an English one, which
    the model is asked to translate; texts in scripts without spaces (Japanese, Thai) have no words to count and are
    rejected as `not_countable`. Also rejected: `no_instruction`, `no_response`, `too_short`, `too_long`.
    """

    name: ClassVar[str] = "self-lengthen constrain"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ANSWERED
    output: ClassVar[Record] = CONSTRAINED
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen constrain extended/ constrained/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen constrain drafts/ constrained/ --model tiny --min-words 50 --max-words 500 --base 50",
    )

    prompt: PromptFile = shipped("constrain", FOLDER)
    min_words: Annotated[int, Option("Shorter responses are rejected.", min=1)] = 2000
    max_words: Annotated[int, Option("Responses with this many words or more are rejected.", min=2)] = 8000
    base: Annotated[int, Option("Lengths are multiples of this, in a fifth of the rows of twice this.", min=1)] = 1000
    temperature: Temperature = 0.7
    top_p: TopP = 0.8
    max_tokens: MaxTokens = 2048
    schema: Schema = False
    tries: Tries = 10
    repairs: Repairs = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_words >= self.max_words:
            raise UsageError(f"--min-words {self.min_words} must be less than --max-words {self.max_words}")
        if self.max_words >= LIMIT:
            raise UsageError(f"--max-words {self.max_words} cannot be written in Chinese; it must be below {LIMIT}")

    @property
    def means(self) -> Mapping[str, str]:
        return {"words": "constrained"}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        check_not_empty(row, "instruction", "response")
        instruction, response = row["instruction"].strip(), row["response"]
        length = words.count(response)
        if length < self.min_words:
            raise Reject("too_short", f"{plural(length, 'word')}; see --min-words")
        if length >= self.max_words:
            raise Reject("too_long", f"{plural(length, 'word')}; see --max-words")
        lang = language.of(response)
        if lang == "other" and len(_SPACELESS.findall(response)) > length / 2:
            raise Reject("not_countable", "there are no blanks between its words")
        label = draw_label(length, lang, self, tools.random("label"))
        rewritten, reasoning = await self._rewritten(instruction, label, lang, input_of(row), tools)
        tools.tally("constrained")
        tools.tally(label.kind)
        tools.tally("words", length)
        yield {
            **row,
            "instruction": rewritten,
            "original_instruction": row["instruction"],
            "constraint": label.text,
            "type": label.kind,
            "low": label.low,
            "high": label.high,
            "words": length,
            "rewriter_model": tools.model,
            "rewriter_reasoning": reasoning,
        }

    async def _rewritten(
        self, instruction: str, label: Label, lang: language.Language, given: str | None, tools: Tools
    ) -> tuple[str, str | None]:
        """The rewritten instruction, and the reasoning before it."""
        prompt = self.prompt.render(instruction=instruction, input=given, constraint=label.text, language=lang)
        sampling = Sampling(temperature=self.temperature, top_p=self.top_p, max_tokens=self.max_tokens)

        def read(completion: Completion) -> tuple[str, str | None]:
            text = _unquoted(member_of(completion.text, "assignment").strip(), instruction)
            if fault := self._fault(completion, text, instruction, label):
                tools.tally("refused_rewritings")
                raise Reject(*fault)
            return text, completion.reasoning

        ask = Ask(tools, prompt, FORM if self.schema else None, self.repairs)
        return await ask.first_readable([sampling] * self.tries, read)

    def _fault(self, completion: Completion, text: str, instruction: str, label: Label) -> tuple[str, str] | None:
        if fault := fault_of(completion, "truncated"):
            return fault
        required = set(numbers_in(label.text))
        if not required <= set(numbers_in(text)) or (text == instruction and label.text not in text):
            return "no_constraint", f"it does not say {label.text!r}"
        counted, before = words.count(text), words.count(instruction)
        if counted > max(TIMES * before, before + ADDED_WORDS):
            return "not_rewritten", f"{plural(counted, 'word')} for an instruction of {before:,}"
        # Smaller numbers may refer to a part ("an introduction of 100 words").
        if old := [number for number in _stated(instruction) & _stated(text) - required if number >= self.min_words]:
            return "old_constraint", f"it still asks for {plural(min(old), 'word')}"
        return None


def draw_label(length: int, lang: language.Language, stage: Constrain, random: Random) -> Label:
    """Draw a constraint that a text of `length` words satisfies with a LonGen score of 1.

    As in the published code, numbers are multiples of a base, mostly 1,000, clipped to the accepted lengths, and half
    of them are numerals in Chinese. There, a number may be outside the tolerance of the score, a range may be from n
    to n, and `about` rounds halves to even. Here, the ends of a range enclose the length, halves round up, and a
    constraint that contradicts the score, or "more than", is drawn again.
    """
    phrases = _PHRASES.get(lang, _PHRASES["en"])
    while True:
        base = stage.base * (2 if random.random() < TWICE else 1)
        low = max((length - 1) // base * base, stage.min_words)
        high = min((length // base + 1) * base, stage.max_words)
        about = min(max((2 * length + base) // (2 * base) * base, stage.min_words), stage.max_words)
        (kind,) = random.choices(KINDS, SHARES)
        numbers = {"about": [about], "range": [low, high], "above": [low], "below": [high]}[kind]
        in_numerals = lang == "zh" and random.random() < NUMERALS
        text = phrases[kind].format(*map(in_chinese if in_numerals else str, numbers))
        least, most = bounds(text, kind)
        if score(length, least, most) == 1 and not (kind == "above" and low == length):
            return Label(text, kind, ceil(least), floor(most))


def _stated(instruction: str) -> set[int]:
    """The numbers of words that an instruction mentions."""
    return {number for found in _STATED.finditer(instruction) for number in numbers_in(found[1])}


def _unquoted(text: str, instruction: str) -> str:
    """A text without the quotes that models put around it, unless the instruction starts with them."""
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1] and not instruction.startswith(text[0]):
        return text[1:-1].strip()
    return text
