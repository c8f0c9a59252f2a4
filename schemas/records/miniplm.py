"""Records of MiniPLM (arXiv 2410.17215)."""

import pyarrow as pa

from synth.schemas.record import Column, Record
from synth.schemas.records.shared import ID

__all__ = ["DIFFERENCE"]

DIFFERENCE = Record(
    "difference",
    "A row whose text a teacher knows better than a small reference model does. All its other columns go through.",
    (
        ID,
        Column(
            "difference",
            pa.float64(),
            "How much less likely the text is to the reference model: nats for each token, or bits for each byte.",
        ),
    ),
    open=True,
)
