"""Importing this keeps pyarrow from importing pandas, which would dominate the start-up time of every command.

pyarrow imports pandas before it converts its first list, to recognise a Series. No code here passes one, so pyarrow is
made to look for pandas once while it cannot be found. It looks again when a caller asks for a data frame.
"""

import sys

import pyarrow as pa


class _NoPandas:
    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:  # noqa: ARG004
        if name == "pandas":
            raise ModuleNotFoundError("not needed yet", name=name)


sys.meta_path.insert(0, _NoPandas)
try:
    pa.array([0])
finally:
    sys.meta_path.remove(_NoPandas)
