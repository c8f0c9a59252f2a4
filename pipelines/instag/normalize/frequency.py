"""Step 1: drop rare tags (InsTag, arXiv 2308.07074, section 3.2)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from synth.schemas.errors import InputError

__all__ = ["frequent"]


def frequent(texts: Sequence[str], counts: NDArray[np.int64], alpha: int) -> NDArray[np.bool_]:
    """Whether each form is in at least `alpha` queries; the paper counts occurrences.

    Raises `InputError` if no form is.
    """
    kept = counts >= alpha
    if not kept.any():
        most = int(counts.max(initial=0))
        raise InputError(
            f"the most frequent tag, {texts[int(counts.argmax())]!r}, occurs in {most} "
            f"{'query' if most == 1 else 'queries'}, so --alpha {alpha} drops all tags: give a lower --alpha"
        )
    return kept
