"""What `query-of-cc retrieve` wrote, looked at from the queries: the documents of each, the best first."""

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
    """The measures of each judged query, and how many of these found nothing."""

    values: Mapping[str, Mapping[str, float]]
    unanswered: int

    @property
    def means(self) -> dict[str, float]:
        return {name: fmean(values[name] for values in self.values.values()) for name in MEASURES}


def evaluated(path: Path, judgements: Path) -> Evaluation:
    """`path` is a directory that `query-of-cc retrieve` made, or a run in TREC's format."""
    judged = read_judgements(judgements)
    is_output = path.is_dir() or Layout(path).partial.path.exists()
    run = _ranks(path, judged) if is_output else read_run(path)
    return Evaluation(measure(run, judged), sum(query not in run for query in judged))


def _ranks(path: Path, queries: Container[str]) -> Run:
    """The documents of these queries with scores that tell their ranks, so that no two are equal."""
    run: dict[str, dict[str, float]] = {}
    for query, document, _ in hits_by_query(path):
        if query in queries:
            ranked = run.setdefault(query, {})
            ranked[document] = -float(len(ranked))
    return run


def hits_by_query(path: Path) -> Iterator[tuple[str, str, float]]:
    """Query, document and score of each hit: queries by their ids, documents as the search ranked them.

    Sixteen bytes a hit are held. Raises `InputError` where `path` is no dataset of retrieved documents.
    """
    import pyarrow.compute as pc

    table = Dataset.open(path).table
    missing = [name for name in ("id", "queries", "scores") if name not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]}: it is no output of synth query-of-cc retrieve")
    if table.schema.field("queries").type != RETRIEVED.schema.field("queries").type:
        raise InputError(f"{path} has a column queries of another kind than synth query-of-cc retrieve writes")
    found = pc.list_flatten(table["queries"]).dictionary_encode().unify_dictionaries()
    if not len(found):
        return
    names = found.chunk(0).dictionary
    place = np.empty(len(names), np.uint32)
    place[pc.sort_indices(names).to_numpy()] = np.arange(len(names))
    queries = np.concatenate([place[chunk.indices.to_numpy()] for chunk in found.chunks])
    scores = np.concatenate([chunk.to_numpy() for chunk in pc.list_flatten(table["scores"]).chunks])
    rows = np.repeat(np.arange(table.num_rows, dtype=np.uint32), pc.list_value_length(table["queries"]).to_numpy())
    # Rows are in the order of the index, by which equal scores are ranked.
    order = np.lexsort((rows, -scores, queries))
    ordered = pa.array(names).take(pc.sort_indices(names))
    ids = table["id"]
    for hit in order:
        yield ordered[int(queries[hit])].as_py(), ids[int(rows[hit])].as_py(), float(scores[hit])
