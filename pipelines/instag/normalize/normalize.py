"""Normalize tags by the four steps of InsTag, in order (arXiv 2308.07074, section 3.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
import pyarrow as pa

from synth.pipelines.instag.normalize.association import merge_associated
from synth.pipelines.instag.normalize.counting import Occurrences, count, first_occurrences
from synth.pipelines.instag.normalize.embedding import Characters, Model, embedder_named
from synth.pipelines.instag.normalize.forms import Forms, Tags
from synth.pipelines.instag.normalize.overrides import NONE, Overrides
from synth.pipelines.instag.normalize.rules import merge_by_rule, words
from synth.pipelines.instag.normalize.semantics import merge_near
from synth.pipelines.instag.normalize.vocabulary import TagTable
from synth.pipelines.instag.tagsets import DEFAULT, Int64s, tag_column
from synth.pipelines.runtime.declared import Option, path
from synth.pipelines.runtime.portions import portions
from synth.pipelines.runtime.stage import Output, TableStage, row_schemas
from synth.schemas.errors import InputError
from synth.schemas.phrases import plural
from synth.schemas.record import Record
from synth.schemas.records import NORMALIZED, ROW
from synth.schemas.storable import is_list

__all__ = ["Normalize"]


RAW = "raw_tags"


@dataclass(frozen=True)
class Normalize(TableStage):
    """Merge tags with the same meaning: by frequency, rules, semantics and association, as in the paper.

    Every row is kept with all its columns. It gets its canonical `tags`, and the mean number of tags of its queries.

    Raw tags are read from the column of `--tags`, or else `raw_tags`, or else `tags`: lists of strings, or of structs
    with `tag`, and `turn` if rows have several queries. Structs in `tags`, as in InsTag's data, are kept as `raw_tags`.
    The unit is the query: `alpha`, `min_support` and co-occurrences count queries. A row gets the distinct tags of its
    queries, in order of occurrence.

    A tag is named by its most frequent raw form (then the shortest, then the first alphabetically); tags that
    association rules merge, by the name of the most frequent tag. `vocabulary/` in the output is the tag table: each
    form's tag, and the step that decided it.

    `overrides` take precedence: a pinned form gets its tag, along with the forms that the steps merge with it, and is
    never dropped as rare. Forms to keep apart are not merged through chains of other forms either.

    Memory: some 200 bytes per distinct form and 30 per tag of a query.
    """

    name: ClassVar[str] = "instag normalize"
    input: ClassVar[Record] = ROW
    output: ClassVar[Record] = NORMALIZED

    commands: ClassVar[tuple[str, ...]] = (
        "synth instag normalize tagged/ normalized/ --embedder whaleloops/phrase-bert",
        "synth instag normalize tagged/ normalized/ --embedder characters --alpha 5 --overrides tags.jsonl",
    )

    embedder: Annotated[
        Model | Characters,
        Option(
            "sentence-transformers model, or `characters` (no model: compares spelling).",
            metavar="MODEL",
            default="PhraseBERT, if it is on this machine",
            read=embedder_named,
        ),
    ] = field(default_factory=partial(embedder_named, None))
    tags: Annotated[
        str | None,
        Option("Column with the raw tags.", metavar="NAME", default="raw_tags, or else tags"),
    ] = None
    alpha: Annotated[int, Option("Drop tags with fewer queries than this.", min=1)] = 20
    eps: Annotated[
        float | None,
        Option("Largest cosine distance of tags to merge.", min=0, max=0.99, default="0.05; characters: 0.11"),
    ] = None
    min_support: Annotated[int, Option("Least number of queries with both tags of an association rule.", min=1)] = 40
    min_confidence: Annotated[
        float, Option("Least share of the first tag's queries that also have the second.", min=0, max=1)
    ] = 0.99
    overrides: Annotated[
        Overrides,
        Option(
            'JSON lines such as {"form": "AI", "tag": "artificial intelligence"}, {"form": "N/A", "tag": null} and '
            '{"apart": ["C", "C++"]}.',
            metavar="FILE",
            read=lambda name: Overrides.read(path(name)),
        ),
    ] = NONE

    @property
    def distance(self) -> float:
        return self.embedder.eps if self.eps is None else self.eps

    @property
    def means(self) -> Mapping[str, str]:
        return {"tags_per_query": "queries"}

    def identity(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("tags", "alpha", "min_support", "min_confidence")},
            "eps": self.distance,
            "embedder": self.embedder.identity(),
            "overrides": self.overrides.digest,
        }

    def adapted(self, table: pa.Table) -> pa.Table:
        names = table.column_names
        if self.tags or DEFAULT not in names or RAW in names:
            return table
        kind = table[DEFAULT].type
        return table.rename_columns({DEFAULT: RAW}) if is_list(kind) and pa.types.is_struct(kind.value_type) else table

    def process(self, tables: Sequence[pa.Table], output: Output) -> None:
        (table,) = tables
        column = tag_column(table.schema, self.tags or (RAW if RAW in table.column_names else None))
        self.embedder.load()
        counted = count(table, column, output.work, output.progress)
        for reason, skipped in counted.skipped.items():
            if skipped:
                output.tally(reason, skipped)
        output.tally("raw_tags", len(counted.texts))

        try:
            if not counted.texts:
                raise InputError(
                    f"the column {column} has no tag in any of {plural(table.num_rows, 'row')}: name another with "
                    "--tags NAME"
                )
            forms = Forms.of(counted.texts, counted.counts, self.alpha, self.overrides)
        except InputError:
            # Saved counts would prevent another attempt with a different threshold.
            counted.discard()
            raise
        if unmet := self.overrides.forms.difference(counted.texts):
            output.tally("overrides_not_met", len(unmet))
        groups = forms.grouped(self.overrides)
        output.tally("after_frequency", len(groups.leaders))

        texts = [forms.texts[form] for form in forms.kept]
        merge_by_rule(groups, texts)
        output.tally("after_rules", len(groups.leaders))

        points = self.embedder.points([" ".join(words(texts[leader])) for leader in groups.leaders], output.work)
        if points.zero_vectors:
            output.tally("unread_by_the_model", points.zero_vectors)
        merge_near(groups, points, self.distance, output.work)
        output.tally("after_semantics", len(groups.leaders))

        sets = counted.all_sets(forms.tags(groups).of_form)
        output.tally("association_rules", merge_associated(groups, sets, self.min_support, self.min_confidence))
        output.tally("after_association", len(groups.leaders))

        tags = forms.tags(groups)
        counts = self._write_rows(table, counted, tags, output)
        TagTable(forms, groups, tags, counts).write(output.kept / "vocabulary", counted.examples)

    def _write_rows(self, table: pa.Table, counted: Occurrences, tags: Tags, output: Output) -> Int64s:
        """Write all rows with their tags. Returns the number of queries with each tag."""
        _, schema = row_schemas(self, table)
        counts = np.zeros(len(tags.texts), np.int64)
        first = 0
        for rows in portions(table):
            stop = first + rows.num_rows
            in_query, found = counted.sets(tags.of_form, *counted.rows[[first, stop]].tolist())
            counts += np.bincount(found, minlength=len(counts))
            row_of_query = np.repeat(np.arange(rows.num_rows), np.diff(counted.rows[first : stop + 1]))
            tags_of_queries = np.bincount(row_of_query, in_query, rows.num_rows)
            asked = counted.asked[first:stop]
            row_of_tag = np.repeat(row_of_query, in_query)
            once = first_occurrences(row_of_tag, found)
            ends = np.cumsum(np.bincount(row_of_tag[once], minlength=rows.num_rows))
            columns = {
                "tags": pa.ListArray.from_arrays(
                    pa.array(np.append(0, ends), pa.int32()), tags.texts.take(pa.array(found[once]))
                ),
                "tags_per_query": pa.array(tags_of_queries / np.maximum(asked, 1), pa.float32()),
            }
            arrays = [columns[name] if name in columns else rows[name] for name in schema.names]
            output.write_table(pa.Table.from_arrays(arrays, schema=schema), accounts_for=rows.num_rows)
            output.tally("queries", int(asked.sum()))
            output.tally("tags_per_query", len(found))
            if without := int(np.count_nonzero(tags_of_queries == 0)):
                output.tally("rows_without_tags", without)
            first = stop
        return counts
