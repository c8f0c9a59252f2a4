"""What is counted of rows does not depend on which of them finished first."""

from itertools import permutations

import pyarrow as pa

from synth.pipelines.runtime.counts import Counts
from synth.pipelines.runtime.lines import LineFormat

FORM = LineFormat(pa.schema([("id", pa.string())]), pa.schema([("id", pa.string()), ("reason", pa.string())]))


def test_sums_are_the_same_in_any_order() -> None:
    # Added one by one, they make 1.0 or 0.9999999999999999.
    rows = [(number, [{"id": f"r{number}"}], None, {"score": score}) for number, score in enumerate((0.7, 0.1, 0.2))]
    counted = {Counts.of(FORM.batch(order)).tallies["score"] for order in permutations(rows)}
    assert counted == {1.0}
