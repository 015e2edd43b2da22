"""Certificates for neural networks: a model goes in, claims that a small checker proves again come out.

>>> import nnverify
>>> model = nnverify.load("model.onnx")
>>> found = model.lipschitz("l2")
>>> found.status, found.bound          # doctest: +SKIP
('established', 16.08777479...)

Every method builds the question that the command ``verify`` builds, and reads the same answer. What a result states was
checked before it was returned; ``result.check()`` does it again, and ``nnverify.check`` from files alone.
"""

from __future__ import annotations

from ._core import __version__
from .certificates import Certificate, Checked, CheckedClaim, check, read_certificate
from .errors import Interrupted, NnverifyError, explain
from .gates import GateResult, Rule, gate
from .limits import set_threads
from .model import Around, Model, around, load
from .results import (
    CurvatureResult,
    InfluenceResult,
    InverseHessianResult,
    LipschitzResult,
    Result,
    RobustnessResult,
    SpecificationResult,
    TightnessResult,
)
from .specifications import Spec, spec

__all__ = [
    "Around",
    "Certificate",
    "Checked",
    "CheckedClaim",
    "CurvatureResult",
    "GateResult",
    "InfluenceResult",
    "Interrupted",
    "InverseHessianResult",
    "LipschitzResult",
    "Model",
    "NnverifyError",
    "Result",
    "RobustnessResult",
    "Rule",
    "Spec",
    "SpecificationResult",
    "TightnessResult",
    "__version__",
    "around",
    "check",
    "explain",
    "gate",
    "load",
    "read_certificate",
    "set_threads",
    "spec",
]
