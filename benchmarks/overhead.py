"""What a framework costs when the engine is free: rows/s with an engine that answers at once, in process.

Every contender reads the same rows, gives each one answer, and writes as many rows out, in a process of its own; its
seconds are those of the run, its start and its imports left out. synth journals every answer and every row and syncs
its shards; nobody else does. The engines only say what they were asked; with `--echo` it is the engine of that name,
which also counts and cuts as a model would. distilabel gets a twentieth of the rows, for its rate does not rise with
more; Curator runs no engine in process but an old vLLM. Every other round is in reverse; "faster by" and "CPU less by"
are medians of the ratios of each round.
"""

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


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3, help="each contender once a round; medians are shown")
    add_earlier_option(arguments)
    add_peers_option(arguments)
    given = arguments.parse_args()
    contenders = [
        *ours(),
        *earlier(given.earlier),
        *ours("--echo"),
        rival("datatrove", "on_datatrove.py", given.peers_python),
        rival("distilabel", "on_distilabel.py", given.peers_python, share=0.05),
    ]
    rounds = Rounds()
    with scratch() as folder:
        for number in range(given.rounds):
            for contender in contenders if number % 2 else reversed(contenders):
                if not rounds.problem(contender):
                    say(f"round {number + 1}: {contender.name}")
                    contest(contender, rows_in(folder, int(given.rows * contender.share)), rounds)
    print_table(
        f"One request and one output row for each of {given.rows:,} rows, engine in process",
        ["contender", "rows", "rows/s", "CPU s/1k rows", "peak MiB", "synth is faster by", "CPU less by"],
        [[contender.name, *figures(contender, rounds, contenders[0])] for contender in contenders]
        + [["curator", "no engine to run", *"-----"]],
    )


def contest(contender: Contender, rows: Path, rounds: Rounds) -> None:
    with scratch() as folder:
        outcome = run_apart([*contender.command, str(rows), str(folder / "out")])
    expected = int(rows.name.removesuffix("-rows"))
    if outcome.fault or outcome.report["rows"] != expected:
        rounds.fail(contender, outcome.fault or f"{outcome.report['rows']} rows of {expected} came out")
        return
    rate = expected / outcome.report["seconds"]
    rounds.add(contender, rows=expected, rate=rate, cpu=1000 * outcome.cpu / expected, peak=outcome.peak)


def figures(contender: Contender, rounds: Rounds, synth: Contender) -> list[str]:
    if problem := rounds.problem(contender):
        return [problem, *"-----"]
    rows, rate, cpu, peak = (rounds.figure(contender, name) for name in ("rows", "rate", "cpu", "peak"))
    ratios = [rounds.ratio(synth, contender, "rate"), rounds.ratio(contender, synth, "cpu")]
    return [f"{rows:,.0f}", f"{rate:,.0f}", f"{cpu:.3f}", f"{peak:,.0f}", *map(multiple, ratios)]


if __name__ == "__main__":
    main()
