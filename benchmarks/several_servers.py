"""Two servers of different speed share a run, and the faster one dies and comes back: what of their sum is used?

Each server has some slots and answers after a fixed time, so that it allows slots / seconds answers a second. The
faster one is killed with SIGKILL and started again at its port after a while. What both allow leaves out the time in
which it did not listen. Seconds are those of the run, start and imports left out.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from contest import HERE, parser, print_table, rows_in, run_apart, say, scratch
from loopback import start


@dataclass(frozen=True)
class Speed:
    slots: int
    delay: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.slots / self.delay


FAST, SLOW = Speed(32, 0.05), Speed(32, 0.15)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=40_000)
    arguments.add_argument("--after", type=float, default=10.0, help="seconds until the faster server is killed")
    arguments.add_argument("--down", type=float, default=5.0, help="seconds until it is started again")
    given = arguments.parse_args()
    fast, fast_server = start(FAST.delay, slots=FAST.slots)
    slow, slow_server = start(SLOW.delay, slots=SLOW.slots)
    with scratch() as folder, ThreadPoolExecutor(1) as pool:
        addresses = [word for one in (fast_server, slow_server) for word in ("--base-url", one.base_url)]
        driver = [sys.executable, str(HERE / "ask_once.py"), str(rows_in(folder, given.rows)), str(folder / "out")]
        running = pool.submit(run_apart, [*driver, *addresses])
        while not fast_server.counts()["requests"]:
            time.sleep(0.05)
        time.sleep(given.after)
        killed = time.monotonic()
        before = fast_server.counts()["requests"]
        fast.kill()
        fast.wait()
        time.sleep(given.down)
        fast, fast_server = start(FAST.delay, slots=FAST.slots, port=fast_server.port)
        down = time.monotonic() - killed
        say(f"killed after {before:,} requests, {down:.1f} s down")
        outcome = running.result()
        after, slow_requests = fast_server.counts()["requests"], slow_server.counts()["requests"]
        for server in (fast, slow):
            server.kill()
            server.wait()
    if outcome.fault:
        raise SystemExit(outcome.fault)
    report = outcome.report
    allowed = FAST.rate * (1 - down / report["seconds"]) + SLOW.rate
    measured = report["rows"] / report["seconds"]
    print_table(
        f"{given.rows:,} rows, servers of {FAST.rate:,.0f} and {SLOW.rate:,.0f} answers/s, the first of them "
        f"{down:.1f} of {report['seconds']:.1f} s down",
        ["rows", "rows/s", "both allow", "of that", "fast, before", "fast, after", "slow", "asked again"],
        [
            [
                f"{report['rows']:,}",
                f"{measured:,.0f}",
                f"{allowed:,.0f}",
                f"{measured / allowed:.3f}",
                *(f"{requests:,}" for requests in (before, after, slow_requests)),
                f"{before + after + slow_requests - given.rows:,}",
            ]
        ],
    )
    if report["rows"] != given.rows:
        raise SystemExit(f"{given.rows - report['rows']:,} rows are lost")


if __name__ == "__main__":
    main()
