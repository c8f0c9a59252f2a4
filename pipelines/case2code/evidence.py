"""Infer what types the parameters of a function expect from how its body uses them.

Each use of a value is a vote for the types that allow it: `x.upper()` for str, `x % 2` for int, `x[0][1]` for a list of
lists. The values inside a value (items, dict entries, parts of a tuple) collect votes of their own. Constants that a
value is compared with are kept, because the branches of the function depend on them.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

__all__ = ["OBJECT", "TYPES", "Evidence", "gather"]

TYPES = {kind.__name__: kind for kind in (int, float, str, bytes, list, tuple, set, dict)}
# The vote for an object that no literal can express.
OBJECT = "object"

_ITERATED = {"list": 1.0, "str": 0.3, "set": 0.2, "tuple": 0.2}
# Votes of built-in functions on their first argument.
_BUILTINS: dict[str, dict[str, float]] = {
    name: votes
    for names, votes in {
        "len": {"list": 1.0, "str": 0.8},
        "range chr bin hex": {"int": 3.0},
        "divmod": {"int": 2.0},
        "pow": {"int": 1.5},
        "abs": {"int": 1.5, "float": 1.0},
        "round": {"float": 2.0},
        "ord": {"str": 3.0},
        "int": {"int": 0.7, "str": 0.7, "float": 0.5},
        "float": {"float": 1.0, "int": 0.5, "str": 0.3},
        "sum sorted min max enumerate reversed zip any all list set tuple frozenset iter": _ITERATED,
    }.items()
    for name in names.split()
}
# Votes of the functions of a module on all their arguments.
_TEXT_MODULES = "re textwrap string html shlex unicodedata json difflib fnmatch"
_MODULES = {"math": {"float": 1.5, "int": 1.4}, **{module: {"str": 1.5} for module in _TEXT_MODULES.split()}}
# Methods of str whose first argument is a substring.
_SUBSTRING_METHODS = {"startswith", "endswith", "split", "rsplit", "partition", "find", "count", "replace"}


def _owners(attribute: str) -> dict[str, float]:
    """The types that have an attribute; those that str and bytes share count for str only."""
    owners = [name for name, kind in TYPES.items() if hasattr(kind, attribute)]
    if "str" in owners and "bytes" in owners:
        owners.remove("bytes")
    return {owner: 6.0 / len(owners) for owner in owners}


_OWNERS = {attribute: _owners(attribute) for kind in TYPES.values() for attribute in dir(kind)}


class Evidence:
    """Votes on the type of one value, and evidence on the values inside it.

    `constants` are what the value is compared with; if `is_choice`, it must be one of them.
    """

    def __init__(self) -> None:
        self.votes: dict[str, float] = {}
        self.constants: list[Any] = []
        self.is_choice = False
        self.entries: dict[str, Evidence] = {}
        self.parts: list[Evidence] = []
        self._counted: set[frozenset[tuple[str, float]]] = set()

    @cached_property
    def item(self) -> "Evidence":
        """Any item of a collection, or value of a dict."""
        return Evidence()

    @cached_property
    def key(self) -> "Evidence":
        """Any key of a dict."""
        return Evidence()

    @property
    def needs_object(self) -> bool:
        """Whether the value, or a required value inside it, is used in a way that none of the types allows."""
        inner = [*self.entries.values(), *self.parts, *([self.item] if "item" in vars(self) else [])]
        most = max((weight for kind, weight in self.votes.items() if kind != OBJECT), default=0)
        return self.votes.get(OBJECT, 0) > most or any(one.needs_object for one in inner)

    def entry(self, key: str) -> "Evidence":
        return self.entries.setdefault(key, Evidence())

    def part(self, index: int, of: int) -> "Evidence":
        self.parts += [Evidence() for _ in range(of - len(self.parts))]
        return self.parts[index]

    def vote(self, votes: Mapping[str, float]) -> None:
        """Count the votes of one use. Equal votes count once: every `s[i]` of a loop casts the same."""
        if (use := frozenset(votes.items())) not in self._counted:
            self._counted.add(use)
            for kind, weight in votes.items():
                self.votes[kind] = self.votes.get(kind, 0.0) + weight

    def compare(self, constant: Any) -> None:
        """Count a comparison with a constant."""
        if constant is None:
            self.vote({"none": 1.0})
        elif isinstance(constant, bool):
            self.vote({"bool": 2.0})
        elif isinstance(constant, int | float | str | bytes):
            self.vote({type(constant).__name__: 2.0})
            if constant not in self.constants:
                self.constants.append(constant)


def gather(function: ast.FunctionDef) -> dict[str, Evidence]:
    """Evidence on each parameter, by name."""
    arguments = function.args
    found = {one.arg: Evidence() for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    reader = _EvidenceReader(dict(found))
    for statement in function.body:
        reader.visit(statement)
    return found


class _EvidenceReader(ast.NodeVisitor):
    """Reads a function body in order. `values` maps names to the evidence on the values that they currently hold."""

    def __init__(self, values: dict[str, Evidence]) -> None:
        self._values = values

    def _of(self, node: ast.expr | None) -> Evidence | None:
        """The evidence on the value of an expression, if it comes from a parameter."""
        match node:
            case ast.Name(id=name):
                return self._values.get(name)
            case (
                ast.Subscript(value=whole, slice=ast.Constant(value=str(key)))
                | ast.Call(func=ast.Attribute(value=whole, attr="get"), args=[ast.Constant(value=str(key)), *_])
            ):
                found = self._of(whole)
                return found and found.entry(key)
            # Expressions of the same type as one inside them.
            case (
                ast.Subscript(value=same, slice=ast.Slice())
                | ast.BoolOp(values=[same, *_])
                | ast.Call(func=ast.Attribute(value=same, attr="copy" | "strip" | "lower" | "upper"))
                | ast.Call(
                    func=ast.Name("sorted" | "list" | "tuple" | "set" | "frozenset" | "reversed" | "iter"),
                    args=[same, *_],
                )
            ):
                return self._of(same)
            case ast.Subscript(value=whole):
                found = self._of(whole)
                return found and found.item
        return None

    def _vote(self, node: ast.expr | None, votes: Mapping[str, float]) -> None:
        if found := self._of(node):
            found.vote(votes)

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        """From here on, the names in `target` refer to `value`."""
        found = self._of(value)
        if isinstance(target, ast.Name):
            if found:
                self._values[target.id] = found
            elif not isinstance(value, ast.Call | ast.IfExp):
                self._values.pop(target.id, None)
        elif isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
                for one, other in zip(target.elts, value.elts, strict=True):
                    self._bind(one, other)
            elif found:
                self._unpack(target, found)

    def _unpack(self, target: ast.expr, found: Evidence) -> None:
        if isinstance(target, ast.Name):
            self._values[target.id] = found
        elif isinstance(target, ast.Tuple | ast.List):
            found.vote({"tuple": 1.5})
            for index, one in enumerate(target.elts):
                self._unpack(one, found.part(index, len(target.elts)))

    def _loop(self, target: ast.expr, iterated: ast.expr) -> None:
        match iterated, target:
            case ast.Call(func=ast.Name("enumerate"), args=[inner, *_]), ast.Tuple(elts=[_, one]):
                self._vote(inner, _ITERATED)
                self._loop(one, inner)
            case ast.Call(func=ast.Name("zip"), args=inner), ast.Tuple(elts=ones) if len(inner) == len(ones):
                for one, other in zip(ones, inner, strict=True):
                    self._loop(one, other)
            case ast.Call(func=ast.Attribute(value=mapping, attr="items")), ast.Tuple(elts=[key, one]):
                if found := self._of(mapping):
                    self._unpack(key, found.key)
                    self._unpack(one, found.item)
            case ast.Call(func=ast.Attribute(value=mapping, attr="values")), _:
                if found := self._of(mapping):
                    self._unpack(target, found.item)
            case _:
                if found := self._of(iterated):
                    found.vote(_ITERATED)
                    self._unpack(target, found.item)

    def visit_For(self, node: ast.For) -> None:
        self._loop(node.target, node.iter)
        self.generic_visit(node)

    def _visit_comprehension(self, node: Any) -> None:
        for generator in node.generators:
            self._loop(generator.target, generator.iter)
        self.generic_visit(node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension  # noqa: N815

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._bind(target, node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        match node.slice:
            case ast.Constant(value=str()):
                self._vote(node.value, {"dict": 3.0})
            case ast.Slice(lower=lower, upper=upper):
                self._vote(node.value, {"list": 1.0, "str": 0.9})
                self._vote(lower, {"int": 2.0})
                self._vote(upper, {"int": 2.0})
            case ast.Constant(value=int()) | ast.UnaryOp():
                self._vote(node.value, {"list": 1.0, "str": 0.6, "tuple": 0.6})
            case _:
                self._vote(node.value, {"list": 1.0, "dict": 0.4, "str": 0.3})
                self._vote(node.slice, {"int": 1.0, "str": 0.3})
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if found := self._of(node.value):
            found.vote(_OWNERS.get(node.attr) or {OBJECT: 6.0})
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(func=ast.Name("isinstance"), args=[value, kinds]):
                names = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
                self._vote(value, {name.id: 3.0 for name in names if isinstance(name, ast.Name)})
            case ast.Call(func=ast.Name(id=name), args=arguments):
                if name in self._values:
                    self._values[name].vote({OBJECT: 4.0})
                for argument in arguments if name == "zip" else arguments[:1]:
                    if len(arguments) == 1 or name not in ("min", "max"):
                        self._vote(argument, _BUILTINS.get(name, {}))
                if name == "sum" and arguments and (found := self._of(arguments[0])):
                    found.item.vote({"int": 1.0, "float": 0.5})
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join"), args=[argument]):
                self._vote(argument, _ITERATED)
                if found := self._of(argument):
                    found.item.vote({"str": 3.0})
            case ast.Call(
                func=ast.Attribute(value=value, attr=attribute), args=[ast.Constant(value=str(part)), *_]
            ) if attribute in _SUBSTRING_METHODS and (found := self._of(value)):
                found.compare(part)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module)), args=arguments) if module in _MODULES:
                for argument in arguments:
                    self._vote(argument, _MODULES[module])
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        for one, other in ((node.left, node.right), (node.right, node.left)):
            self._vote(one, _operand(node.op, other, is_left=one is node.left))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._vote(node.value, _operand(node.op, node.target, is_left=False))
        self._vote(node.target, _operand(node.op, node.value, is_left=True))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self._vote(node.operand, {"bool": 0.5} if isinstance(node.op, ast.Not) else {"int": 1.0})
        self.generic_visit(node)

    def visit_If(self, node: ast.If | ast.IfExp | ast.While) -> None:
        self._vote(node.test, {"bool": 0.7})
        self.generic_visit(node)

    visit_IfExp = visit_While = visit_If  # noqa: N815

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            for one, other in ((left, right), (right, left)):
                if found := self._of(one):
                    for constant in _constants(other, is_container=isinstance(op, ast.In | ast.NotIn) and one is left):
                        found.compare(constant)
            if isinstance(op, ast.In | ast.NotIn):
                self._vote(right, {"list": 1.0, "str": 0.7, "dict": 0.5, "set": 0.5})
            elif isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                self._vote(left, {"int": 1.0, "float": 0.3})
                self._vote(right, {"int": 1.0, "float": 0.3})
        self.generic_visit(node)


def _constants(node: ast.expr, *, is_container: bool) -> Iterator[Any]:
    """The constants that a value is compared with; of a string after `in`, its characters."""
    if isinstance(node, ast.Constant):
        yield from node.value if is_container and isinstance(node.value, str) else [node.value]
    elif is_container and isinstance(node, ast.Tuple | ast.List | ast.Set):
        yield from (one.value for one in node.elts if isinstance(one, ast.Constant))


def _operand(op: ast.operator, other: ast.expr, *, is_left: bool) -> dict[str, float]:
    """Votes of an operator on one operand."""
    constant = other.value if isinstance(other, ast.Constant) else None
    if isinstance(constant, str):
        if isinstance(op, ast.Mod):
            return {}
        return {"int": 2.0} if isinstance(op, ast.Mult) else {"str": 2.0}
    if isinstance(other, ast.Set | ast.SetComp):
        return {"set": 3.0}
    if isinstance(constant, float):
        return {"float": 2.0, "int": 1.0}
    if isinstance(op, ast.Add):
        return {"int": 2.0, "float": 0.5} if constant is not None else {"int": 0.6, "str": 0.3, "list": 0.2}
    if isinstance(op, ast.LShift | ast.RShift | ast.BitAnd | ast.BitOr | ast.BitXor):
        return {"int": 2.0, "set": 0.3}
    if isinstance(op, ast.Mod):
        return {"int": 2.0, "str": 0.2} if is_left else {"int": 1.0}
    if isinstance(op, ast.Div):
        return {"float": 1.2, "int": 1.1}
    return {"int": 1.2, "float": 0.6}
