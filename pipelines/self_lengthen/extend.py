"""Responses made longer by the model that wrote them, in two passes a round (arXiv 2410.23933, section 3)."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Annotated, Any, ClassVar

from synth.pipelines.engines import Answer, Completion, Message
from synth.pipelines.runtime.asking import gather_all
from synth.pipelines.runtime.common_options import PromptFile, Tries
from synth.pipelines.runtime.declared import Option, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import (
    Reject,
    Rejected,
    Row,
    Tools,
    Unanswered,
    allow_empty,
    nothing_kept,
)
from synth.pipelines.self_lengthen import language, quality, words
from synth.pipelines.self_lengthen.paragraphs import first_half, first_two_thirds, joined
from synth.pipelines.self_lengthen.tries import Writing, fault_of
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import ANSWERED, EXTENDED

__all__ = ["Extend"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Extend(Writing):
    """Make responses longer: first their first half, then the whole from there on, in three rounds.

    The Extender: each response is made longer `n` times, `<id>/x0` and on, with up to `tries` tries each.

    A try has `rounds` rounds, and each starts from the longest text so far. The first half of its paragraphs is
    extended alone; of what comes out the first two thirds are trusted; from there the model continues, with the whole
    text as its outline. What stands then is taken if it is longer, fit by the rules of `quality`, and in the language
    of the response; otherwise the next round starts from the same text again, with other samples. A try succeeds if it
    ends with more than `growth` times the words of the response.

    Where the published code differs: there nothing is put between the trusted paragraphs and what the model continues
    with, here a new paragraph begins. There a text of one line is extended from an empty half first; here the whole of
    it at once. Texts that the token limit ended are refused (`cut`); in the first pass they only lose their last
    paragraph, which is not trusted anyway. A round ends where a pass says nothing (`refused`, `empty_answer`, or `cut`
    in its reasoning). The reasoning of the pass that ends a text goes with it, that of the others is dropped.

    Rounds that were refused are filtered as `<id>/x0/t3/k1`; a try that fell short as `<id>/x0/t3`, `too_little`.
    A response is rejected as `no_instruction` or `no_response`, or for the reason that all that was filtered shares,
    or as `nothing_kept`. Where a prompt does not fit the model, or is not answered, a try ends with what it has; with
    nothing, it is the last.
    """

    name: ClassVar[str] = "self-lengthen extend"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ANSWERED
    output: ClassVar[Record] = EXTENDED

    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen extend drafts/ extended/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen extend drafts/ extended/ --model extender/model -n 1 --rounds 2",
    )

    prompt: PromptFile = shipped("extend", FOLDER)
    n: Annotated[int, Option("Longer texts from each response.", min=1, flag="-n", long="--extensions")] = 2
    tries: Tries = 20
    rounds: Annotated[int, Option("Rounds of a try.", min=1)] = 3
    growth: Annotated[float, Option("A try must give more than this times the words.", min=1)] = 1.2

    @property
    def means(self) -> dict[str, str]:
        return {"words": "extended", "words_before": "extended"}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        for column in ("instruction", "response"):
            if not row[column].strip():
                raise Reject(f"no_{column}", "it is empty")
        extensions = [_Extension(self, row, tools, number) for number in range(self.n)]
        extended = await gather_all(extension.run() for extension in extensions)
        refused = [one for extension in extensions for one in extension.refused]
        for one in refused:
            yield one
        if not any(extended):
            raise nothing_kept(refused)
        for text in filter(None, extended):
            tools.tally("extended")
            tools.tally("words", text["words"])
            tools.tally("words_before", text["initial_words"])
            yield text


@dataclass(frozen=True)
class _Text:
    """A text, and how many rounds gave it."""

    text: str
    words: int
    rounds: int
    finish_reason: str | None = "stop"
    reasoning: str | None = None


class _Extension:
    """One text that is to grow out of a response, and what was `refused` on the way."""

    def __init__(self, rules: Extend, row: Row, tools: Tools, number: int) -> None:
        self._rules = rules
        self._row = row
        self._tools = tools
        self._id = f"{row['id']}/x{number}"
        text = row["response"].strip()
        self._language = language.of(text)
        self._response = _Text(text, words.count(text), 0)
        # Each call is another sample: up to two in a round.
        self._samples = count(number * rules.tries * rules.rounds * 2)
        self._attempt = 0
        self._answers: list[Answer] = []
        self.refused: list[Rejected] = []

    async def run(self) -> Row | None:
        """The extended response, or None after all tries."""
        for attempt in range(self._rules.tries):
            self._attempt, self._answers = attempt, []
            best, is_answered = await self._try()
            if best.words > self._rules.growth * self._response.words:
                return self._output(self._id, best)
            if best.rounds:
                grown = f"{plural(best.words, 'word')} from {self._response.words:,}"
                self._refuse(f"t{attempt}", best, "too_little", f"{grown}, and --growth is {self._rules.growth:g}")
            elif not is_answered:
                break
        return None

    async def _try(self) -> tuple[_Text, bool]:
        """The longest text after all rounds, and whether all prompts were answered."""
        best = self._response
        for number in range(self._rules.rounds):
            place = f"t{self._attempt}/k{number}"
            try:
                new, last = await self._round(best)
            except Reject as reject:
                lost = self._output(f"{self._id}/{place}", _Text("", 0, best.rounds))
                self.refused.append(Rejected.because(reject, lost))
                if isinstance(reject, Unanswered):
                    return best, False
                continue
            if fault := self._fault(new, last, best):
                self._refuse(place, new, *fault)
            else:
                best = new
        return best, True

    async def _round(self, best: _Text) -> tuple[_Text, Completion]:
        """What two passes make of a text, and the completion that ends it."""
        trusted = ""
        if half := first_half(best.text):
            trusted = first_two_thirds((await self._ask(half)).text)
        last = await self._ask(best.text, trusted)
        text = joined(trusted, last.text)
        return _Text(text, words.count(text), best.rounds + 1, last.finish_reason, last.reasoning), last

    async def _ask(self, outline: str, written: str = "") -> Completion:
        """What the model writes after `written`, by an outline of it all. Raises `Reject` where it says nothing."""
        prompt = self._rules.prompt.render(
            instruction=with_its_input(self._row), outline=outline, language=self._language
        )
        answer = await allow_empty(
            self._tools.llm.generate(
                _continued(prompt, written), self._rules.sampling, first_sample=next(self._samples)
            )
        )
        self._answers.append(answer)
        (completion,) = answer.completions
        if completion.no_answer and (fault := fault_of(completion)):
            raise Reject(*fault)
        return completion

    def _fault(self, new: _Text, last: Completion, best: _Text) -> tuple[str, str] | None:
        """Why what a round made of `best` is refused."""
        if fault := fault_of(last) or quality.refusal(new.text):
            return fault
        if (spoken := language.of(new.text)) != self._language:
            return "other_language", f"{spoken}, where the response is {self._language}"
        if new.words <= best.words:
            return "not_longer", f"{plural(new.words, 'word')} from {best.words:,}"
        return None

    def _refuse(self, place: str, text: _Text, reason: str, detail: str) -> None:
        self.refused.append(Rejected(self._output(f"{self._id}/{place}", text), reason, detail))

    def _output(self, text_id: str, text: _Text) -> dict[str, Any]:
        return {
            **self._row,
            "id": text_id,
            "draft_id": self._row["id"],
            "initial": self._row["response"],
            "initial_words": self._response.words,
            "response": text.text,
            "words": text.words,
            "language": language.of(text.text),
            "rounds": text.rounds,
            "tries": self._attempt + 1,
            "reasoning": text.reasoning,
            "model": self._tools.model,
            "finish_reason": text.finish_reason,
            "prompt_tokens": _total(answer.prompt_tokens for answer in self._answers),
            "completion_tokens": _total(one.tokens for answer in self._answers for one in answer.completions),
        }


def _total(counts: Iterable[int | None]) -> int | None:
    """The sum, which is unknown where one of the counts is."""
    known = list(counts)
    return None if None in known else sum(filter(None, known))


def _continued(prompt: str | tuple[Message, ...], written: str) -> str | tuple[Message, ...]:
    """The prompt with the beginning of its answer, after which a new paragraph is to come."""
    if not written:
        return prompt
    beginning = f"{written}\n\n"
    if isinstance(prompt, str):
        return f"{prompt}{beginning}"
    *before, last = prompt
    if last["role"] == "assistant":
        return (*before, Message(role="assistant", content=last["content"] + beginning))
    return (*prompt, Message(role="assistant", content=beginning))
