"""Preference pairs from ranked sets (after arXiv 2304.05302, whose loss compares all pairs of a set)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from synth.pipelines.rank.ranking import Which, pairs_of
from synth.pipelines.rank.sets import check_scores, check_several, responses_in, usable
from synth.pipelines.runtime.declared import Option
from synth.pipelines.runtime.stage import Reject, Rejected, Row, RowStage, Tools, check_not_empty
from synth.schemas.record import Record
from synth.schemas.records import PAIR, SCORED_SET

__all__ = ["PairResponses"]


@dataclass(frozen=True)
class PairResponses(RowStage):
    """Make preference pairs of the responses in ranked sets, as DPO trains on.

    Writes a row for each pair of a set, `<id>/pair-1-3` for its first response as the chosen one and its third as the
    rejected one, with the scores of both and the margin between them. Equal scores make no pair.

    `pairs` are all those of a set, as in the paper's loss; or only its best response with its worst, the first of
    each; or each response with the next best. Blank and repeated responses are filtered as by `rank score`. A set is
    rejected as `no_query`, `unequal_lengths`, `too_few_responses`, `not_finite`, `all_equal`, or as `no_pair` if no
    margin is as large as `min_margin`.
    """

    name: ClassVar[str] = "rank pairs"
    input: ClassVar[Record] = SCORED_SET
    output: ClassVar[Record] = PAIR
    commands: ClassVar[tuple[str, ...]] = (
        "synth rank pairs ranked/ pairs/ --min-margin 1",
        "synth rank pairs ranked.jsonl pairs/ --pairs best-worst",
    )

    pairs: Annotated[Which, Option("Which pairs of a set.")] = "all"
    min_margin: Annotated[float, Option("Least difference of the two scores.", min=0)] = 0.0

    async def process(self, row: Row, tools: Tools) -> AsyncIterator[Row | Rejected]:
        check_not_empty(row, "query")
        collected = responses_in(row)
        responses, faults = usable(collected)
        for number, fault in faults.items():
            one = collected[number]
            filtered = {"id": f"{row['id']}/response-{number + 1}", "prompt": row["query"]}
            yield Rejected({**filtered, "rejected": one.text, "rejected_source": one.source}, *fault)
        check_several(responses.values())
        scores = check_scores([one.score for one in responses.values()])
        pairs = pairs_of(scores, self.min_margin, self.pairs)
        if not pairs:
            raise Reject("no_pair", f"the largest margin is {max(scores) - min(scores):g}")
        numbered = list(responses.items())
        for better, worse in pairs:
            (first, chosen), (second, rejected) = numbered[better], numbered[worse]
            margin = scores[better] - scores[worse]
            tools.tally("pairs")
            tools.tally("margin", margin)
            yield {
                "id": f"{row['id']}/pair-{first + 1}-{second + 1}",
                "query_id": row["id"],
                "prompt": row["query"],
                "system": row["system"],
                "chosen": chosen.text,
                "rejected": rejected.text,
                "margin": margin,
                "chosen_score": chosen.score,
                "rejected_score": rejected.score,
                "chosen_source": chosen.source,
                "rejected_source": rejected.source,
                "chosen_reasoning": chosen.reasoning,
                "rejected_reasoning": rejected.reasoning,
            }

    @property
    def means(self) -> dict[str, str]:
        return {"margin": "pairs"}
