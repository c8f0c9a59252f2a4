"""Ledgers: what a process has spent is there for all others, at once and afterwards."""

import errno
import shutil
from pathlib import Path

import pytest

from synth.pipelines.runtime import spending
from synth.pipelines.runtime.spending import Ledger, Spending


def spend(ledger: Ledger, times: int) -> None:
    for _ in range(times):
        ledger.total.prompt_tokens += 5
        ledger.total.requests += 1
        ledger.flush()


def test_others_can_read_it_while_it_is_written_and_its_successor_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "spending" / "one.arrow"
    first = Ledger(path)
    spend(first, 3)
    assert Spending.recorded([path]) == Spending(prompt_tokens=15, requests=3)
    # What `kill -9` would leave.
    killed = shutil.copy(path, tmp_path / "spending" / "killed.arrow")
    first.close()
    second = Ledger(killed)
    spend(second, 2)
    second.close()
    assert Spending.recorded([killed]) == Ledger(killed).total == Spending(prompt_tokens=25, requests=5)


def test_when_it_is_closed_it_is_as_short_as_after_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "spending" / "one.arrow"
    ledger = Ledger(path)
    spend(ledger, 1)
    size = path.stat().st_size
    spend(ledger, 1000)
    ledger.close()
    assert path.stat().st_size == size
    assert [file.name for file in path.parent.iterdir()] == ["one.arrow"]


def test_on_a_full_disk_it_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "spending" / "one.arrow"
    ledger = Ledger(path)
    spend(ledger, 10)

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spending, "atomic", full)
    ledger.close()
    assert Spending.recorded([path]) == Spending(prompt_tokens=50, requests=10)
