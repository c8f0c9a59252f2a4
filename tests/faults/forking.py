"""`synth` in processes that begin at once: forks of one that has loaded all that they need, and has run nothing.

Run as a module it is that process: it reads orders, and says with which exit code each fork has ended.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, NoReturn

ROOT = Path(__file__).parents[2]


class Death(NamedTuple):
    """A fork kills itself when this method is called for the n-th time: before it runs, or after."""

    owner: str
    name: str
    number: int
    before: bool


class Forks:
    """Starts one fork at a time, in small steps: a corpus of hundreds of documents is many commits and portions.

    With `model`, all that it takes to embed texts by this one has been loaded, too.
    """

    def __init__(self, folder: Path, model: Path | None = None) -> None:
        self._said = folder / "said"
        command = [sys.executable, "-m", __name__, *([str(model)] if model else [])]
        self._loaded = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def run(self, *arguments: object, death: Death | None = None) -> int:
        self.start(*arguments, death=death)
        return self._ended("wait")

    def start(self, *arguments: object, death: Death | None = None) -> None:
        order = {"arguments": list(map(str, arguments)), "death": death, "said": str(self._said)}
        assert self._ended(json.dumps(order)) == 0

    def kill(self) -> int:
        return self._ended("kill")

    def close(self) -> None:
        self._loaded.kill()
        self._loaded.communicate()

    def _ended(self, order: str) -> int:
        assert self._loaded.stdin
        assert self._loaded.stdout
        print(order, file=self._loaded.stdin, flush=True)
        code = int(self._loaded.stdout.readline())
        assert "Traceback" not in self._said.read_text(), self._said.read_text()
        return code


def main() -> None:
    import synth.pipelines.clusterclip.select
    import synth.pipelines.embed.embed
    import synth.pipelines.in_context.pack
    import synth.pipelines.query_of_cc.index
    import synth.pipelines.query_of_cc.retrieve
    import synth.pipelines.runtime.tables  # noqa: F401

    _compile()
    for model in sys.argv[1:]:
        _load(model)
    for line in sys.stdin:
        order = json.loads(line)
        Path(order["said"]).write_text("")
        child = os.fork()
        if not child:
            _run(order)
        print(0, flush=True)
        if sys.stdin.readline() == "kill\n":
            os.kill(child, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _compile() -> None:
    """All that is compiled when words are searched for the first time."""
    from synth.pipelines.retrieval.analysis import Analysis
    from synth.pipelines.retrieval.bm25 import Bm25, Bm25Writer

    with TemporaryDirectory() as folder:
        writer = Bm25Writer(Path(folder))
        writer.add(0, ["word"])
        writer.close()
        list(Bm25(Path(folder), Analysis()).search(["word"], 1))


def _load(model: str) -> None:
    """All modules of a model and its tokenizer, of which many are imported only when it is made."""
    import faiss  # noqa: F401
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()
    # Threads do not outlive a fork, and who waits for them, waits for ever.
    torch.set_num_threads(1)
    SentenceTransformer(model, device="cpu")


def _run(order: Mapping[str, Any]) -> NoReturn:
    from synth.cli.main import main as synth

    nowhere, said = os.open(os.devnull, os.O_RDWR), os.open(order["said"], os.O_WRONLY | os.O_APPEND)
    for target, source in ((0, nowhere), (1, nowhere), (2, said)):
        os.dup2(source, target)
    sys.argv = ["synth", *order["arguments"]]
    code: Any = 1
    try:
        _take_small_steps()
        if order["death"]:
            _die_at(Death(*order["death"]))
        synth()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def _take_small_steps() -> None:
    from synth.pipelines.clusterclip import kmeans
    from synth.pipelines.embed import embed
    from synth.pipelines.in_context import neighbors
    from synth.pipelines.query_of_cc import index, retrieve
    from synth.pipelines.retrieval import dense, document_vectors

    index.CHARACTERS_PER_COMMIT = 2_000
    dense.PASSAGES_AT_A_TIME, embed.TEXTS_AT_A_TIME = 32, 4
    kmeans.VECTORS_AT_A_TIME, neighbors.DOCUMENTS_AT_A_TIME, document_vectors.ROWS_AT_A_TIME = 256, 128, 256
    retrieve.QUERIES_AT_A_TIME, retrieve.TABLES_AT_A_TIME, retrieve.HITS_AT_A_TIME = 8, 1, 200


def _die_at(death: Death) -> None:
    from synth.pipelines.query_of_cc import index, retrieve
    from synth.pipelines.retrieval import bm25, dense, vectors
    from synth.pipelines.runtime.output import Output

    modules = (index, retrieve, dense, os, bm25.Bm25Writer, vectors.VectorWriter, Output)
    owner: Any = next(module for module in modules if module.__name__.rpartition(".")[2] == death.owner)
    method, calls = getattr(owner, death.name), 0

    def dying(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if death.before and calls == death.number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = method(*arguments, **named)
        if calls == death.number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, death.name, dying)


if __name__ == "__main__":
    main()
