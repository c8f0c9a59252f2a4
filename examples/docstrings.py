"""Writes a corpus that every machine with Python has: the docstrings of the standard library, one document per line.

python3 docstrings.py > docstrings.jsonl
"""

import ast
import json
import platform
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))
LEFT_OUT = {"__pycache__", "dist-packages", "idlelib", "lib2to3", "site-packages", "test", "tests", "turtledemo"}
SOURCE = f"https://github.com/python/cpython/blob/v{platform.python_version()}/Lib"
FEWEST_WORDS = 12

Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    seen = set()
    for path in sorted(LIBRARY.rglob("*.py")):
        place = path.relative_to(LIBRARY)
        if LEFT_OUT.intersection(place.parts):
            continue
        module = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
        for name, node in definitions(module, parsed(path)):
            text = ast.get_docstring(node) or ""
            # A function that is defined once for each platform has the same name each time.
            if len(text.split()) >= FEWEST_WORDS and name not in seen:
                seen.add(name)
                url = f"{SOURCE}/{place.as_posix()}#L{getattr(node, 'lineno', 1)}"
                print(json.dumps({"id": name, "url": url, "text": f"{name}\n\n{text}"}))


def parsed(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(path.read_bytes())


def definitions(name: str, node: Definition) -> Iterator[tuple[str, Definition]]:
    """A module, class or function and all definitions inside it, each with its full name."""
    yield name, node
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from definitions(f"{name}.{inner.name}", inner)


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main()
