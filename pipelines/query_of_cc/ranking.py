"""The output of `query-of-cc retrieve` inverted: the ranked documents of each query."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow as pa

from synth.pipelines.retrieval.trec import MEASURES, Run, measure, read_judgements, read_run
from synth.schemas.dataset import Dataset
from synth.schemas.errors import InputError
from synth.schemas.layout import Layout
from synth.schemas.records import RETRIEVED

__all__ = ["Evaluation", "evaluated", "hits_by_query"]


@dataclass(frozen=True)
class Evaluation:
    """The measures of each judged query, and the number of judged queries without hits."""

    values: Mapping[str, Mapping[str, float]]
    unanswered: int

    @property
    def means(self) -> dict[str, float]:
        return {name: fmean(values[name] for values in self.values.values()) for name in MEASURES}


def evaluated(path: Path, judgements: Path) -> Evaluation:
    """Evaluate `path`, a directory from `query-of-cc retrieve` or a TREC run."""
    judged = read_judgements(judgements)
    is_output = path.is_dir() or Layout(path).partial.path.exists()
    run = _ranks(path, judged) if is_output else read_run(path)
    return Evaluation(measure(run, judged), sum(query not in run for query in judged))


def _ranks(path: Path, queries: Container[str]) -> Run:
    """The documents of these queries, scored by rank so that no two scores are equal."""
    run: dict[str, dict[str, float]] = {}
    for query, document, _ in hits_by_query(path):
        if query in queries:
            ranked = run.setdefault(query, {})
            ranked[document] = -float(len(ranked))
    return run


def hits_by_query(path: Path) -> Iterator[tuple[str, str, float]]:
    """Query, document and score of each hit: queries ordered by id, documents by rank.

    Memory: 16 bytes per hit. Raises `InputError` if `path` is not a dataset of retrieved documents.
    """
    import pyarrow.compute as pc

    table = Dataset.open(path).table
    missing = [name for name in ("id", "queries", "scores") if name not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}: it is not an output of synth query-of-cc retrieve")
    if table.schema.field("queries").type != RETRIEVED.schema.field("queries").type:
        raise InputError(f"{path} has a column queries of a different type than synth query-of-cc retrieve writes")
    found = pc.list_flatten(table["queries"]).dictionary_encode().unify_dictionaries()
    if not len(found):
        return
    names = found.chunk(0).dictionary
    by_name = pc.sort_indices(names)
    rank = np.empty(len(names), np.uint32)
    rank[by_name.to_numpy()] = np.arange(len(names))
    queries = np.concatenate([rank[chunk.indices.to_numpy()] for chunk in found.chunks])
    scores = np.concatenate([chunk.to_numpy() for chunk in pc.list_flatten(table["scores"]).chunks])
    rows = np.repeat(np.arange(table.num_rows, dtype=np.uint32), pc.list_value_length(table["queries"]).to_numpy())
    # Rows are in index order, which breaks ties between equal scores.
    order = np.lexsort((rows, -scores, queries))
    sorted_names = pa.array(names).take(by_name)
    ids = table["id"]
    for hit in order:
        yield sorted_names[int(queries[hit])].as_py(), ids[int(rows[hit])].as_py(), float(scores[hit])
