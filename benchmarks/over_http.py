"""What a framework costs over HTTP: rows/s against a loopback server, 64 requests in flight.

Three servers: one that answers at once, one that answers after 50 ms (the ideal is 64 / 0.05 = 1,280 rows/s), and one
on which four of 2,000 rows take 5 s. The extra seconds of these four are counted against the same contender's 2,000
rows without them. Requests per row, and how many were in flight at once, are the server's own counts. Seconds are those
of the run, start and imports left out; slow contenders get 2,000 rows throughout. Contenders follow one another in each
case, and every other round in reverse; "faster by" and "CPU less by" are medians of the ratios of each round.
"""

import sys
from pathlib import Path

from contest import (
    Contender,
    Rounds,
    add_earlier_option,
    add_peers_option,
    earlier,
    multiple,
    ours,
    parser,
    print_table,
    rival,
    rows_in,
    run_apart,
    say,
    scratch,
)
from loopback import serving

IN_FLIGHT = 64
DELAY = 0.05
SLOW = 5.0
FEW = 2_000
# Name, most rows, seconds for an answer, and for one to a slow row.
CASES = (
    ("at once", sys.maxsize, 0.0, 0.0),
    ("50 ms", sys.maxsize, DELAY, 0.0),
    ("few", FEW, DELAY, 0.0),
    ("stragglers", FEW, DELAY, SLOW),
)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=20_000)
    arguments.add_argument("--rounds", type=int, default=3, help="each contender once a round; medians are shown")
    arguments.add_argument("--at-once", action="store_true", help="leave out the servers that take their time")
    add_earlier_option(arguments)
    add_peers_option(arguments)
    given = arguments.parse_args()
    few = min(1.0, FEW / given.rows)
    contenders = [
        *ours(),
        *earlier(given.earlier),
        rival("datatrove", "on_datatrove.py", given.peers_python),
        rival("datatrove, checkpoints", "on_datatrove.py", given.peers_python, "--checkpoints", share=few),
        rival("curator", "on_curator.py", given.peers_python, share=few),
        rival("distilabel", "on_distilabel.py", given.peers_python, share=few),
    ]
    rounds = Rounds()
    with scratch() as folder:
        for number in range(given.rounds):
            for case, most, delay, slow in CASES[:1] if given.at_once else CASES:
                for contender in contenders if number % 2 else reversed(contenders):
                    if not rounds.problem(contender):
                        say(f"round {number + 1}: {contender.name}, {case}")
                        rows = rows_in(folder, min(int(given.rows * contender.share), most))
                        contest(contender, case, rows, delay, slow, rounds)
    print_table(
        f"{given.rows:,} rows over HTTP, {IN_FLIGHT} in flight",
        ["contender", "at once, rows/s", "50 ms, rows/s", "of ideal", "4 x 5 s cost", "requests/row", "in flight",
         "CPU s/1k rows", "peak MiB", "synth is faster by", "CPU less by"],
        [[contender.name, *figures(contender, rounds, contenders[0])] for contender in contenders],
    )  # fmt: skip


def contest(contender: Contender, case: str, rows: Path, delay: float, slow: float, rounds: Rounds) -> None:
    with scratch() as folder, serving(delay, slow) as server:
        options = ["--base-url", server.base_url, "--in-flight", str(IN_FLIGHT)]
        outcome = run_apart([*contender.command, str(rows), str(folder / "out"), *options])
        counts = server.counts()
    expected = int(rows.name.removesuffix("-rows"))
    if outcome.fault or outcome.report["rows"] != expected:
        rounds.fail(contender, outcome.fault or f"{outcome.report['rows']} rows of {expected} came out")
        return
    seconds = outcome.report["seconds"]
    rounds.add(contender, **{f"{case}, rate": expected / seconds, f"{case}, seconds": seconds})
    rounds.add(contender, requests=counts["requests"] / expected, peak=outcome.peak)
    if delay:  # a request that is answered at once is never seen beside another
        rounds.add(contender, in_flight=counts["peak"])
    else:
        rounds.add(contender, cpu=1000 * outcome.cpu / expected)


def figures(contender: Contender, rounds: Rounds, synth: Contender) -> list[str]:
    if problem := rounds.problem(contender):
        return [problem, *"---------"]

    def figure(name: str) -> float:
        return rounds.figure(contender, name)

    shown = [
        f"{figure('at once, rate'):,.0f}",
        f"{figure('50 ms, rate'):,.0f}",
        f"{figure('50 ms, rate') / (IN_FLIGHT / DELAY):.1%}",
        f"{figure('stragglers, seconds') - figure('few, seconds'):.1f} s",
        f"{figure('requests'):.3f}",
        f"{figure('in_flight'):.0f}",
        f"{figure('cpu'):.2f}",
        f"{figure('peak'):,.0f}",
        multiple(rounds.ratio(synth, contender, "at once, rate")),
        multiple(rounds.ratio(contender, synth, "cpu")),
    ]
    return ["-" if "nan" in text else text for text in shown]


if __name__ == "__main__":
    main()
