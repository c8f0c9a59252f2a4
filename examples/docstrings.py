"""Writes a corpus that every machine with Python has: the docstrings of the standard library, one document per line.

A document has the domain of its module, so that one can check what a query finds. Modules of no domain are `other`.

    python3 docstrings.py > docstrings.jsonl
"""

import ast
import json
import platform
import signal
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))
LEFT_OUT = {
    "__pycache__", "dist-packages", "distutils", "idlelib", "lib2to3", "site-packages", "test", "tests", "turtledemo",
}  # fmt: skip
SOURCE = f"https://github.com/python/cpython/blob/v{platform.python_version()}/Lib"
FEWEST_WORDS = 12
# The top-level modules of each domain.
MODULES = {
    "network programming": """
        cgi ftplib http imaplib ipaddress nntplib poplib selectors smtplib socket socketserver ssl telnetlib urllib
        webbrowser wsgiref xmlrpc
    """,
    "dates and times": "_pydatetime _strptime calendar datetime zoneinfo",
    "text processing": "codecs difflib encodings gettext locale re string stringprep textwrap",
    "files and archives": """
        _compression _pyio bz2 compression filecmp fileinput fnmatch genericpath glob gzip io lzma ntpath os pathlib
        posixpath shutil tarfile tempfile zipapp zipfile
    """,
    "concurrent programming": "asyncio concurrent multiprocessing queue sched subprocess threading",
    "numbers and statistics": "_pydecimal decimal fractions numbers random secrets statistics",
    "mail and markup": "_markupbase base64 email html json mailbox mailcap mimetypes plistlib quopri uu xml",
    "testing and debugging": """
        bdb cProfile cgitb doctest logging pdb profile profiling pstats timeit trace traceback tracemalloc unittest
        warnings
    """,
}
DOMAINS = {module: domain for domain, modules in MODULES.items() for module in modules.split()}

Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    seen = set()
    for path in sorted(LIBRARY.rglob("*.py")):
        place = path.relative_to(LIBRARY)
        if LEFT_OUT.intersection(place.parts):
            continue
        module = ".".join(place.with_suffix("").parts).removesuffix(".__init__")
        domain = DOMAINS.get(module.partition(".")[0], "other")
        for name, node in definitions(module, parsed(path)):
            text = ast.get_docstring(node) or ""
            # A function that is defined once for each platform has the same name each time.
            if len(text.split()) >= FEWEST_WORDS and name not in seen:
                seen.add(name)
                url = f"{SOURCE}/{place.as_posix()}#L{getattr(node, 'lineno', 1)}"
                print(json.dumps({"id": name, "url": url, "domain": domain, "text": f"{name}\n\n{text}"}))


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
    # `| head` ends it without a traceback.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
