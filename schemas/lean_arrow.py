"""Importing this makes pyarrow load faster, because every command waits for it.

pyarrow imports pandas before it converts its first list, to recognise a Series. No code here passes one, so pyarrow is
made to look for pandas once while it cannot be found. It looks again when a caller asks for a data frame.

pyarrow.compute parses the documentation of all its options, to repeat it in that of its functions; half of its import
is that. Here these functions say nothing of their options.
"""

import sys
from types import ModuleType

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


class _NoParameters:
    def __init__(self, _: str) -> None:
        pass

    def __getitem__(self, section: str) -> tuple[()]:
        return ()


_docscrape = ModuleType("pyarrow.vendored.docscrape")
_docscrape.NumpyDocString = _NoParameters  # type: ignore[attr-defined]
sys.modules.setdefault(_docscrape.__name__, _docscrape)
