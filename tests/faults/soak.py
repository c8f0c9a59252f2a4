"""`make soak`: `kill -9` at hundreds of random moments over several commands, each gone on with until it ends.

Minutes of what the tests beside it do in seconds, and every byte at which the tail of a journal can be torn.
"""

import argparse
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.counting_server import counting_server
from tests.faults.processes import Tally, kill_again_and_again, write_questions
from tests.faults.test_killed_at_random import COMMANDS, IN_FLIGHT
from tests.faults.test_torn_journals import tear

ROWS = 60


def soak(seed: int, kills: int) -> Tally:
    rng, sum_of_all, began = random.Random(seed), Tally(), time.monotonic()
    while sum_of_all.kills < kills:
        name = list(COMMANDS)[sum_of_all.runs % len(COMMANDS)]
        group, step, *options = COMMANDS[name]
        # Every third run asks the echo engine, whose requests nobody counts.
        counted = sum_of_all.runs % 3 != 2
        with TemporaryDirectory() as folder, counting_server(delay=0.1) as server:
            source = write_questions(Path(folder) / "questions.jsonl", ROWS)
            echo = ("--engine", "echo", "--engine-arg", "delay=0.1", "--engine-arg", "reply=#### {i}")
            engine = ("--base-url", server.url) if counted else echo
            left = min(10, kills - sum_of_all.kills)
            command = (group, step, source, *options, *IN_FLIGHT, *engine)
            tally = kill_again_and_again(
                Path(folder), command, ROWS, server if counted else None, rng, kills=left, longest=1.5
            )
        sum_of_all.add(tally)
        engine_name = "server" if counted else "echo"
        print(f"{time.monotonic() - began:6.0f} s  {sum_of_all.kills:4} kills  {name} ({engine_name})", flush=True)
    return sum_of_all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--no-journals", action="store_true", help="leave the torn journals out")
    arguments = parser.parse_args()
    print(f"--seed {arguments.seed}", flush=True)
    total = soak(arguments.seed, arguments.kills)
    print(
        f"{total.kills} kills and {total.resumes} resumes in {total.runs} runs, all ending in equal bytes: "
        f"{total.asked:,} requests asked, {total.repeated:,} of them again "
        f"(in flight or unflushed were at most {total.allowed:,}), none that was recorded"
    )
    for journal in () if arguments.no_journals else ("answers.arrow", "rows.arrow"):
        with TemporaryDirectory() as folder:
            tear(Path(folder), journal, every=1)
        print(f"{journal} torn at each of its last 1,024 bytes: nothing lost but what was in the tail")


if __name__ == "__main__":
    main()
