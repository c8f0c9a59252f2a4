"""Extend responses with the model that wrote them, in rounds of two passes (arXiv 2410.23933, section 3)."""

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
from synth.pipelines.runtime.stage import Reject, Rejected, Row, Tools, Unanswered, allow_empty, check_not_empty
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
    """Make responses longer: extend the first half, then the rest from there, in three rounds.

    The Extender: makes `n` longer versions of each response, `<id>/x0`, `<id>/x1`, ..., with up to `tries` tries each.

    A try has `rounds` rounds, each starting from the longest text so far. The first half of its paragraphs is extended
    alone, and the first two thirds of the result are kept; from there the model continues, with the whole text as
    outline. The new text is kept if it is longer, passes the quality rules, and is in the language of the
    response; otherwise the next round starts from the same text with new samples. A try succeeds if it ends with more
    than `growth` times the words of the response.

    Differences from the published code: the continuation starts a new paragraph (there, nothing separates it from the
    kept paragraphs). A text of one line is extended as a whole (there, from an empty half first). Texts that the token
    limit ended are filtered (`cut`); in the first pass they only lose their last paragraph, which is dropped anyway.
    A round ends if a pass gives no text (`refused`, `empty_answer`, or `cut` while reasoning). The output has the
    reasoning of the pass that ends the text; other reasoning is dropped.

    A filtered round is `<id>/x0/t3/k1`; a try with too little growth is `<id>/x0/t3`, `too_little`. A response is
    rejected as `no_instruction` or `no_response`, for the reason that all its filtered outputs share, or as
    `nothing_kept`. If a prompt is too long for the model or gets no answer, the try ends with the text so far; if
    nothing was extended yet, no other try follows.
    """

    name: ClassVar[str] = "self-lengthen extend"
    version: ClassVar[int] = 2
    input: ClassVar[Record] = ANSWERED
    output: ClassVar[Record] = EXTENDED
    texts: ClassVar[str] = "extended"
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth self-lengthen extend drafts/ extended/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth self-lengthen extend drafts/ extended/ --model extender/model -n 1 --rounds 2",
    )

    prompt: PromptFile = shipped("extend", FOLDER)
    n: Annotated[int, Option("Longer versions of each response.", min=1, flag="-n", long="--extensions")] = 2
    tries: Tries = 20
    rounds: Annotated[int, Option("Rounds per try.", min=1)] = 3
    growth: Annotated[float, Option("A try must end with more than this times the words.", min=1)] = 1.2

    @property
    def means(self) -> dict[str, str]:
        return {"words": self.texts, "words_before": self.texts}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "instruction", "response")
        extensions = [_Extension(self, row, tools, number) for number in range(self.n)]
        extended = await gather_all(extension.run() for extension in extensions)
        filtered = [one for extension in extensions for one in extension.filtered]
        for one in self.outcome([*filtered, *filter(None, extended)], tools):
            if not isinstance(one, Rejected):
                tools.tally("words_before", one["initial_words"])
            yield one


@dataclass(frozen=True)
class _Text:
    """A text and the number of rounds that led to it."""

    text: str
    words: int
    rounds: int
    finish_reason: str | None = "stop"
    reasoning: str | None = None


class _Extension:
    """One longer version of a response, and the texts `filtered` on the way."""

    def __init__(self, stage: Extend, row: Row, tools: Tools, number: int) -> None:
        self._stage = stage
        self._row = row
        self._tools = tools
        self._id = f"{row['id']}/x{number}"
        text = row["response"].strip()
        self._language = language.of(text)
        self._response = _Text(text, words.count(text), 0)
        # Each call draws a new sample, up to two per round.
        self._samples = count(number * stage.tries * stage.rounds * 2)
        self._attempt = 0
        self._answers: list[Answer] = []
        self.filtered: list[Rejected] = []

    async def run(self) -> Row | None:
        """The extended response, or None if all tries fail."""
        for attempt in range(self._stage.tries):
            self._attempt, self._answers = attempt, []
            best, is_answered = await self._try()
            if best.words > self._stage.growth * self._response.words:
                return self._output(self._id, best)
            if best.rounds:
                grown = f"{plural(best.words, 'word')} from {self._response.words:,}"
                self._filter(f"t{attempt}", best, "too_little", f"{grown}, and --growth is {self._stage.growth:g}")
            elif not is_answered:
                break
        return None

    async def _try(self) -> tuple[_Text, bool]:
        """The longest text after all rounds, and whether all prompts were answered."""
        best = self._response
        for number in range(self._stage.rounds):
            suffix = f"t{self._attempt}/k{number}"
            try:
                new, last = await self._round(best)
            except Reject as reject:
                self._filter(suffix, _Text("", 0, best.rounds), reject.reason, reject.detail, reject)
                if isinstance(reject, Unanswered):
                    return best, False
                continue
            if fault := self._fault(new, last, best):
                self._filter(suffix, new, *fault)
            else:
                best = new
        return best, True

    async def _round(self, best: _Text) -> tuple[_Text, Completion]:
        """The text after two passes, and the completion that ends it."""
        kept = ""
        if half := first_half(best.text):
            kept = first_two_thirds((await self._ask(half)).text)
        last = await self._ask(best.text, kept)
        text = joined(kept, last.text)
        return _Text(text, words.count(text), best.rounds + 1, last.finish_reason, last.reasoning), last

    async def _ask(self, outline: str, written: str = "") -> Completion:
        """The model's continuation of `written`, given an outline of the whole. Raises `Reject` if it is empty."""
        instruction = with_its_input(self._row)
        prompt = self._stage.prompt.render(instruction=instruction, outline=outline, language=self._language)
        prompt, sample = _continued(prompt, written), next(self._samples)
        answer = await allow_empty(self._tools.llm.generate(prompt, self._stage.sampling, first_sample=sample))
        self._answers.append(answer)
        (completion,) = answer.completions
        if completion.no_answer and (fault := fault_of(completion)):
            raise Reject(*fault)
        return completion

    def _fault(self, new: _Text, last: Completion, best: _Text) -> tuple[str, str] | None:
        """Why the result of a round that started from `best` is filtered."""
        if fault := fault_of(last) or quality.refusal(new.text):
            return fault
        if (lang := language.of(new.text)) != self._language:
            return "other_language", f"{lang}, where the response is {self._language}"
        if new.words <= best.words:
            return "not_longer", f"{plural(new.words, 'word')} from {best.words:,}"
        return None

    def _filter(self, suffix: str, text: _Text, reason: str, detail: str, cause: Reject | None = None) -> None:
        self.filtered.append(Rejected(self._output(f"{self._id}/{suffix}", text), reason, detail, cause=cause))

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
    """The sum; None if any of the counts is None."""
    known = list(counts)
    return None if None in known else sum(filter(None, known))


def _continued(prompt: str | tuple[Message, ...], written: str) -> str | tuple[Message, ...]:
    """The prompt with the beginning of its answer, to be continued with a new paragraph."""
    if not written:
        return prompt
    beginning = f"{written}\n\n"
    if isinstance(prompt, str):
        return f"{prompt}{beginning}"
    *before, last = prompt
    if last["role"] == "assistant":
        return (*before, Message(role="assistant", content=last["content"] + beginning))
    return (*prompt, Message(role="assistant", content=beginning))
