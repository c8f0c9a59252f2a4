"""The functions of a Python source, and why each is or is not a self-contained program (arXiv 2407.12504, section 3.1).

The paper checks a few properties: a parameter, a `return`, no `def` or `import` inside. Half of the published sample
passes them but cannot run alone, so every name that a function loads is also resolved here.
"""

import ast
import builtins
import re
import symtable
import sys
import warnings
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from io import StringIO

from synth.pipelines.case2code.fingerprint import NO_FINGERPRINT, Fingerprint, fingerprint
from synth.pipelines.case2code.purity import SAFE_DECORATORS, impure_import, impurity
from synth.pipelines.case2code.signature import parse_or_empty
from synth.pipelines.runtime.stage import Reject

__all__ = ["Candidate", "Unusable", "candidates", "with_imports"]

BUILTINS = frozenset(dir(builtins))
# Parsing takes a few hundred times the source's size in memory; the longest known module has 1.4 MB.
MAX_SOURCE_CHARS = 2_000_000
VERSION = f"Python {sys.version_info.major}.{sys.version_info.minor}"
# Where a `def` at module level may begin: in the first column, or after a backslash alone.
DEFINITION = re.compile(r"\n(?:def\b|async\b|[ \t]*\\\n)")

Import = ast.Import | ast.ImportFrom
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Unusable(Reject):
    """No function of a source can be used."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A module-level function. `code` is a whole program, or the source text if there is a `reason` to filter it."""

    name: str
    code: str
    fingerprint: Fingerprint = NO_FINGERPRINT
    reason: str = ""
    detail: str = ""


def candidates(
    source: str, import_code: Sequence[str] = (), *, max_chars: int, packages: Container[str] = ()
) -> list[Candidate]:
    """The module-level functions, in order. Raises `Unusable`.

    `import_code` are additional import lines, as the published raw functions have them. `packages` are modules outside
    the standard library that functions may use.
    """
    # Files that were read as UTF-8 may start with a byte order mark.
    source = source.removeprefix("\ufeff")
    source = "\n".join([*import_code, source]) if import_code else source
    if len(source) > MAX_SOURCE_CHARS:
        raise Unusable("too_long", f"{len(source):,} characters, more than {MAX_SOURCE_CHARS:,}")
    with warnings.catch_warnings():
        # Compiler warnings, such as those about `"\d"`, are for the author of the source.
        warnings.simplefilter("ignore")
        return list(_Module(source, max_chars, packages).candidates())


def with_imports(code: str, import_code: Sequence[str]) -> str:
    """Prepend those import lines that bind a name used in `code`."""
    names = {node.id for node in ast.walk(parse_or_empty(code)) if isinstance(node, ast.Name)} | {"*"}
    imports = dict(_imports(parse_or_empty("\n".join(import_code))))
    return _prepend((statement for name, statement in imports.items() if name in names), code)


class _Fault(Exception):
    """Reason and detail why one function cannot be used."""


class _Module:
    def __init__(self, source: str, max_chars: int, packages: Container[str]) -> None:
        self._tree = _parsed(source)
        # As the parser counts lines: `splitlines` also ends one at a form feed, and old sources have those.
        self._lines = StringIO(source, newline="").readlines()
        self._max_chars = max_chars
        self._packages = packages
        imports = list(_imports(self._tree))
        self._imports = dict(imports)
        # They decide whether annotations are evaluated.
        self._futures = [f"{ast.unparse(one)}\n" for _, one in imports if _is_future(one)]

    def candidates(self) -> Iterator[Candidate]:
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef):
                yield self._candidate(node, self._text(node))
            elif isinstance(node, ast.AsyncFunctionDef):
                yield Candidate(node.name, self._text(node), reason="coroutine", detail="async def")

    def _candidate(self, node: ast.FunctionDef, text: str) -> Candidate:
        try:
            if fault := _shape_fault(node, text) or impurity(node, text) or self._decorator_fault(node):
                raise _Fault(*fault)
            code, imported = self._program(node)
            return Candidate(node.name, code, fingerprint(code, node, imported))
        except _Fault as error:
            reason, detail = error.args
        except RecursionError:
            reason, detail = "too_nested", "nested too deeply to be read"
        return Candidate(node.name, text, reason=reason, detail=detail)

    def _program(self, node: ast.FunctionDef) -> tuple[str, dict[str, str]]:
        """The function re-emitted after the imports that it needs, and the full name of each imported name."""
        needed: dict[str, Import] = {}
        for name in sorted(self._globals(node)):
            if statement := self._imports.get(name):
                module = statement.names[0].name if isinstance(statement, ast.Import) else _source_module(statement)
                if fault := impure_import(module, self._packages):
                    raise _Fault(*fault)
                needed[name] = statement
            elif name in self._bound:
                raise _Fault("free_name", f"{name} is defined elsewhere in the module")
            elif name not in BUILTINS:
                raise _Fault("free_name", f"{name} is defined nowhere")
        try:
            code = _prepend(needed.values(), ast.unparse(node)) + "\n"
            code.encode()
            compile(code, node.name, "exec", dont_inherit=True)
        except (ValueError, SyntaxError) as error:
            raise _Fault("unwritable", f"the function cannot be re-emitted: {error}") from None
        if len(code) > self._max_chars:
            raise _Fault("too_long", f"{len(code):,} characters, more than {self._max_chars:,}")
        if "\ufffd" in code:
            raise _Fault("undecodable", "it holds U+FFFD, which stands for bytes that were no text")
        return code, {name: _full_name(statement) for name, statement in needed.items()}

    def _decorator_fault(self, node: ast.FunctionDef) -> tuple[str, str] | None:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name, dot, attribute = ast.unparse(called).partition(".")
            statement = self._imports.get(name)
            if statement is None or _full_name(statement) + dot + attribute not in SAFE_DECORATORS:
                return "decorated", f"@{ast.unparse(decorator)[:80]}"
        return None

    def _globals(self, node: ast.FunctionDef) -> set[str]:
        """The names that defining and calling `node` loads from the module or the builtins."""
        evaluated = [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
        names = {inner.id for one in evaluated for inner in ast.walk(one) if isinstance(inner, ast.Name)}
        first, last = _lines_of(node)
        shift = first - len(self._futures)
        table = next(
            table
            for table in _symbols([*self._futures, *self._lines[first:last]], shift).get_children()
            if table.get_name() == node.name and table.get_lineno() + shift == node.lineno
        )
        return (names | set(_loaded(table))) - {node.name}

    @cached_property
    def _bound(self) -> set[str]:
        """The names that the module binds, by an import or otherwise."""
        names = set()
        lines = self._lines.copy()
        for node in self._tree.body:
            if isinstance(node, Definition):
                first, last = _lines_of(node)
                # These bind their own names only, except with `:=` in a decorator, a default or a base class.
                if not any(":=" in line for line in lines[first:last]):
                    names.add(node.name)
                    lines[first:last] = ["\n"] * (last - first)
        for symbol in _symbols(lines).get_symbols():
            if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                names.add(symbol.get_name())
        return names

    def _text(self, node: Definition) -> str:
        first, last = _lines_of(node)
        return "".join(self._lines[first:last])


def _parsed(source: str) -> ast.Module:
    """The syntax tree, or that of nothing if no function can be at module level."""
    try:
        # A form feed leads back to the first column, too, and a carriage return may end a line.
        if not (DEFINITION.search(f"\n{source}") or "\f" in source or "\r" in source):
            # Cheaper than a syntax tree, but it has other limits, and other errors than those of syntax.
            with suppress(Exception):
                symtable.symtable(source, "source", "exec")
                return ast.Module([], [])
        return ast.parse(source)
    except SyntaxError as error:
        raise _syntax_error(error) from None
    except ValueError as error:
        raise Unusable("syntax_error", f"not {VERSION}: {error}") from None
    except (RecursionError, MemoryError):
        raise Unusable("too_nested", "nested too deeply to be parsed") from None


def _symbols(lines: Sequence[str], shift: int = 0) -> symtable.SymbolTable:
    """The names of lines, the first of which is line `shift` + 1 of its source."""
    try:
        return symtable.symtable("".join(lines), "source", "exec")
    except SyntaxError as error:
        error.lineno = error.lineno and error.lineno + shift
        raise _syntax_error(error) from None


def _lines_of(node: Definition) -> tuple[int, int]:
    """The index of the first line, decorators included, and that after the last one."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1, node.end_lineno or 0


def _syntax_error(error: SyntaxError) -> Unusable:
    # Some errors concern the whole source and have no line.
    subject = f"line {error.lineno} is" if error.lineno else "it is"
    return Unusable("syntax_error", f"{subject} not {VERSION}: {error.msg}")


def _shape_fault(node: ast.FunctionDef, text: str) -> tuple[str, str] | None:
    if not (node.args.args or node.args.posonlyargs):
        return "no_parameters", "no parameter that can be given by position"
    returns = []
    # Only a `yield` is looked for inside statements.
    for inner in _own_nodes(node) if "yield" in text else _own_statements(node):
        line = f"in line {getattr(inner, 'lineno', node.lineno) - node.lineno + 1}"
        if isinstance(inner, ast.Return):
            returns.append(inner)
        elif isinstance(inner, Definition):
            return "nested_def", f"{inner.name} {line}"
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            return "import_inside", f"{ast.unparse(inner)[:80]} {line}"
        elif isinstance(inner, ast.Yield | ast.YieldFrom):
            return "generator", f"yield {line}"
        elif isinstance(inner, ast.Global):
            return "changes_globals", f"global {', '.join(inner.names)} {line}"
    if not returns:
        return "no_return", "no return statement"
    if all(one.value is None or (isinstance(one.value, ast.Constant) and one.value.value is None) for one in returns):
        return "returns_none", "every return gives None"
    return None


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, except inside lambdas and nested definitions."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, Definition | ast.Lambda):
            yield from _own_nodes(child)


def _own_statements(block: ast.AST) -> Iterator[ast.AST]:
    """The same without expressions."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(block, field, ()):
            yield child
            if not isinstance(child, Definition):
                yield from _own_statements(child)


def _loaded(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _loaded(inner)


def _imports(tree: ast.Module) -> Iterator[tuple[str, Import]]:
    """Every name that a plain import of the module binds, with a statement that binds only this name.

    Imports under `TYPE_CHECKING` count too, because the annotations of a standalone function are evaluated.
    """
    for statement in tree.body:
        inside = [statement]
        if isinstance(statement, ast.If) and ast.unparse(statement.test).rpartition(".")[2] == "TYPE_CHECKING":
            inside = statement.body
        for inner in inside:
            if isinstance(inner, ast.Import):
                for alias in inner.names:
                    yield alias.asname or alias.name.partition(".")[0], ast.Import([alias])
            elif isinstance(inner, ast.ImportFrom):
                for alias in inner.names:
                    yield alias.asname or alias.name, ast.ImportFrom(inner.module, [alias], inner.level)


def _prepend(imports: Iterable[Import], code: str) -> str:
    lines = sorted({ast.unparse(statement) for statement in imports})
    return "\n".join([*lines, "", "", code]) if lines else code


def _full_name(statement: Import) -> str:
    """The full name of what an import of one name binds, regardless of its alias."""
    (alias,) = statement.names
    if isinstance(statement, ast.ImportFrom):
        return f"{_source_module(statement)}.{alias.name}"
    return alias.name if alias.asname else alias.name.partition(".")[0]


def _is_future(statement: Import) -> bool:
    return isinstance(statement, ast.ImportFrom) and _source_module(statement) == "__future__"


def _source_module(statement: ast.ImportFrom) -> str:
    """The module that is imported from; empty for a relative import."""
    return "" if statement.level else statement.module or ""
