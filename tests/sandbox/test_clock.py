"""With libfaketime, other profiles see another date, so functions that use the date are nondeterministic."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from synth.pipelines.case2code.execute import Execute
from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.sandbox.pool import Sandbox
from synth.sandbox.rootfs import cached_rootfs
from synth.schemas.dataset import Dataset
from tests.jails import BlockingSandbox, summary_of
from tests.rows import write_rows

TODAY = "import datetime, time\ndef f(): return datetime.date.today(), time.time(), time.monotonic()"


@pytest.fixture(scope="module", autouse=True)
def another_clock() -> None:
    if not (cached_rootfs() / "lib/libfaketime.so.1").exists():
        pytest.skip("libfaketime is not installed (apt-get install faketime)")


def clocks(sandbox: BlockingSandbox, profile: int) -> tuple[date, float, float]:
    verdict = sandbox.run(TODAY, profile=profile)
    assert verdict.status == "ok"
    assert verdict.outcomes[0] is not None
    day, now, monotonic = verdict.outcomes[0].data["tuple"]
    return date.fromisoformat(day["date"]), float(now["float"]), float(monotonic["float"])


def test_only_the_date_differs(sandbox: BlockingSandbox) -> None:
    assert (sandbox.pool.record() or {})["clock_shift"] is True
    day, now, monotonic = clocks(sandbox, 0)
    assert abs((datetime.now(UTC).date() - day).days) <= 1
    for profile in (1, 2):
        other_day, other_now, other_monotonic = clocks(sandbox, profile)
        assert 432 <= (other_day - day).days <= 434
        assert other_now - now > 432 * 86_400
        # The clock of deadlines and pauses.
        assert 0 <= other_monotonic - monotonic < 3_600


def test_pauses_have_their_usual_length(sandbox: BlockingSandbox) -> None:
    source = "import time\ndef f(seconds):\n    start = time.monotonic()\n    time.sleep(seconds)\n"
    source += "    return round(time.monotonic() - start, 1)"
    for profile in (0, 1):
        assert summary_of(sandbox.run(source, ([0.2], {}), ([-1], {}), profile=profile)) == "0.2; exception ValueError"


def test_execute_rejects_functions_that_use_the_date(sandbox: BlockingSandbox, tmp_path: Path) -> None:
    codes = {
        "import datetime\ndef f(x):\n    return datetime.date.today().year - x": "nondeterministic",
        "import datetime\ndef f(x):\n    return [x, datetime.datetime.now().isoformat()[:13]]": "nondeterministic",
        "import datetime\ndef f(x):\n    return datetime.date(2000 + x, 1, 1)": "kept",
    }
    rows = [
        {
            "id": f"f-{number}",
            "code": code,
            "func_name": "f",
            "example_inputs": ["dict(x=1)", "dict(x=2)"],
            "input_origins": ["types"] * 2,
            "tries": 0,
        }
        for number, code in enumerate(codes)
    ]
    write_rows(tmp_path / "inputs.jsonl", rows)
    kind = (sandbox.pool.record() or {})["jail"]
    Run(Execute(), [str(tmp_path / "inputs.jsonl")], tmp_path / "out", Options(), sandbox=Sandbox(kind)).execute()
    executed = Dataset.open(tmp_path / "out")
    assert executed.rejected is not None
    found = {row["code"]: row["reason"] for row in executed.rejected.rows()}
    found.update((row["code"], "kept") for row in executed.rows())
    assert found == codes
