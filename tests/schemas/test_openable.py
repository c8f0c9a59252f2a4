"""What a dataset directory may hold: whatever is published, `datasets` opens."""

from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from datasets.features.features import generate_from_arrow_type

from synth.schemas.errors import InputError
from synth.schemas.shards import ShardWriter
from synth.schemas.storable import require_openable
from synth.schemas.writing.publication import OutputClaim

LEAVES = [
    *(pa.null(), pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.string(), pa.large_string()),
    *(pa.string_view(), pa.binary(), pa.binary(4), pa.large_binary(), pa.date32(), pa.date64(), pa.time32("s")),
    *(pa.time64("ns"), pa.timestamp("ms"), pa.timestamp("ns", "Asia/Tokyo"), pa.duration("us"), pa.decimal128(9, 2)),
    *(pa.decimal256(60, 5), pa.dictionary(pa.int8(), pa.string()), pa.json_(), pa.decimal32(5, 1), pa.decimal64(9, 1)),
    *(pa.map_(pa.string(), pa.int8()), pa.month_day_nano_interval(), pa.run_end_encoded(pa.int32(), pa.string())),
    *(pa.dense_union([pa.field("a", pa.int8())]), pa.uuid(), pa.bool8(), pa.list_view(pa.int8()), pa.struct([])),
    pa.fixed_shape_tensor(pa.int8(), (2, 2)),
]
TYPES = [
    *LEAVES,
    *(pa.list_(kind) for kind in LEAVES),
    *(pa.struct([("a", pa.int8()), ("b", pa.large_list(kind))]) for kind in LEAVES),
    datasets.Array2D((2, 2), "int32")(),
]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_column_is_refused_exactly_if_datasets_does_not_know_its_type(kind: pa.DataType) -> None:
    schema = pa.schema([("id", pa.string()), ("found", kind)])
    try:
        generate_from_arrow_type(kind)
    except ValueError:
        with pytest.raises(InputError, match=r"found is of the type .*: `datasets` cannot open "):
            require_openable(schema)
    else:
        require_openable(schema)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (pa.schema([("a", pa.string()), ("b", pa.int8()), ("a", pa.string())]), "columns named a:"),
        (pa.schema([("m", pa.list_(pa.struct([("x", pa.int8()), ("x", pa.int8())])))]), "columns named m.x:"),
    ],
)
def test_columns_named_alike_are_not_published(tmp_path: Path, schema: pa.Schema, said: str) -> None:
    claim = OutputClaim.open(tmp_path / "out", {"stage": "test"})
    assert claim
    with pytest.raises(InputError, match=said):
        ShardWriter(claim.layout.shards / "0.arrow", schema)
    claim.close()
