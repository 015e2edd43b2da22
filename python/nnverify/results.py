"""Results: the library's answers, read. Nothing here computes a bound: numbers are those of the certificate, by their bits."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import _core
from .arrays import from_bits, from_npy
from .certificates import Certificate, Checked

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from . import arrays

Status = Literal["established", "violated", "inconclusive"]
R = TypeVar("R", bound="Result")


def framed(page: str) -> str:
    """Returns a page as a part of another, whose styles do not mix."""
    return f'<iframe sandbox="" style="width:100%;height:24rem;border:0;resize:vertical" srcdoc="{html.escape(page)}"></iframe>'


def number(stated: Mapping[str, Any] | None) -> float | None:
    """Returns a bound of a claim, exactly; nothing, where none is stated."""
    return None if stated is None else from_bits(stated["bits"])


@dataclass(frozen=True)
class Result:
    """What a question came to. Its claims were checked before it was returned; :meth:`check` does it again.

    A result has no truth value: "inconclusive" is neither yes nor no. Ask for ``status``.
    """

    #: ``established``, ``violated`` or ``inconclusive``: the exit codes 0, 1 and 3 of the command line.
    status: Status
    #: The proved bound, in the unit that the class names; nothing, where there is none.
    bound: float | None
    #: Proved bounds of the figure from below and from above; bits of the certificate.
    lower: float | None
    upper: float | None
    #: What shows a violation or attains a lower bound; nothing, where there is none.
    witness: Any = field(repr=False, compare=False)
    #: Nothing, where nothing is claimed.
    certificate: Certificate | None = field(repr=False)
    #: What the check found; nothing, where nothing is claimed.
    checked: Checked | None = field(repr=False)
    #: Everything beside the claims, by the names of ``--output-format json``: computed, and checked by nobody.
    figures: Mapping[str, Any] = field(repr=False, compare=False)
    #: What the reader should know.
    notes: tuple[str, ...]
    #: Why something that was asked for is not claimed.
    unclaimed: tuple[str, ...]
    #: What was asked for beside the claims and could not be done, with codes.
    failures: tuple[str, ...]
    #: What found the witnesses, and in how many seconds.
    engine: str
    seconds: float
    #: Whether more memory would have let something be tried.
    short_of_memory: bool
    _answer: _core.Answer = field(repr=False, compare=False)

    def __bool__(self) -> bool:
        raise TypeError("a result has no truth value: ask for `.status`")

    @property
    def assurance(self) -> str | None:
        """The weakest assurance of its claims: ``proved``, ``checked`` or ``estimated``; nothing, where nothing is claimed."""
        order = ("estimated", "checked", "proved")
        found = [order.index(claim.assurance) for claim in self.checked.claims] if self.checked is not None else []
        return order[min(found)] if found else None

    def check(self) -> Checked | None:
        """Proves the claims again, from the model's file and the data that were given; nothing, where nothing is claimed.

        Raises:
            NnverifyError: the model's file cannot be read any more.
        """
        found = self._answer.check()
        return None if found is None else Checked._read(found)

    def report(self, path: arrays.Path) -> None:
        """Writes the report in the format of the path's name: .html, .md, .json, .sarif, .xml (JUnit), .intoto.json or .txt.

        Raises:
            NnverifyError: nothing is claimed, the name asks for no format, or the file cannot be written.
        """
        self._answer.report(path)

    def _repr_html_(self) -> str | None:
        return None if self.certificate is None else framed(self._answer.cards())

    @classmethod
    def _of(cls: type[R], answer: _core.Answer) -> R:
        told = json.loads(answer.json())
        core = answer.certificate
        certificate = None if core is None else Certificate._of(core)
        checked = None if told["checked"] is None else Checked._read(json.dumps(told["checked"]))
        claims = [] if certificate is None else certificate.claims
        lower, upper, bound, witness, more = cls._read(claims, certificate, told["figures"], answer)
        return cls(
            status=told["outcome"],
            bound=bound,
            lower=lower,
            upper=upper,
            witness=witness,
            certificate=certificate,
            checked=checked,
            figures=told["figures"],
            notes=tuple(told["notes"]),
            unclaimed=tuple(told["unclaimed"]),
            failures=tuple(f"{failure['message']} [{failure['code']}]" for failure in told["failures"]),
            engine=told["engine"],
            seconds=told["seconds"],
            short_of_memory=told["short_of_memory"],
            _answer=answer,
            **more,
        )

    @classmethod
    def _read(cls, claims: list[dict[str, Any]], certificate: Certificate | None, figures: Any, answer: _core.Answer) -> Read:
        """Returns lower, upper, bound, witness and the fields of the class itself."""
        raise NotImplementedError


Read = tuple["float | None", "float | None", "float | None", Any, dict[str, Any]]


@dataclass(frozen=True)
class LipschitzResult(Result):
    """A Lipschitz constant, in units of the output over units of the input. ``bound`` and ``upper`` are the proved upper bound,
    ``lower`` is attained by the two inputs of ``witness``; over several regions they are the largest.

    Source: the matrix inequality of ``docs/reference.md``; claims are about real arithmetic.
    """

    #: The product of norms that the bound is compared with.
    norm_product: float | None
    #: Upper bounds by the claim's id, one for each region.
    bounds: Mapping[str, float]
    #: Upper bounds of outputs ``(i, None)`` and of differences ``(i, j)``, with ``margins``; over several regions the largest.
    functionals: Mapping[tuple[int, int | None], float]
    #: How far each sample may move and keep its class, with ``radii``; infinite, where nothing changes it. They follow from the
    #: claims; no claim states them.
    radii: tuple[float, ...]

    @classmethod
    def _read(cls, claims: list[dict[str, Any]], certificate: Certificate | None, figures: Any, answer: _core.Answer) -> Read:
        bounds = {claim["id"]: from_bits(claim["bound"]["bits"]) for claim in claims}
        lowers = [(from_bits(c["lower_bound"]["bits"]), c) for c in claims if c["lower_bound"] is not None]
        products = [from_bits(c["norm_product"]["bits"]) for c in claims if c["norm_product"] is not None]
        lower, at = max(lowers, key=lambda pair: pair[0]) if lowers else (None, None)
        pair = at["witness"]["pair"] if at else None
        witness = None
        if pair is not None and certificate is not None:
            witness = (certificate.vector(pair["first"]), certificate.vector(pair["second"]))
        upper = max(bounds.values(), default=None)
        functionals: dict[tuple[int, int | None], float] = {}
        for stated in (functional for claim in claims for functional in claim["functionals"]):
            of = (stated["functional"]["plus"], stated["functional"]["minus"])
            functionals[of] = max(functionals.get(of, 0.0), from_bits(stated["bound"]["bits"]))
        radii = tuple(math.inf if radius is None else radius for radius in figures.get("certified_radii", ()))
        more = {
            "norm_product": max(products, default=None),
            "bounds": bounds,
            "functionals": functionals,
            "radii": radii,
        }
        return lower, upper, upper, witness, more


@dataclass(frozen=True)
class RobustnessResult(Result):
    """Which samples keep their class. ``bound`` and ``lower`` are the share that is proved robust, ``upper`` is one minus the share
    that is falsified. ``witness`` has the network's inputs that falsify samples, by the sample's number, as far as the certificate
    holds them.
    """

    #: For each sample ``robust``, ``falsified``, ``misclassified`` or ``unknown``.
    outcomes: tuple[str, ...]

    @classmethod
    def _read(cls, claims: list[dict[str, Any]], certificate: Certificate | None, figures: Any, answer: _core.Answer) -> Read:
        outcomes = tuple(sample["outcome"] for sample in figures["per_sample"])
        lower, upper = float(figures["certified_accuracy"]), float(figures["robust_accuracy_at_most"])
        witness: dict[int, NDArray[np.float64]] = {}
        for claim in claims if certificate is not None else ():
            assert certificate is not None
            points = certificate.vector(claim["witness"]["points"])
            if claim["falsified"]:
                witness.update(zip(claim["falsified"], points.reshape(len(claim["falsified"]), -1)))
        return lower, upper, lower, witness, {"outcomes": outcomes}

    def to_pandas(self) -> pd.DataFrame:
        """Returns one row for each sample: its label, its outcome, and what proved it robust."""
        import pandas as pd

        return pd.DataFrame(self.figures["per_sample"], columns=["label", "outcome", "method"]).rename_axis("sample")


@dataclass(frozen=True)
class SpecificationResult(Result):
    """Whether a property holds. ``witness`` is the unsafe input, row-major, and what a float32 network computes there."""

    #: In the words of VNN-LIB: ``unsat`` (it holds), ``sat`` (it is violated) or ``unknown``.
    verdict: str
    #: Whether no input is asked about, so that the verdict says nothing about the model.
    vacuous: bool

    @classmethod
    def _read(cls, claims: list[dict[str, Any]], certificate: Certificate | None, figures: Any, answer: _core.Answer) -> Read:
        import numpy as np

        found = figures["counterexample"]
        witness = None if found is None else tuple(np.array(found[of], dtype=np.float64) for of in ("input", "output"))
        return None, None, None, witness, {"verdict": figures["verdict"], "vacuous": figures["vacuous"]}

    @property
    def result_file(self) -> str:
        """The result file as VNN-LIB has it."""
        return self._answer.result_file() or ""


@dataclass(frozen=True)
class TightnessResult(Result):
    """The mean tightness of interval propagation, from 0 to 1: it lies between ``lower`` and ``upper``, which is proved."""

    #: Proved: samples whose margins intervals alone show to be positive; of outputs (``elided=False``) nothing.
    certified: int | None

    @classmethod
    def _read(cls, claims: list[dict[str, Any]], certificate: Certificate | None, figures: Any, answer: _core.Answer) -> Read:
        (claim,) = claims
        lower, upper = number(claim["tightness"]["lower"]), number(claim["tightness"]["upper"])
        return lower, upper, lower, None, {"certified": claim["certified"]}

    def to_pandas(self) -> pd.DataFrame:
        """Returns the bounds of each sample's tightness; none where no row has a width."""
        import pandas as pd

        rows = [bounds or (None, None) for bounds in self.figures["per_sample"]]
        return pd.DataFrame(rows, columns=["lower", "upper"], dtype=float).rename_axis("sample")


@dataclass(frozen=True)
class CurvatureResult(Result):
    """The trace of a matrix of curvature of the mean loss, between ``lower`` and ``upper``: proved or, where ``assurance`` says so,
    estimated. ``bound`` is the upper end.
    """

    #: The matrix of the claim: ``hessian`` or ``gauss-newton``; nothing, where no trace is claimed.
    matrix: str | None
    #: The proved verdict on the stability of SGD: ``stable`` or ``unstable``; nothing, where none is claimed.
    stability: str | None

    @classmethod
    def _read(cls, claims: list[dict[str, Any]], certificate: Certificate | None, figures: Any, answer: _core.Answer) -> Read:
        by_kind = {claim["kind"]: claim for claim in claims}
        trace, stability = by_kind.get("hessian-trace"), by_kind.get("stability")
        lower = None if trace is None else number(trace["trace"]["lower"])
        upper = None if trace is None else number(trace["trace"]["upper"])
        more = {
            "matrix": None if trace is None else trace["matrix"],
            "stability": None if stability is None else stability["verdict"],
        }
        return lower, upper, upper, None, more


@dataclass(frozen=True)
class InverseHessianResult(Result):
    """A product with the inverse of ``F = λI + (1/m) Σ g gᵀ``. ``bound`` and ``upper`` bound its relative residual ``‖Fp − v‖/‖v‖``,
    which the checker recomputed.
    """

    #: The product, over all parameters in the file's order, float64.
    product: NDArray[np.float64] = field(repr=False, compare=False)
    #: How many parameters there are.
    dimension: int
    #: The pruned model, an ONNX file, with ``pruning``.
    pruned_model: bytes | None = field(repr=False, compare=False)

    @classmethod
    def _read(cls, claims: list[dict[str, Any]], certificate: Certificate | None, figures: Any, answer: _core.Answer) -> Read:
        import numpy as np

        upper = number(claims[0]["residual"]) if claims else None
        product = answer.vector()
        more = {
            "product": np.empty(0) if product is None else from_npy(product),
            "dimension": figures["dimension"],
            "pruned_model": answer.pruned_model(),
        }
        return None, upper, upper, None, more


@dataclass(frozen=True)
class InfluenceResult(InverseHessianResult):
    """Which samples pull hardest at the parameters, computed and not proved: the twentieth of them that does, at least 20."""

    @property
    def suspects(self) -> list[dict[str, Any]]:
        """Samples with label and leverage, the hardest first."""
        return list(self.figures["suspects"])

    def to_pandas(self) -> pd.DataFrame:
        """Returns one row for each suspect."""
        import pandas as pd

        return pd.DataFrame(self.suspects, columns=["sample", "label", "leverage"])
