"""Whether a question needs retrieval, as a judge and what the model knows tell (arXiv 2406.12534, section 3)."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated, Any, ClassVar, Self

import pyarrow as pa

from synth.pipelines.engines import Completion, Sampling
from synth.pipelines.probe.criteria import RETRIEVES, class_of, decide
from synth.pipelines.runtime.asking import REASON, Ask, Form, object_in, warmer_retries, whole_text
from synth.pipelines.runtime.common_options import MaxTokens, PromptFile, Repairs, Schema, Temperature, Tries
from synth.pipelines.runtime.declared import Option, names, shipped
from synth.pipelines.runtime.instructions import with_its_input
from synth.pipelines.runtime.stage import Reject, Row, RowStage, Tools
from synth.schemas.errors import UsageError
from synth.schemas.record import Record
from synth.schemas.records import NEED, REQUEST

__all__ = ["LabelNeeds"]

FOLDER = Path(__file__).parent
# The only criterion that no judge can tell.
SELF = "self"
_ANSWERS = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True)
class LabelNeeds(RowStage):
    """Decide which questions need retrieval, by four criteria.

    In the paper's order, and the first that applies decides: the question asks for a search (`intent`: retrieve);
    needs no knowledge (`knowledge`: do not); has an answer that changes with time (`time`: retrieve); is beyond what
    the model knows (`self`: retrieve). Otherwise nothing is retrieved. Rows keep their columns and get `need_retrieve`,
    the criterion that decides, and the class of each criterion: 0 if it applies, 1 if not.

    The paper trains a classifier for each criterion, on its own kind of data. Here a judge tells the first three, all
    in one reply, and `self` is the column that `probe self` writes. A row that has none there and needs it has no
    decision (`undecided`). `criteria` chooses: the others decide nothing.

    With `votes`, a criterion applies if at least half of the judge's votes say so. Votes that cannot be read are
    counted (`votes_lost`); a row without any is rejected as `unreadable`, `wrong_fields`, `truncated`, `refused` or
    `empty_answer`, a blank question as `no_question`, a class `self` other than 0 and 1 as `bad_class`.
    """

    name: ClassVar[str] = "probe label"
    input: ClassVar[Record] = REQUEST
    output: ClassVar[Record] = NEED
    uses_engine: ClassVar[bool] = True
    commands: ClassVar[tuple[str, ...]] = (
        "synth probe label known/ labelled/ --model Qwen/Qwen2.5-72B-Instruct",
        "synth probe label requests.jsonl labelled/ --model Qwen/Qwen2.5-72B-Instruct --criteria intent,knowledge,time",
    )

    prompt: PromptFile = shipped("criteria", FOLDER)
    criteria: Annotated[
        tuple[str, ...],
        Option("The criteria that may decide. Repeatable.", metavar="NAME,...", choices=tuple(RETRIEVES), read=names),
    ] = tuple(RETRIEVES)
    votes: Annotated[int, Option("Replies of the judge for each question.", min=1)] = 1
    schema: Schema = True
    temperature: Annotated[Temperature, Option("Sampling temperature; at 0, retries sample at 1.", min=0)] = 0.0
    max_tokens: MaxTokens = 512
    tries: Tries = 3
    repairs: Repairs = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._judged:
            raise UsageError("--criteria names none for the judge: intent, knowledge or time")
        if self.votes > 1 and not self.temperature:
            raise UsageError(f"--votes {self.votes} would be alike at temperature 0: set --temperature, such as 0.7")

    @property
    def _judged(self) -> list[str]:
        """The criteria that the judge tells, in order."""
        return [criterion for criterion in RETRIEVES if criterion in self.criteria and criterion != SELF]

    @property
    def means(self) -> Mapping[str, str]:
        return {**{f"{criterion}_applies": "labelled" for criterion in self._judged}, "need_retrieve": "decided"}

    def prepare(self, table: pa.Table) -> Self:
        if SELF in self.criteria and table[SELF].null_count == table.num_rows:
            others = ",".join(self._judged)
            raise UsageError(
                "no row says in a column self whether the model knows the answer: let `synth probe self` find it, or "
                f"leave it out with --criteria {others}"
            )
        return self

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row]:
        question = with_its_input(row, "question")
        if not question.strip():
            raise Reject("no_question", "the question is blank")
        if SELF in self.criteria and row[SELF] not in (0, 1, None):
            raise Reject("bad_class", f"self is {row[SELF]}, where 0 or 1 is needed")
        ask = Ask(tools, self.prompt.render(question=question, criteria=self._judged), self._form, self.repairs)
        samplings = warmer_retries(Sampling(temperature=self.temperature, max_tokens=self.max_tokens), self.tries)
        votes = await ask.votes(self.votes, samplings, self._read)

        applies = {criterion: fmean(vote[criterion] == 0 for vote in votes) for criterion in self._judged}
        classes = {criterion: class_of(share) for criterion, share in applies.items()}
        probabilities: dict[str, float | None] = {**applies}
        if SELF in self.criteria:
            probabilities[SELF] = None if row[SELF] is None else float(row[SELF] == 0)
        need, decided_by = decide(probabilities)
        agreement = min(share if classes[criterion] == 0 else 1 - share for criterion, share in applies.items())
        agreeing = (vote["reason"] for vote in votes if classes.items() <= vote.items())
        tools.tally("labelled")
        for criterion, label in classes.items():
            tools.tally(f"{criterion}_applies", label == 0)
        if need is None:
            tools.tally("undecided")
        else:
            tools.tally("decided")
            tools.tally("need_retrieve", need)
        yield {
            **row,
            **classes,
            "need_retrieve": need,
            "decided_by": decided_by,
            "agreement": agreement,
            "label_reason": next(agreeing, None),
        }

    def _read(self, completion: Completion) -> dict[str, Any]:
        """The class by each criterion in a reply, and the reason. Raises `Reject` if one is missing."""
        found = object_in(whole_text(completion))
        classes = {criterion: _class(criterion, found) for criterion in self._judged}
        return {**classes, "reason": str(found.get("reason") or "") or None}

    @property
    def _form(self) -> Form | None:
        if not self.schema:
            return None
        answer = {"type": "string", "enum": ["yes", "no"]}
        return Form.of({"reason": REASON, **dict.fromkeys(self._judged, answer)})


def _class(criterion: str, found: Mapping[str, Any]) -> int:
    """The class from the judge's answer; a yes always speaks for retrieval."""
    said = _ANSWERS.get(str(found.get(criterion)).strip().casefold())
    if said is None:
        raise Reject("wrong_fields", f'"{criterion}" is neither "yes" nor "no"')
    return 0 if said == RETRIEVES[criterion] else 1
