"""`synth report` of documents that were drawn by clusters: their sizes before and after."""

from pathlib import Path

import pytest

from tests.cli.report_page import report
from tests.command import type_synth as synth
from tests.rows import rows_of, write_rows

pytest.importorskip("vl_convert", reason="vl-convert-python, which draws the charts, is not installed")
pytest.importorskip("faiss", reason="FAISS is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`drawn` and `less`, of two clusters of 30 and 2 documents."""
    vectors = [*([1, at / 100] for at in range(30)), [0, 1], [0.01, 1]]
    write_rows(tmp_path / "docs.jsonl", [{"id": f"d{at}", "v": vector} for at, vector in enumerate(vectors)])
    for out, n in (("drawn", 40), ("less", 8)):
        options = ("--vectors", "v", "--clusters", 2, "--max-repeats", 5, "-n", n)
        done = synth("select", "clusterclip", "docs.jsonl", out, *options, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    return tmp_path


def test_sizes_before_and_after_are_drawn_and_told(folder: Path) -> None:
    page = report("drawn", folder=folder)
    clusters = sorted(rows_of(folder / "drawn" / "clusters"), key=lambda row: -row["documents"])
    assert [(row["documents"], row["drawn"]) for row in clusters] == [(30, 30), (2, 10)]
    assert "Clusters of drawn: the largest has 94% of the documents and 75% of the draws" in page.titles()
    for mark in ("documents, 1: 93.75%", "documents, 2: 6.25%", "draws, 1: 75.00%", "draws, 2: 25.00%"):
        assert mark in page.marks()
    cells = "|".join(page.of("td"))
    # Clusters, documents, draws, clusters used up, and those with half of the documents and of the draws.
    assert "|2|32|40|1|1|1|" in f"|{cells}|"
    assert "|30 (94%)|30 (75%)|" in cells


def test_several_outputs_have_a_chart_each_and_other_datasets_none(folder: Path) -> None:
    page = report("drawn", "less", folder=folder)
    assert "Clusters of drawn: the largest" in page.titles()
    assert "Clusters of less: the largest" in page.titles()
    assert "Clusters before and after" not in report("docs.jsonl", folder=folder).of("h2")


def test_many_clusters_are_joined_in_points(folder: Path) -> None:
    vectors = [[1, at / 7] for at in range(250)]
    write_rows(folder / "many.jsonl", [{"id": f"d{at}", "v": vector} for at, vector in enumerate(vectors)])
    options = ("--vectors", "v", "--clusters", 250, "--max-repeats", 1, "-n", 250)
    assert synth("select", "clusterclip", "many.jsonl", "many", *options, folder=folder).returncode == 0
    page = report("many", folder=folder)
    assert len([mark for mark in page.marks() if mark.startswith("draws, ")]) == -(-250 // 3)
    assert "Each point is the mean of 3 clusters. The table has the 50 largest." in page.source
