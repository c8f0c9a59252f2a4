"""Whether memory grows with the corpus: peaks of `synth query-of-cc index` and `retrieve` at two sizes, and the slope.

Documents of about 400 words, drawn by Zipf's law from the words of Python's sources, with a word that no other one has;
written as they are drawn, in JSONL files under zstd, which `index` reads. 500 queries are keywords, 500 thoughts of 150
words. What is a process's own (RssAnon, looked at 50 times a second) is what the machine must have; what is resident
(VmHWM) counts the pages of mapped files, too, which the system takes back when it needs them. A gigabyte is 10^9 bytes
of text. On disk four times the text is needed for a while, under TMPDIR; nothing stays.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contest import MIB, SYNTH, Outcome, call_apart, parser, print_table, run_watched, say, scratch

GB = 10**9
PASSAGES_IN_DOCUMENT = 4
DOCUMENTS_IN_BATCH = 4096
BYTES_IN_FILE = GB // 4
QUERIES = 500
SPACE_NEEDED = 4


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--gigabytes", type=float, nargs=2, default=[1.0, 10.0], metavar=("SMALL", "LARGE"))
    given = arguments.parse_args()
    peaks: dict[str, list[tuple[float, float]]] = {"index": [], "retrieve": []}
    table = []
    for size in given.gigabytes:
        with scratch() as folder:
            if shutil.disk_usage(folder).free < SPACE_NEEDED * size * GB:
                raise SystemExit(f"{size:g} GB of text need {SPACE_NEEDED * size:g} GB under {folder.parent}")
            say(f"{size:g} GB of text")
            documents, _ = call_apart(write_texts, folder, size)
            for name, (outcome, own) in searched(folder).items():
                peaks[name].append((own, outcome.peak))
                shown = [f"{documents:,}", f"{outcome.seconds:,.0f}", f"{own:,.0f}", f"{outcome.peak:,.0f}"]
                table.append([f"{name}, {size:g} GB", *shown])
            stored = sum(file.stat().st_size for file in (folder / "index" / "bm25").iterdir())
            say(f"the BM25 index takes {stored / MIB:,.0f} MiB")
    small, large = given.gigabytes
    for name, (first, second) in peaks.items():
        slopes = [(after - before) * MIB / 1e6 / (large - small) for before, after in zip(first, second, strict=True)]
        table.append([f"{name}: MB for each GB more", "", "", *(f"{slope:+.1f}" for slope in slopes)])
    columns = ["what", "documents", "seconds", "peak own, MiB", "peak resident, MiB"]
    print_table("Memory of a search as the corpus grows", columns, table)


def searched(folder: Path) -> dict[str, tuple[Outcome, float]]:
    commands: dict[str, Sequence[str]] = {
        "index": (str(folder / "corpus"), str(folder / "index")),
        "retrieve": (str(folder / "queries.jsonl"), str(folder / "index"), str(folder / "documents")),
    }
    figures = {}
    for name, arguments in commands.items():
        say(name)
        figures[name] = run_watched([SYNTH, "query-of-cc", name, *arguments])
        shutil.rmtree(folder / "corpus", ignore_errors=True)
    return figures


def write_texts(folder: Path, size: float) -> int:
    """Files in `folder/corpus` with `size` gigabytes of text in all, and queries; the number of documents."""
    import numpy as np
    from corpora import Zipf, vocabulary

    zipf = Zipf(vocabulary(), 0)
    (folder / "corpus").mkdir()
    written, documents = 0, 0
    while written < size * GB:
        share = min(BYTES_IN_FILE, size * GB - written)
        file = folder / "corpus" / f"{documents:09d}.jsonl.zst"
        texts, length = _write_file(file, zipf, documents, share)
        documents, written = documents + texts, written + length
    with (folder / "queries.jsonl").open("w") as queries:
        for number in range(2 * QUERIES):
            words = np.unique(zipf.drawn(4 if number < QUERIES else 150))
            queries.write(_line(f"q-{number}", zipf.text(words)))
    return documents


def _write_file(file: Path, zipf: Any, first: int, size: float) -> tuple[int, int]:
    """How many documents were written, and how many bytes of text."""
    import pyarrow as pa

    documents = written = 0
    with pa.output_stream(str(file), compression="zstd") as stream:
        while written < size:
            passages = [zipf.text(ranks) for ranks in zipf.passages(DOCUMENTS_IN_BATCH * PASSAGES_IN_DOCUMENT)]
            for start in range(0, len(passages), PASSAGES_IN_DOCUMENT):
                number = first + documents
                text = "\\n".join([f"d{number}x", *passages[start : start + PASSAGES_IN_DOCUMENT]])
                stream.write(_line(f"d-{number}", text).encode())
                documents += 1
                written += len(text)
                if written >= size:
                    break
    return documents, written


def _line(name: str, text: str) -> str:
    return f'{{"id": "{name}", "text": "{text}"}}\n'


if __name__ == "__main__":
    main()
