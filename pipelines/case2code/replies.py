"""Parse the code in a model's reply: a list of examples, or a function."""

import ast
import warnings
from collections.abc import Iterator

from synth.pipelines.runtime.stage import Reject
from synth.pipelines.runtime.text.fences import fenced_code, without_fence

__all__ = ["examples_among", "examples_in", "function_in"]


def examples_in(reply: str, *, is_cut: bool) -> list[ast.expr]:
    """The items of the list `examples` in a reply, as expressions.

    `examples += [...]`, `.extend` and `.append` extend it; a reply may also consist of the list alone. If the token
    limit cut the reply inside the list (`is_cut`), the complete items are returned. Raises `Reject`: `no_code`,
    `not_python`, `no_examples`.
    """
    code = without_fence(reply)
    if not code.strip():
        raise Reject("no_code", "the reply is empty")
    items = examples_among(_module(code, is_cut=is_cut))
    if items is None:
        raise Reject("no_examples", "the reply has no list called examples")
    return items


def examples_among(tree: ast.Module) -> list[ast.expr] | None:
    """The items of the list `examples` in a module, as expressions; None if there is no such list."""
    found = [_items(statement, alone=len(tree.body) == 1) for statement in tree.body]
    return [item for items in found for item in items or ()] if any(items is not None for items in found) else None


def function_in(reply: str, func_name: str) -> tuple[str, str]:
    """The code of a reply, and the function in it to call: `func_name`, or the last one if none has that name.

    Raises `Reject` as `no_code` if the reply is empty, or if it has no fence and is not Python that defines a function.
    Code in a fence is left to the sandbox to judge.
    """
    code = without_fence(reply)
    if not code.strip():
        raise Reject("no_code", "the reply is empty")
    names: list[str] = []
    try:
        names = list(_names(_module(code, is_cut=False)))
    except Reject as reject:
        fault = reject.detail
    else:
        fault = "the reply defines no function"
    if not names and fenced_code(reply) is None:
        raise Reject("no_code", fault)
    return code, func_name if func_name in names or not names else names[-1]


def _names(tree: ast.Module) -> Iterator[str]:
    """The names of functions and of lambdas in a module."""
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name=name) | ast.Assign(targets=[ast.Name(name)], value=ast.Lambda()):
                yield name


def _module(code: str, *, is_cut: bool) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        whole, comma, _ = code.rstrip().rpartition("),\n")
        if is_cut and comma:
            # Drop the item that was cut.
            return _module(f"{whole}),]", is_cut=False)
        raise Reject("not_python", f"the reply cannot be parsed: {error}") from None


def _items(statement: ast.stmt, *, alone: bool) -> list[ast.expr] | None:
    match statement:
        case (
            ast.Assign(targets=[ast.Name("examples")], value=ast.List(elts=items))
            | ast.AnnAssign(target=ast.Name("examples"), value=ast.List(elts=items))
            | ast.AugAssign(target=ast.Name("examples"), op=ast.Add(), value=ast.List(elts=items))
            | ast.Expr(
                ast.Call(func=ast.Attribute(value=ast.Name("examples"), attr="extend"), args=[ast.List(elts=items)])
            )
        ):
            return items
        case ast.Expr(ast.Call(func=ast.Attribute(value=ast.Name("examples"), attr="append"), args=[item])):
            return [item]
        case ast.Expr(ast.List(elts=items)) if alone:
            return items
    return None
