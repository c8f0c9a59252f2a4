"""Reading what a model wrote: the code in its reply, and the list of examples in that."""

import ast
import re
import warnings

from pipelines.stage import Reject

__all__ = ["examples_in", "unwrapped"]

_PYTHON_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:python3?|py)[ \t]*\n", re.MULTILINE | re.IGNORECASE)
_ANY_FENCE = re.compile(r"^[ \t]*```[^\n`]*\n", re.MULTILINE)
_END = re.compile(r"^[ \t]*```", re.MULTILINE)


def unwrapped(reply: str) -> str:
    """The text in the first python fence, else in the first fence, else all. An open fence ends with the reply."""
    opening = _PYTHON_FENCE.search(reply) or _ANY_FENCE.search(reply)
    if opening is None:
        return reply
    closing = _END.search(reply, opening.end())
    return reply[opening.end() : closing.start() if closing else len(reply)]


def examples_in(reply: str, *, is_cut: bool) -> list[ast.expr]:
    """The items of the list that a reply calls `examples`, unread.

    `examples += [...]`, `.extend` and `.append` go on with it; a reply may also be nothing but the list. One that the
    token limit cut (`is_cut`) inside the list gives the items that are complete. Raises `Reject`: `no_code`,
    `not_python`, `no_examples`.
    """
    code = unwrapped(reply)
    if not code.strip():
        raise Reject("no_code", "the reply is empty")
    tree = _module(code, is_cut=is_cut)
    items: list[ast.expr] = []
    found = False
    for statement in tree.body:
        more = _items(statement, alone=len(tree.body) == 1)
        found = found or more is not None
        items += more or []
    if not found:
        raise Reject("no_examples", "the reply has no list called examples")
    return items


def _module(code: str, *, is_cut: bool) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        whole, comma, _ = code.rstrip().rpartition("),\n")
        if is_cut and comma:
            # What stands before the item that was cut.
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
