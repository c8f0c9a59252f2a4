"""`synth pack buckets` beside the tokenizer alone: MB of text a second, and the ratio of the two.

The tokenizer alone encodes texts that are in memory already, on all cores, and throws the result away. `datasets.map`
with a process for each core, the usual way to tokenize a corpus, reads and writes as much, but leaves each document in
one piece. The time of a command is from exec to exit, and so are its seconds of CPU, for the tokenizer alone with those
of its start and of reading the texts. Its memory is what it and its processes have of their own (RssAnon): mapped files
are not in it.

Documents have 20 to 20,000 words of Python's sources by Zipf's law; the logarithm of their number is uniform. The
tokenizer is a byte-level BPE of 32,000 tokens, trained on the first documents, unless --tokenizer names another one.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from contest import MIB, SYNTH, call_apart, multiple, parser, print_table, run_watched, say, scratch

VOCABULARY, TRAINED_ON = 32_000, 20 * MIB
END = "<|endoftext|>"
DOCUMENTS_AT_A_TIME = 1000
LIMIT, OURS, USUAL = "the tokenizer alone", "synth pack buckets", "datasets.map"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--megabytes", type=int, default=400)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--tokenizer", type=Path, help="a model directory")
    given = arguments.parse_args()
    with scratch() as folder:
        say(f"making {given.megabytes} MB of text")
        corpus, size = folder / "corpus", call_apart(write_corpus, folder / "corpus", given.megabytes * 10**6)[0]
        tokenizer = given.tokenizer or folder / "tokenizer"
        if not given.tokenizer:
            say("training a tokenizer")
            call_apart(train, corpus, tokenizer)
        places = [str(corpus), str(tokenizer)]
        pack = [SYNTH, "pack", "buckets", str(corpus), str(folder / "out"), "--tokenizer", str(tokenizer), "--fresh"]
        commands = {
            LIMIT: [sys.executable, __file__, "alone", *places],
            OURS: pack,
            USUAL: [sys.executable, __file__, "map", *places, str(folder / "mapped")],
        }
        measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        for number in range(given.rounds):
            for name, command in commands.items():
                say(f"{name}, round {number + 1}")
                outcome, own = run_watched(command)
                seconds = outcome.report["seconds"] if name == LIMIT else outcome.seconds
                measured[name].append((seconds, outcome.cpu, own))
    rows = []
    for name, rounds in measured.items():
        seconds, cpu, own = map(median, zip(*rounds, strict=True))
        ratio = median(limit[0] / each[0] for limit, each in zip(measured[LIMIT], rounds, strict=True))
        rows.append(
            [name, f"{seconds:.1f}", f"{size / 1e6 / seconds:.1f}", multiple(ratio), f"{cpu:.1f}", f"{own:,.0f}"]
        )
    columns = ["what", "s", "MB/s", "of the tokenizer's speed", "CPU s", "own MiB"]
    print_table(f"{size / 1e6:,.0f} MB of text", columns, rows)


def write_corpus(folder: Path, size: int) -> int:
    """Write a dataset of documents; the bytes of their text."""
    import pyarrow as pa
    from contest import write_dataset
    from corpora import SCHEMA, Zipf, vocabulary

    zipf, written = Zipf(vocabulary(), 0), 0

    def batches() -> Iterator[Any]:
        nonlocal written
        number = 0
        while written < size:
            lengths = (20 * 10 ** (3 * zipf.rng.random(200))).astype(int)
            texts = [zipf.text(zipf.drawn(length)) for length in lengths.tolist()]
            written += sum(map(len, texts))
            yield pa.record_batch([[f"d-{number + i}" for i in range(len(texts))], texts], schema=SCHEMA)
            number += len(texts)

    write_dataset(folder, SCHEMA, [batches()])
    return written


def train(corpus: Path, folder: Path) -> None:
    """A model folder with nothing but a tokenizer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    def texts() -> Iterator[str]:
        left = TRAINED_ON
        for text in read(corpus):
            if left <= 0:
                return
            left -= len(text)
            yield text

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": END}))
    (folder / "config.json").write_text("{}")


def read(corpus: Path) -> list[str]:
    import pyarrow as pa

    with pa.memory_map(str(next(corpus.glob("*.arrow")))) as file:
        texts: list[str] = pa.ipc.open_stream(file).read_all()["text"].to_pylist()
    return texts


def alone(corpus: Path, folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer, texts = Tokenizer.from_file(str(folder / "tokenizer.json")), read(corpus)
    started = time.perf_counter()
    for start in range(0, len(texts), DOCUMENTS_AT_A_TIME):
        tokenizer.encode_batch_fast(texts[start : start + DOCUMENTS_AT_A_TIME], add_special_tokens=False)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def mapped(corpus: Path, folder: Path, out: Path) -> None:
    import os
    import shutil

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import datasets
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def tokens(batch: dict[str, list[str]]) -> dict[str, Any]:
        return {"tokens": [one.ids for one in tokenizer.encode_batch_fast(batch["text"], add_special_tokens=False)]}

    shutil.rmtree(out, ignore_errors=True)
    datasets.disable_caching()
    rows = datasets.Dataset.from_file(str(next(corpus.glob("*.arrow"))))
    made = rows.map(tokens, batched=True, remove_columns=["text"], num_proc=os.cpu_count())
    made.save_to_disk(str(out))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["alone", corpus, folder]:
            alone(Path(corpus), Path(folder))
        case ["map", corpus, folder, out]:
            mapped(Path(corpus), Path(folder), Path(out))
        case _:
            main()
