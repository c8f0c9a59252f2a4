"""Answers that are verified and, if wrong, corrected in the same turn (arXiv 2401.07301)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from synth.pipelines.engines import Completion, Message, Sampling
from synth.pipelines.runtime.answers.answer import FinalAnswer, states_mark
from synth.pipelines.runtime.answers.choices import ChoiceAnswers, Choices, bare_words
from synth.pipelines.runtime.answers.rules import ADVICE, AnswerRule, answer_rule, check_marks
from synth.pipelines.runtime.asking import Ask, warmer_retries
from synth.pipelines.runtime.common_options import (
    AnswerMarks,
    Boxed,
    MaxTokens,
    PromptFile,
    Repairs,
    Schema,
    Temperature,
    Tries,
)
from synth.pipelines.runtime.declared import Only, Option, shipped
from synth.pipelines.runtime.prompts import Prompt
from synth.pipelines.runtime.stage import (
    Reject,
    Rejected,
    Row,
    RowStage,
    Tools,
    allow_empty,
    check_not_empty,
    nothing_kept,
)
from synth.pipelines.runtime.verdicts import REVIEW, judgement_of
from synth.pipelines.self_correction.wordings import Secret, Wordings, wordings_in
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import CHOICE_QUESTION, CORRECTED
from synth.schemas.segments import LEARNT, NOT_LEARNT, joined, segment

__all__ = ["Correct"]

FOLDER = Path(__file__).parent
DEFAULT_MARKS = ("The answer is",)
BOX = "\\boxed"
BY_MODEL = Only("verify", "model")


@dataclass(frozen=True)
class Correct(RowStage):
    """Turn a model's right and wrong answers into turns that verify and correct themselves (Self-correction).

    Writes up to `per_question` good and as many bad cases for each question with a known answer, of `n` samples.

    A good case is a right answer and a verification that confirms it; a bad case is a wrong answer, a verification that
    finds it wrong, and a corrected answer: the first right sample, or else the gold solution. All of it is one turn, in
    `segments` joined by line breaks. Nothing is learnt from the wrong answer itself (partial answer masking); all else
    has `loss` 1. The model has to be the one that is trained: errors of another are not its own.

    The abstract leaves the details open; these are ours. With `verify` `wordings`, the verification is drawn from a
    file; with `model` it is written by the model, which is told whether the answer is right and how the question is
    solved. That of a wrong answer must not contain the right one. Samples are taken in their order. `bad_share` keeps
    each bad or each good case with less than certainty, so that questions that have both give this share of bad ones.

    Answers are read as in `reject sample`, and with `choices` as the label of an option. A sample is filtered as
    `refused`, `empty_answer`, `truncated`; as `no_answer`, if none can be read; as `not_wrong`, if it differs from the
    gold answer in articles or punctuation alone; as `surplus` or `thinned`; as `quotes_gold`, `contradicts`,
    `no_verdict` or `no_reason`, if that is the fault of its verification; and as `no_correction`, if no right
    answer can be read from the gold solution that would correct it. A question is rejected as `no_question`, `no_gold`
    or `bad_choices`, for the reason that all its samples share, or as `nothing_kept`.
    """

    name: ClassVar[str] = "refine correct"
    advice: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ADVICE, "no_answer": "--answer-mark TEXT sets the text before answers (default `The answer is`)"}
    )
    input: ClassVar[Record] = CHOICE_QUESTION
    output: ClassVar[Record] = CORRECTED
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth refine correct questions.jsonl corrected/ --model Qwen/Qwen2.5-7B-Instruct",
        "synth refine correct questions.jsonl corrected/ --model Qwen/Qwen2.5-7B-Instruct --verify model -n 16",
    )

    prompt: PromptFile = shipped("answer", FOLDER)
    n: Annotated[int, Option("Samples of each question.", min=1, flag="-n", long="--samples")] = 8
    temperature: Temperature = 1.0
    max_tokens: MaxTokens = 512
    per_question: Annotated[int, Option("Most good cases of a question, and most bad ones.", min=1)] = 1
    bad_share: Annotated[float, Option("Share of bad cases, of questions that have both.", min=0, max=1)] = 0.5
    verify: Annotated[
        Literal["wordings", "model"], Option("Draw verifications from a file, or have the model write them.")
    ] = "wordings"
    wordings: Annotated[
        Prompt, Option("File of verifications, each on a line.", metavar="FILE"), Only("verify", "wordings")
    ] = shipped("wordings", FOLDER)
    verify_prompt: Annotated[Prompt, Option("Prompt file for a verification.", metavar="FILE"), BY_MODEL] = shipped(
        "verify", FOLDER
    )
    schema: Annotated[Schema, BY_MODEL] = False
    tries: Annotated[Tries, BY_MODEL] = 2
    repairs: Annotated[Repairs, BY_MODEL] = 0
    boxed: Boxed = False
    answer_marks: AnswerMarks = DEFAULT_MARKS

    def __post_init__(self) -> None:
        super().__post_init__()
        check_marks(self.answer_marks)
        if self.boxed and self.answer_marks != DEFAULT_MARKS:
            raise UsageError("--answer-mark and --boxed exclude each other: answers are read after a mark or in a box")
        _ = self._wordings

    @property
    def means(self) -> Mapping[str, str]:
        return {"right": "samples", "bad": "cases"}

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        question = self._question(row)
        cases, filtered = self._cases(question, await self._samples(question, tools), tools)
        for one in filtered:
            yield one
        written = 0
        for case in cases:
            try:
                made = await self._written(question, case, tools)
            except Reject as reject:
                filtered.append(Rejected.because(reject, case.row))
                yield filtered[-1]
                continue
            written += 1
            tools.tally("cases")
            tools.tally("bad", case.is_bad)
            yield made
        if not written:
            raise nothing_kept(filtered)

    def _question(self, row: Row) -> "Question":
        check_not_empty(row, "question")
        options = None
        if row["choices"] is not None:
            try:
                options = Choices.read(row["choices"])
            except ValueError as error:
                raise Reject("bad_choices", str(error)) from error
        rule: AnswerRule = ChoiceAnswers(options, self.answer_marks) if options else self._rule
        gold = rule.gold(row["answer"])
        if gold is None:
            raise Reject("no_gold", f"no final answer can be read from {row['answer']!r:.200}")
        return Question(row, options, rule, gold)

    async def _samples(self, question: "Question", tools: Tools) -> Sequence[Completion]:
        prompt = self.prompt.render(
            question=question.text, options=question.options, closing=self._statement("X", question)
        )
        sampling = Sampling(temperature=self.temperature, max_tokens=self.max_tokens)
        return (await allow_empty(tools.llm.generate(prompt, sampling, n=self.n))).completions

    def _cases(
        self, question: "Question", samples: Sequence[Completion], tools: Tools
    ) -> tuple[list["Case"], list[Rejected]]:
        """The cases to write, in sample order, and the other samples."""
        cases: list[Case] = []
        filtered: list[Rejected] = []
        correct: list[tuple[int, str]] = []
        found = {"good": 0, "bad": 0}
        for number, completion in enumerate(samples):
            sample = _row(question, number, completion, tools.model)
            try:
                text, is_bad = _judged(question, completion)
            except Reject as reject:
                filtered.append(Rejected(sample, reject.reason, reject.detail, [completion.said]))
                continue
            kind = "bad" if is_bad else "good"
            sample |= {"first": text, "case": kind}
            if not is_bad:
                correct.append((number, text))
            fault = None
            if found[kind] >= self.per_question:
                fault = "surplus", f"the question has {self.per_question} before it; see --per-question"
            elif tools.random("share", number).random() >= self._odds[kind]:
                fault = "thinned", f"left out for --bad-share {self.bad_share:g}"
            if fault:
                filtered.append(Rejected(sample, *fault, [completion.said]))
            else:
                cases.append(Case(sample, completion.said, is_bad))
            found[kind] += 1
        tools.tally("samples", len(samples))
        tools.tally("right", len(correct))
        for turn, case in enumerate(case for case in cases if case.is_bad):
            if correct:
                case.row["corrected_by"], case.row["final"] = correct[turn % len(correct)]
        return cases, filtered

    async def _written(self, question: "Question", case: "Case", tools: Tools) -> Row:
        """The whole row of a case. Raises `Reject`."""
        row = case.row
        if case.is_bad and row["final"] is None:
            row["final"] = self._solution(question, case)
        row["verdict"] = await self._verification(question, case, tools)
        # A line break belongs to the segment that follows it.
        segments = [segment(row["first"], NOT_LEARNT if case.is_bad else LEARNT)]
        segments += [segment(f"\n{row[part]}", LEARNT) for part in ("verdict", "final") if row[part] is not None]
        turns = [
            Message(role="user", content=question.text),
            Message(role="assistant", content=joined(segments)),
        ]
        return {**row, "segments": segments, "messages": turns}

    async def _verification(self, question: "Question", case: "Case", tools: Tools) -> str:
        if self.verify == "model":
            return await self._written_by_model(question, case, tools)
        drawn = self._wordings.wrong if case.is_bad else self._wordings.right
        fitting = [one for one in drawn if not (case.is_bad and question.secret.is_in(one))]
        if not fitting:
            raise Reject("quotes_gold", "every wording contains the gold answer", [case.said])
        return tools.random("wording", case.row["sample"]).choice(fitting)

    async def _written_by_model(self, question: "Question", case: "Case", tools: Tools) -> str:
        prompt = self.verify_prompt.render(
            question=question.text,
            answer=case.row["first"],
            verdict="incorrect" if case.is_bad else "correct",
            solution=question.row["answer"],
        )

        def read(completion: Completion) -> str:
            judgement = judgement_of(completion)
            if judgement.is_right == case.is_bad:
                raise Reject("contradicts", f"it calls a {'wrong' if case.is_bad else 'right'} answer the opposite")
            if case.is_bad and question.secret.is_in(judgement.text):
                raise Reject("quotes_gold", "it gives the gold answer before the correction")
            return judgement.text

        samplings = warmer_retries(Sampling(temperature=self.temperature, max_tokens=self.max_tokens), self.tries)
        ask = Ask(tools, prompt, REVIEW if self.schema else None, self.repairs)
        return await ask.first_readable(samplings, read, first_sample=case.row["sample"] * self.tries)

    def _solution(self, question: "Question", case: "Case") -> str:
        """The gold solution, with the answer in the form that samples have. Raises `Reject`."""
        gold = question.gold
        text: str = question.row["answer"].strip()
        if not states_mark(text, self._marks(question)):
            reasoning = question.row["answer"][: gold.start].strip()
            text = f"{reasoning}\n{self._statement(gold.text, question)}".strip()
        found = question.rule.find(text)
        if found is None or not question.rule.same(found, gold):
            read = f"{found.text:.80}" if found else "no answer"
            raise Reject("no_correction", f"the gold solution is read as {read}", [case.said])
        return text[: found.end].strip()

    def _statement(self, answer: str, question: "Question") -> str:
        """The line that an answer ends with."""
        mark = self._marks(question)[0].strip()
        if mark == BOX:
            return f"{mark}{{{answer}}}"
        return f"{mark} {answer}." if mark[-1].isalnum() else f"{mark} {answer}"

    def _marks(self, question: "Question") -> tuple[str, ...]:
        """What precedes an answer; the label of an option is never in a box."""
        return (BOX,) if self.boxed and not question.options else self.answer_marks

    @cached_property
    def _rule(self) -> AnswerRule:
        return answer_rule(self.boxed, self.answer_marks)

    @cached_property
    def _wordings(self) -> Wordings:
        return wordings_in(self.wordings)

    @cached_property
    def _odds(self) -> dict[str, float]:
        """How likely a case is kept: of one kind all are."""
        share = self.bad_share
        return {
            "bad": 1.0 if share >= 0.5 else share / (1 - share),
            "good": 1.0 if share <= 0.5 else (1 - share) / share,
        }


class Question:
    """A question as it is asked, and what answers it."""

    def __init__(self, row: Row, options: Choices | None, rule: AnswerRule, gold: FinalAnswer) -> None:
        self.row = row
        self.options = options
        self.rule = rule
        self.gold = gold
        self.text = f"{row['question'].strip()}\n\n{options}" if options else row["question"].strip()
        self.secret = Secret(gold.text, gold.value, options)


@dataclass(frozen=True)
class Case:
    """A sample that becomes a row, as far as it is filled in, and the reply that it was."""

    row: dict[str, Any]
    said: str
    is_bad: bool


def _judged(question: Question, completion: Completion) -> tuple[str, bool]:
    """A sample up to its answer line, and whether it is wrong. Raises `Reject` if neither is certain."""
    if completion.no_answer:
        raise Reject(*completion.no_answer)
    answer = question.rule.find(completion.text)
    if answer is None:
        raise Reject("no_answer", "no final answer can be read")
    is_right = question.rule.same(answer, question.gold)
    gold = question.gold
    if not is_right and isinstance(gold.value, str) and bare_words(answer.text) == bare_words(gold.text) != ():
        raise Reject("not_wrong", f"{answer.text!r:.80} is the gold answer but for articles or punctuation")
    return completion.text[: answer.end].strip(), not is_right


def _row(question: Question, sample: int, completion: Completion, model: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(CORRECTED.names),
        "id": f"{question.row['id']}/sample-{sample}",
        "question_id": question.row["id"],
        "question": question.text,
        "answer": question.row["answer"],
        "first": completion.text,
        "sample": sample,
        "reasoning": completion.reasoning,
        "model": model,
        "finish_reason": completion.finish_reason,
    }
