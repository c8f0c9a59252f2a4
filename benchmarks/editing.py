"""What an edit costs: rows go through four chained steps, then some are added and edited and a threshold changes.

The steps are `map`, `judge`, `filter` and `map`, with SYNTH_STALE=update, against a server that counts requests.
"""

import sys
from pathlib import Path

from contest import ROOT, parser, print_table, scratch

sys.path.insert(0, str(ROOT))
from tests.editing import tell


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=1000)
    arguments.add_argument("--added", type=int, default=10)
    arguments.add_argument("--edited", type=int, default=5)
    given = arguments.parse_args()
    with scratch() as folder:
        story = tell(Path(folder), given.rows, given.added, given.edited)
    print_table(
        f"{given.rows:,} rows, {given.added} added and {given.edited} edited, a lower threshold",
        ["requests at first", "of the update", "of it needless", "rows out", "bytes of a run from nothing"],
        [
            [
                f"{story.asked_at_first:,}",
                f"{story.asked_again:,}",
                str(story.needless),
                f"{story.rows:,}",
                "yes" if story.same_bytes else "no",
            ]
        ],
    )


if __name__ == "__main__":
    main()
