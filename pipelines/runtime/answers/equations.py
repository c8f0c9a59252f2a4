"""Finds and checks the equations of a solution, and computes a key to compare calculations.

The rules are those of rejection sampling fine-tuning (arXiv 2308.01825, section 3.2). The code published with the paper
passes the left side to Python's `eval`; here it is parsed, and only arithmetic on numbers is evaluated.
"""

import ast
import operator
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from synth.pipelines.runtime.answers.prose import plain_equations

__all__ = ["calculation_key", "equation_fault", "evaluate", "find_equations"]

_ANNOTATION = re.compile(r"<<([^>]*)>>")
_ARITHMETIC = re.compile(r"[0-9eE.+\-*/%()\s]+")

_TOLERANCE = 1e-3
_LONGEST_EXPRESSION = 256
_DEEPEST_EXPRESSION = 64
_WIDEST_INTEGER = 1024  # bits: about as far as a float reaches
_LARGEST_EXPONENT = 1000
_SHOWN = 80

Number = int | float

_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def find_equations(solution: str, *, plain: bool = False) -> list[str]:
    """The contents of `<<...>>` annotations, in order.

    With `plain`, the equations in the prose of a solution without annotations; otherwise all solutions of a model that
    does not annotate count as the same calculation, as in the published code.
    """
    annotated = _ANNOTATION.findall(solution)
    return annotated if annotated or not plain else plain_equations(solution)


@lru_cache(maxsize=1 << 16)
def equation_fault(equation: str) -> str | None:
    """A message if an equation is wrong, else None.

    The part before the first `=` must evaluate to within 0.001 of the number between the first and the second `=`; text
    after a second `=` is ignored. Anything that cannot be evaluated is wrong.
    """
    shown = equation if len(equation) <= _SHOWN else f"{equation[:_SHOWN]}..."
    left, equals, rest = equation.partition("=")
    if not equals:
        return f"{shown} has no equals sign"
    try:
        holds = abs(evaluate(left) - float(rest.partition("=")[0])) < _TOLERANCE
    except (ValueError, OverflowError):
        return f"{shown} cannot be evaluated"
    return None if holds else f"{shown} does not hold"


def calculation_key(equations: Sequence[str]) -> str:
    """The equations joined by `|`, without spaces. As in the paper, 3+4 and 4+3 are different calculations."""
    return "|".join(equations).replace(" ", "")


def evaluate(expression: str) -> Number:
    """The value of an expression of numbers, `+ - * / // % **`, signs and parentheses.

    Raises `ValueError` for anything else, and for expressions that are too long, too deep or too large.
    """
    expression = expression.strip()
    if len(expression) > _LONGEST_EXPRESSION or not _ARITHMETIC.fullmatch(expression):
        raise ValueError("not arithmetic")
    try:
        return _value(ast.parse(expression, mode="eval").body, _DEEPEST_EXPRESSION)
    except (SyntaxError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot be calculated: {error}") from error


def _value(node: ast.expr, depth: int) -> Number:
    if depth == 0:
        raise ValueError("nested too deeply")
    match node:
        case ast.Constant(value=int() | float() as value):
            return _bounded(value)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, depth - 1)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, depth - 1)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, depth - 1), _value(right, depth - 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _bounded(_BINARY[type(op)](_value(left, depth - 1), _value(right, depth - 1)))
    raise ValueError("not arithmetic")


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > _LARGEST_EXPONENT:
        raise ValueError("exponent too large")
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > _WIDEST_INTEGER:
        raise ValueError("number too large")
    power = base**exponent
    if isinstance(power, complex):
        raise ValueError("not a real number")
    return power


def _bounded(value: Number) -> Number:
    if isinstance(value, int) and value.bit_length() > _WIDEST_INTEGER:
        raise ValueError("number too large")
    return value
