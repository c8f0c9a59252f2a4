"""A torn or damaged file costs what stood in it and nothing else."""

import shutil
from pathlib import Path

import pytest

from synth.pipelines.runtime.options import Options
from synth.pipelines.runtime.runner import Run
from synth.schemas.errors import EngineFailed
from tests.faults.campaign import (
    TwoCalls,
    asked,
    finished_rows,
    flip,
    questions,
    recorded,
    run_two_calls,
    shard_bytes,
)
from tests.faults.processes import finish, refused, write_questions
from tests.faults.test_runs_that_break_off import DyingEngine

TEXTS = [f"question {index}" for index in range(8)]


def tear(folder: Path, journal: str, every: int) -> int:
    """Tear the tail of a journal at every so many bytes of its last kilobyte, and run; how many answers were lost."""
    source, begun, once = questions(folder, TEXTS), folder / "begun", folder / "once.log"
    run_two_calls(source, folder / "whole", once, Options())
    for at in (3, 2, 4, 3):
        engine = DyingEngine(folder / "log", at, EngineFailed("dead"))
        with pytest.raises(EngineFailed):
            Run(TwoCalls(), [str(source)], begun / "out", Options(in_flight=1), engine=engine).execute()
    (torn,) = begun.glob(f"out.partial/work/*/*/{journal}")
    size = torn.stat().st_size
    lost = 0
    for length in range(size - 1024, size, every):
        again, log = folder / f"{length}", folder / f"{length}.log"
        shutil.copytree(begun, again)
        with (again / torn.relative_to(begun)).open("r+b") as file:
            file.truncate(length)
        known = recorded(again)
        finished = {TEXTS[index] for index in finished_rows(again / "out.partial", 4096) if index < len(TEXTS)}
        run_two_calls(source, again / "out", log, Options(in_flight=8))
        assert shard_bytes(again / "out") == shard_bytes(folder / "whole")
        wanted = sorted(one for one in asked(once) if one not in known and one[0].split(" [")[0] not in finished)
        assert sorted(asked(log)) == wanted, f"torn after {length} of {size} bytes"
        lost = max(lost, len(recorded(begun)) - len(known))
        shutil.rmtree(again)
    return lost


def test_a_torn_tail_loses_the_answers_in_it_and_nothing_else(quick_path: Path) -> None:
    """Every byte is torn at by `make soak`; here every 40th."""
    assert tear(quick_path, "answers.arrow", every=40)


def test_rows_lost_with_a_torn_tail_are_made_again_of_their_answers(quick_path: Path) -> None:
    assert tear(quick_path, "rows.arrow", every=40) == 0


def test_a_flipped_byte_in_a_shard_of_an_input_is_refused_and_the_file_named(tmp_path: Path) -> None:
    """In an output nothing reads its shards, so it is found where the output is the next step's input."""
    source = write_questions(tmp_path / "questions.jsonl", 20)
    command = ("reject", "sample", source, tmp_path / "out", "-n", 2, "--engine", "echo")
    finish(*command)
    shard = tmp_path / "out" / "data-00000-of-00001.arrow"
    flip(shard)
    said = refused(2, "reject", "select", tmp_path / "out", tmp_path / "next")
    assert f"{shard} is damaged" in said
    assert "complete already" in finish(*command), "what is complete is not read again"
    shard.write_bytes(shard.read_bytes()[:100])
    assert str(shard) in refused(2, "reject", "select", tmp_path / "out", tmp_path / "next")
