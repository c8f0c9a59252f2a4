"""The columns of a dataset directory that `datasets` can open, and that tell their names apart."""

import pyarrow as pa

from synth.schemas.errors import InputError

__all__ = ["refuse_unopenable", "repeated_names"]


def refuse_unopenable(schema: pa.Schema) -> None:
    """Raises `InputError` naming the columns that could not be opened again."""
    if repeated := repeated_names(schema):
        raise InputError(
            f"there are several columns named {', '.join(repeated)}: a dataset directory has one of a name"
        )
    for field in schema:
        if (kind := _unopenable(field.type)) is not None:
            raise InputError(f"{field.name} is of the type {field.type}: `datasets` cannot open {kind}")


def repeated_names(fields: pa.Schema | pa.StructType) -> list[str]:
    """Names that several of these columns have, or several fields inside of one."""
    names = fields.names
    inside = [f"{field.name}.{name}" for field in fields for name in _repeated_inside(field.type)]
    return [name for name in dict.fromkeys(names) if names.count(name) > 1] + inside


def _repeated_inside(kind: pa.DataType) -> list[str]:
    if pa.types.is_struct(kind):
        return repeated_names(kind)
    return [name for index in range(kind.num_fields) for name in _repeated_inside(kind.field(index).type)]


def _unopenable(kind: pa.DataType) -> pa.DataType | None:
    """The first type in `kind` that `datasets` does not know."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        # It has extension types of its own, and knows this one of Arrow's.
        return None if isinstance(kind, pa.JsonType) or type(kind).__module__.startswith("datasets.") else kind
    unknown = (
        *(types.is_map, types.is_union, types.is_interval, types.is_run_end_encoded),
        *(types.is_list_view, types.is_large_list_view, types.is_decimal32, types.is_decimal64),
    )
    if any(is_one(kind) for is_one in unknown):
        return kind
    inner = (_unopenable(kind.field(index).type) for index in range(kind.num_fields))
    return next((found for found in inner if found is not None), None)
