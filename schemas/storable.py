"""The Arrow types that a dataset directory holds: those that `datasets` opens, in one form each.

A map becomes a list of structs of `key` and `value`; dictionaries and runs are decoded, views are laid out, and an
extension type gives way to what it is stored as. The values stay what they are.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

__all__ = ["storable", "stored"]

_PLAIN = {
    pa.string_view(): pa.string(),
    pa.large_string(): pa.string(),
    pa.binary_view(): pa.binary(),
    pa.bool8(): pa.bool_(),
    pa.uuid(): pa.binary(16),
}


def storable(kind: pa.DataType) -> pa.DataType | None:
    """The type in which values of `kind` are kept in a dataset directory; None where there is none."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return storable(kind.value_type)
    if types.is_list_view(kind) or types.is_large_list_view(kind):
        return _with_values(pa.large_list if types.is_large_list_view(kind) else pa.list_, kind.value_field)
    return _nested(kind)


def stored(values: pa.Array) -> pa.Array:
    """`values` of a type that has a storable one, in that type."""
    import pyarrow.compute as pc

    kind = values.type
    target = storable(kind)
    if kind == target:
        return values
    if pa.types.is_dictionary(kind):
        return stored(values.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return stored(pc.run_end_decode(values))
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        # Arrow's own cast reads the offsets of the view, which are in no order.
        lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        form, width = (
            (pa.LargeListArray, pa.int64()) if pa.types.is_large_list_view(kind) else (pa.ListArray, pa.int32())
        )
        values = form.from_arrays(pa.array(offsets, width), values.flatten(), mask=pc.is_null(values))
    return values.cast(target)


def _nested(kind: pa.DataType) -> pa.DataType | None:
    """What `storable` gives for a type inside another one, where runs and views of lists cannot be replaced."""
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
    if isinstance(kind, pa.BaseExtensionType):
        # `datasets` has extension types of its own, and knows this one of Arrow's.
        return kind if kind == pa.json_() or kind.__module__.startswith("datasets.") else None
    unknown = types.is_union(kind) or types.is_interval(kind) or types.is_run_end_encoded(kind)
    return None if unknown or types.is_list_view(kind) or types.is_large_list_view(kind) else kind


def _with_values(form: Callable[[pa.Field], pa.DataType], field: pa.Field) -> pa.DataType | None:
    inner = _nested(field.type)
    return None if inner is None else form(field.with_type(inner))
