"""The inverse of a matrix of curvature as a linear operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .results import InverseHessianResult

if TYPE_CHECKING:
    from numpy.typing import NDArray


class InverseHessian(LinearOperator):  # type: ignore[misc]
    """``F⁻¹`` for ``F = λI + (1/m) Σ g gᵀ``: float64, symmetric, of as many rows as there are parameters, in the file's order.

    Every product is a question of its own, with a certified residual; gradients are collected again for each.
    """

    def __init__(self, ask: Callable[[Any], InverseHessianResult]) -> None:
        self._ask = ask
        #: The answer for the mean of the g.
        self.result = ask(None)
        size = self.result.dimension
        super().__init__(dtype=np.dtype(np.float64), shape=(size, size))

    def product(self, vector: Any) -> InverseHessianResult:
        """Returns the product with a vector as a result, with its certificate.

        Raises:
            NnverifyError: the vector has another length, or numbers that are not finite.
        """
        return self._ask(vector)

    def _matvec(self, x: NDArray[Any]) -> NDArray[np.float64]:
        return self.product(np.asarray(x).ravel()).product

    def _adjoint(self) -> InverseHessian:
        return self
