"""`synth case2code functions` beside parsing alone: the time over the same files, and how often it is the rival's.

The files are those of `packages:`, the standard library and the installed packages, or an even sample of them. The
rival, too, lists, reads and decodes them, in two processes, and parses each once with `ast.parse`. Both take what they
take from exec to exit, in turn.
"""

import ast
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from contest import SYNTH, Contender, Rounds, multiple, parser, print_table, run_apart, say, scratch

PROCESSES = 2
FILES_AT_ONCE = 32


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--files", type=int, metavar="N", help="only so many files, evenly among all")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--parse", metavar="FOLDER", help="only this: parse the files, as the rival")
    given = arguments.parse_args()
    if given.parse:
        parse_all(given.parse)
        return
    rounds = Rounds()
    with scratch() as folder:
        source = str(sampled(folder / "sample", given.files)) if given.files else "packages:"
        contenders = (
            Contender("parsing alone", [sys.executable, __file__, "--parse", source]),
            Contender("synth case2code functions", [SYNTH, "case2code", "functions", source]),
        )
        alone, ours = contenders
        for number in range(given.rounds):
            say(f"round {number + 1} of {given.rounds}")
            for contender in contenders:
                output = [] if contender is alone else [str(folder / f"functions-{number}")]
                outcome = run_apart([*contender.command, *output])
                if outcome.fault:
                    raise SystemExit(f"{contender.name}: {outcome.fault}")
                rounds.add(contender, seconds=outcome.seconds, cpu=outcome.cpu)
    table = [
        [
            contender.name,
            f"{rounds.figure(contender, 'seconds'):.1f}",
            multiple(rounds.ratio(contender, alone, "seconds")),
            f"{rounds.figure(contender, 'cpu'):.1f}",
            multiple(rounds.ratio(contender, alone, "cpu")),
        ]
        for contender in (ours, alone)
    ]
    print_table(
        f"{given.files or 'All'} files", ["what", "seconds", "times as long", "CPU seconds", "times as much"], table
    )


def sampled(folder: Path, count: int) -> Path:
    """A folder with links to some of the installed files."""
    from synth.schemas.reading.text_files import installed

    files = list(installed().items())
    for index in range(min(count, len(files))):
        name, file = files[index * len(files) // count if count < len(files) else index]
        # A folder named site-packages would be left out.
        link = folder / name.replace("site-packages/", "packages/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return folder


def parse_all(source: str) -> None:
    from synth.schemas.reading.text_files import files_below, installed

    files = list((installed() if source == "packages:" else files_below(Path(source), ".py")).values())
    portions = [files[start : start + FILES_AT_ONCE] for start in range(0, len(files), FILES_AT_ONCE)]
    with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
        print(sum(pool.map(parse, portions)))


def parse(files: Sequence[Path]) -> int:
    """How many can be parsed."""
    parsed = 0
    warnings.simplefilter("ignore")
    for file in files:
        with suppress(OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            ast.parse(file.read_bytes())
            parsed += 1
    return parsed


if __name__ == "__main__":
    main()
