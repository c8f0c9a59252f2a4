"""Query evolution: five new questions from each question (MuggleMath, arXiv 2310.05506, section 3)."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.runtime.asking import Ask, Form, whole_text
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import shipped
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.pipelines.runtime.text.json_values import json_in
from synth.schemas.record import Record
from synth.schemas.records import EVOLVED, QUERY

__all__ = ["EVOLUTIONS", "Evolve", "parse_evolutions"]

FOLDER = Path(__file__).parent

EVOLUTIONS = (
    "Change specific numbers",
    "Introduce fractions or percentages",
    "Combine multiple concepts",
    "Include a conditional statement",
    "Increase the complexity of the problem",
)

# The shortest and the longest problem in JSON, in characters.
SHORTEST, LONGEST = 20, 800
FORM = Form.of(
    {name: {"type": "string", "minLength": SHORTEST, "maxLength": LONGEST} for name in EVOLUTIONS},
    "Reply with a JSON object instead of the list: the kinds of change are its keys, the new problems its values.",
)

# `2. **Name**: text`, `2) **Name:** text`
_ITEM = re.compile(
    r"^[ \t]*([0-9]+)[.)][ \t]*\*\*[ \t]*([^*\n]+?)[ \t]*(?::[ \t]*\*\*|\*\*[ \t]*:)[ \t]*", re.MULTILINE
)


@dataclass(frozen=True)
class Evolve(RowStage):
    """Write five evolved questions for each question: numbers, fractions, concepts, conditions, complexity.

    One call per question writes `<id>/evolve-1` to `<id>/evolve-5`, one of each kind. If one of them cannot be parsed,
    the question is rejected. All five rows carry the reasoning that came before the reply.

    The paper gives no temperature; the default is that of the chat models it used. With `tries` above 1, another sample
    is drawn when a reply cannot be parsed. With `schema`, the reply is a JSON object instead of the paper's list, whose
    questions must be new (`repeated_question`).
    """

    name: ClassVar[str] = "augment evolve"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = QUERY
    output: ClassVar[Record] = EVOLVED
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth augment evolve questions.jsonl evolved/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth augment evolve evolved/ evolved-2/ --model Qwen/Qwen2.5-7B-Instruct --tries 3",
    )

    prompt: PromptFile = shipped("evolve", FOLDER)
    temperature: Temperature = 1.0
    max_tokens: MaxTokens = 1024
    schema: Schema = False
    tries: Tries = 1
    repairs: Repairs = 0

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        prompt = self.prompt.render(query=row["query"])
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        ask = Ask(tools, prompt, FORM if self.schema else None, self.repairs)
        questions, reasoning = await ask.first_readable([sampling] * self.tries, partial(_read, row["query"]))
        for number, (name, question) in enumerate(zip(EVOLUTIONS, questions, strict=True), start=1):
            evolved_id = f"{row['id']}/evolve-{number}"
            yield {
                "id": evolved_id,
                "parent_id": row["id"],
                "evolution_type": number,
                "evolution_name": name,
                "query": question,
                "evolver_model": tools.model,
                "round": evolved_id.count("/evolve-"),
                "reasoning": reasoning,
            }


def _read(query: str, completion: Completion) -> tuple[list[str], str | None]:
    return parse_evolutions(whole_text(completion), query), completion.reasoning


def parse_evolutions(reply: str, query: str = "") -> list[str]:
    """The five questions of a numbered list whose items start with the name of the change in bold and a colon.

    A JSON object is read as such a list, with its keys as the names; its questions must differ from
    one another and from `query`.
    A question runs to the next item, over several lines and blank lines, and may contain a list: a numbered line is an
    item only if it starts with bold text and has either one of the five names or the next number. The last question
    ends with its first paragraph that contains a question mark, or with its first paragraph if none does, which drops a
    closing remark. (A public re-implementation reads one line per question and accepts fewer than five.)
    Raises `Reject`: `wrong_count`, `wrong_name`, `empty_question`, `repeated_question`.
    """
    if isinstance(members := json_in(reply), dict):
        return _questions_of(members, query)
    items: list[re.Match[str]] = []
    for match in _ITEM.finditer(reply):
        if int(match[1]) == len(items) + 1 or _normalized(match[2]) in _NAMES:
            items.append(match)
    numbers = [int(item[1]) for item in items]
    if numbers != [1, 2, 3, 4, 5]:
        found = ", ".join(map(str, numbers)) or "none"
        raise Reject("wrong_count", f"needs items 1 to 5 with bold names, found {found}")
    for item, name in zip(items, EVOLUTIONS, strict=True):
        if _normalized(item[2]) != _normalized(name):
            raise Reject("wrong_name", f"item {item[1]} is named {item[2]!r:.80}, not {name!r}")
    ends = [item.start() for item in items[1:]] + [len(reply)]
    questions = [reply[item.end() : end].strip() for item, end in zip(items, ends, strict=True)]
    questions[-1] = _without_remark(questions[-1])
    for number, question in enumerate(questions, start=1):
        if not question:
            raise Reject("empty_question", f"item {number} holds no question")
    return questions


def _questions_of(members: Mapping[str, Any], query: str) -> list[str]:
    """The questions of an object. That an engine enforced its form says nothing of them, so more is asked here."""
    given = {_normalized(name): value for name, value in members.items()}
    values = {name: given.get(_normalized(name)) for name in EVOLUTIONS}
    questions = {name: value.strip() for name, value in values.items() if isinstance(value, str)}
    if missing := [name for name in EVOLUTIONS if name not in questions]:
        raise Reject("wrong_count", f"there is no text for {missing[0]!r}")
    first = {_normalized(query): "the problem itself"}
    for name, question in questions.items():
        if len(question) < SHORTEST:
            raise Reject("empty_question", f"{name!r} holds no question: {question!r}")
        if (same := first.setdefault(_normalized(question), name)) != name:
            raise Reject("repeated_question", f"{name!r} repeats {same!r}")
    return [*questions.values()]


def _normalized(name: str) -> str:
    return " ".join(re.findall(r"\w+", name.lower()))


_NAMES = {_normalized(name) for name in EVOLUTIONS}


def _without_remark(question: str) -> str:
    paragraphs = re.split(r"\n[ \t]*\n", question)
    last = next((index for index, paragraph in enumerate(paragraphs) if "?" in paragraph), 0)
    return "\n\n".join(paragraphs[: last + 1]).strip()
