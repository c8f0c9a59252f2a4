"""The responses to one query, from several sources (arXiv 2304.05302, section 3.1)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Annotated, ClassVar, Self

import pyarrow as pa

from synth.pipelines.runtime.declared import Option, names
from synth.pipelines.runtime.stage import Reject, Row, RowStage, check_not_empty
from synth.schemas.errors import InputError
from synth.schemas.storable import is_list, is_text

__all__ = ["Collecting", "Response", "check_scores", "check_several", "columns_of", "filled", "responses_in", "usable"]

# The columns of preference data, and the scores that the paper gives where only the order of two responses is known.
PREFERRED = {"chosen": 2.0, "rejected": 1.0}
# Where a model that continues a dialogue begins to speak for somebody else.
NEXT_TURN = re.compile(r"^[ \t]*(?:Human|Assistant):", re.MULTILINE)


@dataclass(frozen=True)
class Response:
    """One response of a set."""

    text: str
    source: str | None
    reasoning: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class Collecting(RowStage):
    """A stage that reads the responses to a query from wherever a row has them."""

    keeps_ids: ClassVar[bool] = True

    response: Annotated[
        tuple[str, ...],
        Option(
            "Column with further responses: a text, or a list of texts. Repeatable.",
            metavar="NAME",
            read=names,
            default="chosen and rejected, of rows without responses",
        ),
    ] = ()

    def prepare(self, table: pa.Table) -> Self:
        """Raises `InputError` if a column of responses does not exist, or has anything else."""
        for name in self.further(table):
            if name not in table.column_names:
                raise InputError(f"--response {name}: the input has no such column, only {', '.join(filled(table))}")
            kind = table.schema.field(name).type
            texts = kind.value_type if is_list(kind) else kind
            # A column that is empty in all rows has no type.
            if not (is_text(texts) or pa.types.is_null(texts)):
                raise InputError(
                    f"{name} is {kind} in the input, where text or a list of texts is needed: name the columns with "
                    "responses with --response NAME"
                )
        return self

    def further(self, table: pa.Table) -> tuple[str, ...]:
        """The columns beside `responses` that have some."""
        usual = PREFERRED if table["responses"].null_count else ()
        return self.response or tuple(name for name in usual if name in table.column_names)

    def collected(self, row: Row) -> list[Response]:
        """The responses that the row has. Raises `Reject`: `no_query`, `unequal_lengths`."""
        check_not_empty(row, "query")
        found = responses_in(row) if row["responses"] is not None else []
        for name in self.response or (PREFERRED if row["responses"] is None else ()):
            value = row.get(name)
            for text in value if isinstance(value, list) else [value]:
                if text is not None:
                    found.append(Response(text, name, score=PREFERRED.get(name)))
        return found


def filled(table: pa.Table) -> list[str]:
    """The columns that are not null throughout, as those are that the input lacks."""
    return [name for name in table.column_names if table[name].null_count < len(table)]


def responses_in(row: Row) -> list[Response]:
    """The responses in the columns of a set. Raises `Reject`: `unequal_lengths` of these columns."""
    texts = row["responses"]
    beside = {name: row.get(name) for name in ("sources", "reasonings", "scores")}
    for name, values in beside.items():
        if values is not None and len(values) != len(texts):
            raise Reject("unequal_lengths", f"there are {len(texts)} responses and {len(values)} {name}")
    columns = (values or [None] * len(texts) for values in beside.values())
    return [Response(text or "", *values) for text, *values in zip(texts, *columns, strict=True)]


def usable(
    responses: Sequence[Response], *, stop_turns: bool = False
) -> tuple[dict[int, Response], dict[int, tuple[str, str]]]:
    """The responses that can be ranked, by their numbers from 0, and the reasons and details of the others.

    They have no white space at their ends and, with `stop_turns`, end before the next turn. Others are filtered as
    `empty_response`, or as `repeated_response` if they differ from an earlier one in white space alone.
    """
    kept: dict[int, Response] = {}
    faults: dict[int, tuple[str, str]] = {}
    first: dict[str, int] = {}
    for number, one in enumerate(responses):
        turn = NEXT_TURN.search(one.text) if stop_turns else None
        text = one.text[: turn.start() if turn else None].strip()
        original = first.setdefault(" ".join(text.split()), number)
        if not text:
            faults[number] = "empty_response", "it begins with a turn of somebody else" if turn else "it is blank"
        elif original != number:
            faults[number] = "repeated_response", f"response {original + 1} is the same"
        else:
            kept[number] = replace(one, text=text)
    return kept, faults


def columns_of(responses: Sequence[Response]) -> Row:
    """The columns of a set without scores."""
    return {
        "responses": [one.text for one in responses],
        "sources": [one.source for one in responses],
        "reasonings": [one.reasoning for one in responses],
    }


def check_several(responses: Collection[Response]) -> None:
    """Raises `Reject` (`too_few_responses`) if there is nothing to rank."""
    if len(responses) < 2:
        raise Reject("too_few_responses", f"{len(responses)} can be used, and 2 are needed")


def check_scores(scores: Sequence[float | None]) -> list[float]:
    """The scores. Raises `Reject`: `not_finite`, or `all_equal` if they rank nothing."""
    found = [score for score in scores if score is not None and isfinite(score)]
    if len(found) < len(scores):
        raise Reject("not_finite", f"the scores are {', '.join(map(str, scores))}")
    if len(set(found)) < 2:
        raise Reject("all_equal", f"all scores are {found[0]:g}")
    return found
