"""The functions of a Python source, and why each is or is not a program of its own (arXiv 2407.12504, section 3.1).

Published are a few predicates: a parameter, a `return`, no `def` or `import` inside. Whether a function can run alone,
which half of the published sample cannot, is decided here by resolving every name that it loads.
"""

import ast
import builtins
import symtable
import sys
import warnings
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from synth.pipelines.case2code.likeness import NO_LIKENESS, Likeness, likeness
from synth.pipelines.case2code.purity import SAFE_DECORATORS, impure_import, impurity
from synth.pipelines.case2code.signature import parsed

__all__ = ["Candidate", "Unusable", "candidates", "with_imports"]

BUILTINS = frozenset(dir(builtins))
# The parser takes some hundred times the size of a source in memory, and the longest module known is 1.4 MB.
LONGEST_SOURCE = 2_000_000
VERSION = f"Python {sys.version_info.major}.{sys.version_info.minor}"


class Unusable(Exception):
    """None of the functions of a source can be looked at."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Candidate:
    """One module-level function. `code` is the whole program of a kept one, and the text as it stood of another."""

    name: str
    code: str
    likeness: Likeness = NO_LIKENESS
    reason: str = ""
    detail: str = ""


def candidates(
    source: str, import_code: Sequence[str] = (), *, max_chars: int, packages: Container[str] = ()
) -> list[Candidate]:
    """The functions that are direct children of the module, in order. Raises `Unusable`.

    `import_code` are import lines from elsewhere, as the published raw functions carry them. `packages` are modules
    outside the standard library that functions may use.
    """
    # Files that begin with a mark of their encoding are text that begins with it, once they are read.
    source = source.removeprefix("\ufeff")
    source = "\n".join([*import_code, source]) if import_code else source
    if len(source) > LONGEST_SOURCE:
        raise Unusable("too_long", f"{len(source):,} characters, more than {LONGEST_SOURCE:,}")
    with warnings.catch_warnings():
        # What the compiler warns of, such as `"\d"`, is for the author of the source.
        warnings.simplefilter("ignore")
        return list(_Module(source, max_chars, packages).candidates())


def with_imports(code: str, import_code: Sequence[str]) -> str:
    """`code` after those of its recorded import lines that bind a name in it."""
    names = {node.id for node in ast.walk(parsed(code)) if isinstance(node, ast.Name)} | {"*"}
    imports = dict(_imports(parsed("\n".join(import_code))))
    lines = sorted({ast.unparse(statement) for name, statement in imports.items() if name in names})
    return "\n".join([*lines, "", "", code]) if lines else code


class _Module:
    def __init__(self, source: str, max_chars: int, packages: Container[str]) -> None:
        try:
            self._tree = ast.parse(source)
        except SyntaxError as error:
            raise _misspelt(error) from None
        except ValueError as error:
            raise Unusable("syntax_error", f"not {VERSION}: {error}") from None
        except (RecursionError, MemoryError):
            raise Unusable("too_nested", "nested too deeply to be parsed") from None
        self._source = source
        self._lines = source.splitlines(keepends=True)
        self._max_chars = max_chars
        self._packages = packages
        self._names: symtable.SymbolTable | None = None
        self._imports = dict(_imports(self._tree))

    def candidates(self) -> Iterator[Candidate]:
        for node in self._tree.body:
            if isinstance(node, ast.FunctionDef):
                yield self._candidate(node)
            elif isinstance(node, ast.AsyncFunctionDef):
                yield Candidate(node.name, self._text(node), NO_LIKENESS, "coroutine", "async def")

    def _candidate(self, node: ast.FunctionDef) -> Candidate:
        try:
            fault = _shape_fault(node) or impurity(node) or self._decorator_fault(node)
            if fault is None:
                code, imported, fault = self._program(node)
                if fault is None:
                    return Candidate(node.name, code, likeness(code, node, imported))
        except RecursionError:
            fault = "too_nested", "nested too deeply to be read"
        return Candidate(node.name, self._text(node), NO_LIKENESS, *fault)

    def _program(self, node: ast.FunctionDef) -> tuple[str, dict[str, str], tuple[str, str] | None]:
        """The imports that `node` needs and `node` itself, re-emitted; what each import's name stands for; a fault."""
        needed: dict[str, ast.Import | ast.ImportFrom] = {}
        for name in sorted(self._globals(node)):
            if self._is_bound(name):
                if name not in self._imports:
                    return "", {}, ("free_name", f"{name} is defined elsewhere in the module")
                statement = self._imports[name]
                module = statement.names[0].name if isinstance(statement, ast.Import) else _origin(statement)
                if fault := impure_import(module, self._packages):
                    return "", {}, fault
                needed[name] = statement
            elif name not in BUILTINS:
                return "", {}, ("free_name", f"{name} is defined nowhere")
        try:
            lines = sorted({ast.unparse(statement) for statement in needed.values()})
            code = "\n".join([*lines, *(["", ""] if lines else []), ast.unparse(node)]) + "\n"
            code.encode()
            compile(code, node.name, "exec", dont_inherit=True)
        except (ValueError, SyntaxError) as error:
            return "", {}, ("unwritable", f"the function cannot be written anew: {error}")
        if len(code) > self._max_chars:
            return "", {}, ("too_long", f"{len(code):,} characters, more than {self._max_chars:,}")
        if "\ufffd" in code:
            return "", {}, ("undecodable", "it holds U+FFFD, which stands for bytes that were no text")
        return code, {name: _stands_for(statement) for name, statement in needed.items()}, None

    def _decorator_fault(self, node: ast.FunctionDef) -> tuple[str, str] | None:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if self._meaning(called) not in SAFE_DECORATORS:
                return "decorated", f"@{ast.unparse(decorator)[:80]}"
        return None

    def _meaning(self, node: ast.expr) -> tuple[str, str] | None:
        """Module and name of what `node` names, where that is imported."""
        name, _, attribute = ast.unparse(node).partition(".")
        statement = self._imports.get(name)
        if isinstance(statement, ast.ImportFrom) and not attribute:
            return _origin(statement), statement.names[0].name
        return (statement.names[0].name, attribute) if isinstance(statement, ast.Import) else None

    def _globals(self, node: ast.FunctionDef) -> set[str]:
        """The names that defining and calling `node` loads from the module or the builtins."""
        outer = [*node.decorator_list, *_outside_body(node.args), *([node.returns] if node.returns else [])]
        names = {inner.id for one in outer for inner in ast.walk(one) if isinstance(inner, ast.Name)}
        table = next(
            table
            for table in self._table.get_children()
            if table.get_name() == node.name and table.get_lineno() == node.lineno
        )
        return (names | set(_loaded(table))) - {node.name}

    @property
    def _table(self) -> symtable.SymbolTable:
        # Costs as much as half the parsing, and is needed for few modules.
        if self._names is None:
            try:
                self._names = symtable.symtable(self._source, "source", "exec")
            except SyntaxError as error:
                raise _misspelt(error) from None
        return self._names

    def _is_bound(self, name: str) -> bool:
        """Whether the module gives the name a meaning; a plain import is dealt with apart from this."""
        try:
            symbol = self._table.lookup(name)
        except KeyError:
            return False
        return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()

    def _text(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        return "".join(self._lines[first - 1 : node.end_lineno])


def _misspelt(error: SyntaxError) -> Unusable:
    # What is wrong with a source as a whole is in no line.
    place = f"line {error.lineno} is" if error.lineno else "it is"
    return Unusable("syntax_error", f"{place} not {VERSION}: {error.msg}")


def _shape_fault(node: ast.FunctionDef) -> tuple[str, str] | None:
    if not (node.args.args or node.args.posonlyargs):
        return "no_parameters", "no parameter that can be given by position"
    returns = []
    for inner in _own(node):
        line = f"in line {getattr(inner, 'lineno', node.lineno) - node.lineno + 1}"
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return "nested_def", f"{inner.name} {line}"
        if isinstance(inner, ast.Import | ast.ImportFrom):
            return "import_inside", f"{ast.unparse(inner)[:80]} {line}"
        if isinstance(inner, ast.Yield | ast.YieldFrom):
            return "generator", f"yield {line}"
        if isinstance(inner, ast.Global):
            return "changes_globals", f"global {', '.join(inner.names)} {line}"
        if isinstance(inner, ast.Return):
            returns.append(inner)
    if not returns:
        return "no_return", "no return statement"
    if all(one.value is None or (isinstance(one.value, ast.Constant) and one.value.value is None) for one in returns):
        return "returns_none", "every return gives None"
    return None


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function, without the bodies of lambdas and of definitions inside."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own(child)


def _outside_body(arguments: ast.arguments) -> Iterator[ast.expr]:
    for argument in (
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ):
        if argument and argument.annotation:
            yield argument.annotation
    yield from arguments.defaults
    yield from (default for default in arguments.kw_defaults if default)


def _loaded(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _loaded(inner)


def _imports(tree: ast.Module) -> Iterator[tuple[str, ast.Import | ast.ImportFrom]]:
    """Every name that a plain import of the module binds, and a statement that binds it alone.

    Imports for type checkers count too, because annotations are evaluated where the function stands alone.
    """
    for statement in tree.body:
        inside = statement.body if isinstance(statement, ast.If) and _is_for_types(statement.test) else [statement]
        for inner in inside:
            if isinstance(inner, ast.Import):
                for alias in inner.names:
                    yield alias.asname or alias.name.partition(".")[0], ast.Import([alias])
            elif isinstance(inner, ast.ImportFrom):
                for alias in inner.names:
                    yield alias.asname or alias.name, ast.ImportFrom(inner.module, [alias], inner.level)


def _is_for_types(test: ast.expr) -> bool:
    return ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING"


def _stands_for(statement: ast.Import | ast.ImportFrom) -> str:
    """The full name of what an import binds, whatever it is called here."""
    (alias,) = statement.names
    if isinstance(statement, ast.ImportFrom):
        return f"{_origin(statement)}.{alias.name}"
    return alias.name if alias.asname else alias.name.partition(".")[0]


def _origin(statement: ast.ImportFrom) -> str:
    """The module that something is imported from; empty for a relative import."""
    return "" if statement.level else statement.module or ""
