"""A small builder of VNN-LIB specifications: a box of inputs, and what makes outputs unsafe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from .arrays import decimal, decimals
from .errors import USAGE, NnverifyError


class Term:
    """A weighted sum of outputs and a constant."""

    def __init__(self, weights: dict[int, str], constant: str | None = None) -> None:
        self.weights = weights
        self.constant = constant

    def __ge__(self, other: Operand) -> Condition:
        return Condition(f"(>= {self._text()} {_text(other)})")

    def __le__(self, other: Operand) -> Condition:
        return Condition(f"(<= {self._text()} {_text(other)})")

    def __gt__(self, other: Operand) -> Condition:
        raise TypeError("specifications know `>=` and `<=`: the boundary is unsafe too")

    __lt__ = __gt__

    def __eq__(self, other: object) -> bool:
        raise TypeError("an equality is `(a >= b) & (a <= b)`")

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Operand) -> Term:
        if not isinstance(other, Term):
            raise TypeError("move constants to the other side: `a + b >= 1`")
        if self.weights.keys() & other.weights.keys():
            raise TypeError("an output stands once in a sum: weigh it with `*`")
        return Term({**self.weights, **other.weights})

    def __mul__(self, factor: Any) -> Term:
        if len(self.weights) != 1 or set(self.weights.values()) != {"1"}:
            raise TypeError("a factor stands before one output: `2 * y[0] + y[1]`")
        return Term({output: decimal(factor, "factor") for output in self.weights})

    __rmul__ = __mul__

    def __neg__(self) -> Term:
        return self * -1

    def __sub__(self, other: Operand) -> Term:
        if not isinstance(other, Term):
            raise TypeError("move constants to the other side: `a - b >= 1`")
        return self + -other

    def _text(self) -> str:
        parts = [f"Y_{o}" if weight == "1" else f"(* {weight} Y_{o})" for o, weight in self.weights.items()]
        return parts[0] if len(parts) == 1 else f"(+ {' '.join(parts)})"


Operand = Union[Term, float, int, str]


def _text(operand: Any) -> str:
    return operand._text() if isinstance(operand, Term) else decimal(operand, "unsafe")


class Condition:
    """A condition on outputs; ``&`` and ``|`` join them."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __and__(self, other: Condition) -> Condition:
        return Condition(f"(and {self.text} {other.text})")

    def __or__(self, other: Condition) -> Condition:
        return Condition(f"(or {self.text} {other.text})")

    def __bool__(self) -> bool:
        raise TypeError("join conditions by `&` and `|`, with parentheses: `and`, `or` and `a <= y <= b` would lose one")


class Outputs:
    """The outputs of the network, row-major: ``y[0]`` to ``y[-1]``."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, output: int) -> Term:
        if not -self.count <= output < self.count:
            raise IndexError(f"output {output} of {self.count}")
        return Term({output % self.count: "1"})

    def __iter__(self) -> Iterator[Term]:
        return (self[output] for output in range(self.count))


@dataclass(frozen=True)
class Spec:
    """A box of inputs and an unsafe condition on outputs; :meth:`text` writes it for a network."""

    lower: tuple[str, ...]
    upper: tuple[str, ...]
    unsafe: Callable[[Outputs], Condition]

    def text(self, inputs: int, outputs: int) -> str:
        """Returns the specification as VNN-LIB 1.0, for so many inputs and outputs.

        Raises:
            NnverifyError: the box has another number of inputs, or ``unsafe`` gives no condition.
        """

        def each(name: str, bounds: tuple[str, ...]) -> tuple[str, ...]:
            if len(bounds) not in (1, inputs):
                raise NnverifyError(USAGE, f"`x`: {len(bounds)} {name} bounds, where the network has {inputs} inputs")
            return bounds * inputs if len(bounds) == 1 else bounds

        lower, upper = each("lower", self.lower), each("upper", self.upper)
        condition = self.unsafe(Outputs(outputs))
        if not isinstance(condition, Condition):
            raise NnverifyError(USAGE, f"`unsafe` gives {condition!r}, which is no condition on outputs")
        lines = [f"(declare-const X_{i} Real)" for i in range(inputs)]
        lines += [f"(declare-const Y_{i} Real)" for i in range(outputs)]
        lines += [f"(assert (>= X_{i} {bound}))" for i, bound in enumerate(lower)]
        lines += [f"(assert (<= X_{i} {bound}))" for i, bound in enumerate(upper)]
        return "\n".join([*lines, f"(assert {condition.text})", ""])


def spec(x: tuple[Any, Any], unsafe: Callable[[Outputs], Condition]) -> Spec:
    """Describes a property: no input of a box gives unsafe outputs.

    Args:
        x: lower and upper bounds of the network's input: two numbers for all of it, or two arrays of its shape. A float stands
            for the shortest decimal that reads back as it.
        unsafe: a condition on the outputs, such as ``lambda y: (y[0] >= y[1]) | (y[2] >= y[1])``; sums and products with
            constants are known. It is what must **not** happen.

    Raises:
        NnverifyError: the bounds are no finite numbers.
    """
    lower, upper = x
    return Spec(tuple(decimals(np_or(lower), "x")), tuple(decimals(np_or(upper), "x")), unsafe)


def np_or(bounds: Any) -> Any:
    """Returns bounds, those of a scalar array as a number."""
    return bounds.item() if isinstance(bounds, np.ndarray) and bounds.ndim == 0 else bounds
