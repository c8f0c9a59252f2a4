"""The Arrow types of dataset directories: only types that `datasets` opens, one for each kind of value.

A map becomes a list of structs of `key` and `value`; dictionaries and runs are decoded, views are laid out, and an
extension type is replaced by its storage type. Values do not change.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth.schemas.errors import InputError

__all__ = [
    "common_type",
    "inner_types",
    "is_binary",
    "is_list",
    "is_text",
    "repeated_names",
    "require_openable",
    "storable",
    "stored",
]

_PLAIN = {
    pa.string_view(): pa.string(),
    pa.large_string(): pa.string(),
    pa.binary_view(): pa.binary(),
    pa.bool8(): pa.bool_(),
    pa.uuid(): pa.binary(16),
}


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_binary(kind: pa.DataType) -> bool:
    """Whether these are bytes; views are not included."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether these are lists; views and maps are not included."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def inner_types(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The type and all types inside it, outer ones first."""
    yield kind
    for index in range(kind.num_fields):
        yield from inner_types(kind.field(index).type)


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """A type to which Arrow converts values of both; None if there is none."""
    schemas = [pa.schema([("_", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except pa.ArrowException:
        return None


def storable(kind: pa.DataType) -> pa.DataType | None:
    """The type that values of `kind` have in a dataset directory; None if it cannot store them."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return storable(kind.value_type)
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return _with_values(pa.large_list if types.is_large_list_view(kind) else pa.list_, kind.value_field)
    return _nested(kind)


def stored(values: pa.Array) -> pa.Array:
    """`values` in the `storable` type of their type.

    Nested values are taken apart and rebuilt, since Arrow's own casts fail on nulls inside them.
    """
    import pyarrow.compute as pc

    types, kind = pa.types, values.type
    target: Any = storable(kind)
    if kind == target:
        return values
    if types.is_dictionary(kind):
        # With an empty dictionary, the indices under nulls are invalid.
        return stored(values.dictionary_decode()) if len(values.dictionary) else pa.nulls(len(values), target)
    if types.is_run_end_encoded(kind):
        return stored(pc.run_end_decode(values))
    if types.is_map(kind):
        return _list_of_entries(values, target)
    nulls = pc.is_null(values) if values.null_count else None
    if types.is_struct(kind):
        return pa.StructArray.from_arrays(list(map(stored, values.flatten())), fields=list(target), mask=nulls)
    if types.is_fixed_size_list(kind):
        inside = values.values.slice(values.offset * kind.list_size, len(values) * kind.list_size)
        return pa.FixedSizeListArray.from_arrays(stored(inside), type=target, mask=nulls)
    if types.is_nested(kind):
        form, width = (pa.LargeListArray, pa.int64()) if types.is_large_list(target) else (pa.ListArray, pa.int32())
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        return form.from_arrays(_offsets(lengths, width), stored(values.flatten()), type=target, mask=nulls)
    return values.cast(target)


def _list_of_entries(maps: pa.MapArray, target: Any) -> pa.ListArray:
    """Maps as lists of structs of key and value."""
    edges, valid = maps.offsets.to_numpy(), maps.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.diff(edges)
    # Entries under a null or before the slice belong to no row.
    own = pa.array(np.flatnonzero(np.repeat(valid, lengths)) + edges[0])
    columns = [stored(column).take(own) for column in (maps.keys, maps.items)]
    entries = pa.StructArray.from_arrays(columns, fields=list(target.value_type))
    nulls = pa.array(~valid) if maps.null_count else None
    return pa.ListArray.from_arrays(_offsets(np.where(valid, lengths, 0), pa.int32()), entries, type=target, mask=nulls)


def _offsets(lengths: NDArray[Any], width: pa.DataType) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]), width)


def _nested(kind: pa.DataType) -> pa.DataType | None:
    """`storable` for a type inside another, where runs and list views cannot be replaced."""
    types = pa.types
    if types.is_dictionary(kind):
        return _nested(kind.value_type)
    if types.is_map(kind):
        key, value = _nested(kind.key_type), _nested(kind.item_type)
        return None if key is None or value is None else pa.list_(pa.struct([("key", key), ("value", value)]))
    if types.is_struct(kind):
        fields = [(field, _nested(field.type)) for field in kind]
        if any(inner is None for _, inner in fields):
            return None
        return pa.struct([field.with_type(inner) for field, inner in fields])
    if types.is_fixed_size_list(kind):
        return _with_values(lambda field: pa.list_(field, kind.list_size), kind.value_field)
    if types.is_list(kind) or types.is_large_list(kind):
        return _with_values(pa.list_ if types.is_list(kind) else pa.large_list, kind.value_field)
    if types.is_decimal32(kind) or types.is_decimal64(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if kind in _PLAIN:
        return _PLAIN[kind]
    return kind if _is_known(kind) else None


def _is_known(kind: pa.DataType) -> bool:
    """Whether `datasets` opens a column of this type, provided that it opens the types inside."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        # It defines extension types itself, and supports this one of Arrow.
        return isinstance(kind, pa.JsonType) or type(kind).__module__.startswith("datasets.")
    unknown = (
        *(types.is_map, types.is_union, types.is_interval, types.is_run_end_encoded),
        *(types.is_list_view, types.is_large_list_view, types.is_decimal32, types.is_decimal64),
    )
    return not any(is_one(kind) for is_one in unknown)


def _with_values(form: Callable[[pa.Field], pa.DataType], field: pa.Field) -> pa.DataType | None:
    inner = _nested(field.type)
    return None if inner is None else form(field.with_type(inner))


def require_openable(schema: pa.Schema) -> None:
    """Raises `InputError` naming the columns that `datasets` cannot open."""
    if repeated := repeated_names(schema):
        raise InputError(
            f"there are several columns named {', '.join(repeated)}: column names must be unique in a dataset directory"
        )
    for field in schema:
        for kind in inner_types(field.type):
            if not _is_known(kind):
                raise InputError(f"{field.name} is of the type {field.type}: `datasets` cannot open {kind}")


def repeated_names(fields: pa.Schema | pa.StructType) -> list[str]:
    """Names shared by several of these columns, or by several fields inside one of them."""
    names = fields.names
    inside = [f"{field.name}.{name}" for field in fields for name in _repeated_inside(field.type)]
    return [name for name in dict.fromkeys(names) if names.count(name) > 1] + inside


def _repeated_inside(kind: pa.DataType) -> list[str]:
    if pa.types.is_struct(kind):
        return repeated_names(kind)
    return [name for index in range(kind.num_fields) for name in _repeated_inside(kind.field(index).type)]
