"""Models, and the questions that are put to them: each method builds one `Query` of the library and reads its `Answer`."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _core, arrays, exporting
from .arrays import Data, Real, decimal, decimals, exact, floats, from_npy, is_path, to_npy
from .errors import USAGE, Interrupted, NnverifyError
from .limits import limits_json, progress_bar
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
from .specifications import Spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Unpack

    from .limits import Limits
    from .operators import InverseHessian

R = TypeVar("R", bound=Result)
Given = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Around:
    """A box around every sample: see :func:`around`."""

    x: Data
    radius: float


def around(x: Data, radius: float) -> Around:
    """Asks for a Lipschitz constant on one box around every sample: a region of :meth:`Model.lipschitz`.

    Args:
        x: samples, ``[samples, …]`` with the layout of the model's input.
        radius: of the boxes, in units of the network's input.
    """
    return Around(x, radius)


def load(model: Any, *, example_input: Data = None) -> Model:
    """Loads a model.

    Args:
        model: the path of an ONNX file or of an implicit network as JSON (possibly gzipped); its bytes; an ``onnx.ModelProto``;
            or a ``torch.nn.Module``, which is exported in evaluation mode.
        example_input: for a module: a batch of inputs, on all of which the export is compared with the module.

    Raises:
        NnverifyError: the model cannot be used; the message names node, operator and remedy. For a module also: the export
            computes something else.
    """
    if is_path(model):
        if example_input is not None:
            raise TypeError("`example_input` is for PyTorch modules alone")
        return Model(_core.Model.open(model))
    folder, path = exporting.written(model, example_input)
    loaded = Model(_core.Model.open(path), folder)
    if exporting.is_torch(model):
        loaded.export_difference = exporting.replayed(model, example_input, loaded)
    return loaded


class Model:
    """A network with one input and one output. Samples are ``[samples, …]`` arrays or tensors with the layout of its input, or the
    path of a file (.npz, .npy, IDX, CSV). Questions take ``timeout`` (seconds), ``memory`` (bytes), ``seed`` and ``progress``.

    All methods raise :class:`NnverifyError` where the question does not fit the model or the data, or nothing can be found, and
    :class:`Interrupted`, with what was found, after an interrupt.
    """

    def __init__(self, core: _core.Model, folder: tempfile.TemporaryDirectory[str] | None = None) -> None:
        self._core = core
        # Where the model lies that was no file.
        self._folder = folder
        #: How far the outputs of an exported module differ from the module's on the examples; of files nothing.
        self.export_difference: float | None = None

    def __repr__(self) -> str:
        return f"<nnverify.Model {self.path}: {self.input_shape} → {self.output_shape}, {self.parameters} parameters>"

    @property
    def path(self) -> Path:
        """Where the model lies; of a model that was no file, in a private folder that lasts as long as this object."""
        return Path(self._core.path)

    @property
    def digest(self) -> str:
        """SHA-256 of the file, as certificates name it."""
        return self._core.digest

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of the input, with the batch in front."""
        return tuple(self._core.input_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the output, with the batch in front."""
        return tuple(self._core.output_shape)

    @property
    def parameters(self) -> int:
        """How many numbers the file's floating point constants hold."""
        return self._core.parameters

    @property
    def notes(self) -> tuple[str, ...]:
        """Decisions that the file left open."""
        return tuple(self._core.notes)

    def abilities(self) -> dict[str, str | None]:
        """Returns every question, by its options on the command line, and why it cannot be asked, if it cannot."""
        return dict(self._core.abilities())

    def __call__(self, x: Data) -> NDArray[np.float64]:
        """Returns the outputs at samples, computed in float64 on the weights of the file; nobody checks them."""
        return from_npy(self._core.evaluate(("x.npy", to_npy(x, "x"))))

    def lipschitz(
        self,
        norm: str = "l2",
        *,
        region: Any = None,
        margins: bool = False,
        radii: tuple[Data, Data] | None = None,
        engine: str = "auto",
        sorts: str = "comparators",
        **limits: Unpack[Limits],
    ) -> LipschitzResult:
        """Bounds how much the outputs change for each unit that the input changes, in real arithmetic.

        Args:
            norm: of inputs and outputs: ``l1``, ``l2`` or ``linf``.
            region: where: ``None`` for everywhere; two numbers or two arrays of the input's shape, the bounds of a box; the path
                of a .npz file with ``lower`` and ``upper``; or :func:`around` samples.
            margins: bounds every difference of two outputs as well.
            radii: samples and labels ``[samples]``, of which is told how far they may move; with ``margins``, everywhere.
            engine: what looks for multipliers: ``auto``, ``clarabel``, ``interior-point``, ``layerwise`` or ``product``.
            sorts: how activations that sort are written: ``comparators`` or ``groups``.
        """
        files: Given = []
        if radii is not None and not (margins and region is None):
            raise NnverifyError(USAGE, "`radii` follow from `margins=True` and the region everywhere")
        query = {
            "question": "lipschitz",
            "norm": norm,
            "region": self._region(region, files),
            "margins": margins,
            "radii": None if radii is None else _samples(radii[0], radii[1], None, files),
            "engine": engine,
            "sorts": sorts,
        }
        return self._ask(LipschitzResult, query, files, limits)

    def robust(
        self,
        x: Data,
        y: Data = None,
        *,
        eps: Any,
        norm: str = "linf",
        clip: tuple[Real, Real] | None = None,
        mean: Any = None,
        std: Any = None,
        channel_axis: int | None = None,
        threshold: Real | None = None,
        max_change: Real | None = None,
        semantics: str = "real",
        samples: int | None = None,
        journal: arrays.Path | None = None,
        **limits: Unpack[Limits],
    ) -> RobustnessResult:
        """Decides for every sample whether a perturbation changes its class.

        Args:
            x: samples.
            y: labels ``[samples]``, numbers of classes from 0; without use with ``max_change``.
            eps: size of the perturbations in the units of ``x``: ``0.02``, ``"8/255"``; in ℓ∞ also one for each value of a sample.
                A float stands for the shortest decimal that reads back as it, and so do all numbers here.
            norm: of the perturbations: ``linf`` or ``l2``.
            clip: perturbed samples stay between these two.
            mean, std: the network's input is ``(x − mean)/std``: one number, or one for each channel.
            channel_axis: the axis of the input that counts channels, the batch being axis 0; by default 1.
            threshold: for one output: the class is whether it is above this.
            max_change: asks instead whether any output moves by more than this.
            semantics: ``real``, exact on the weights of the file, or ``float32``, as deployed.
            samples: only the first of them.
            journal: finished samples are kept in this file; a call that was stopped goes on from there.
        """
        if threshold is not None and max_change is not None:
            raise NnverifyError(USAGE, "`threshold` and `max_change` are two questions")
        kept: Any = "class"
        if threshold is not None:
            kept = {"threshold": decimal(threshold, "threshold")}
        if max_change is not None:
            kept = {"max-change": decimal(max_change, "max_change")}
        files: Given = []
        query = {
            "question": "robustness",
            "samples": _samples(x, y, samples, files),
            "perturbation": self._perturbation(eps, norm, clip, mean, std, channel_axis),
            "kept": kept,
            "semantics": semantics,
        }
        return self._ask(RobustnessResult, query, files, limits, None if journal is None else os.fspath(journal))

    def verify(
        self,
        spec: Spec | str | os.PathLike[str],
        *,
        semantics: str | None = None,
        allow_vacuous: bool = False,
        **limits: Unpack[Limits],
    ) -> SpecificationResult:
        """Decides whether a property holds for every input of its region.

        Args:
            spec: :func:`nnverify.spec`; VNN-LIB text, which begins with ``(`` or ``;``; or the path of such a file.
            semantics: ``real`` or ``float32``; by default as the file says.
            allow_vacuous: lets a property that no input is asked about count as established.
        """
        files: Given = []
        file = os.fspath(spec) if not isinstance(spec, Spec) else "property.vnnlib"
        text = None
        if isinstance(spec, Spec):
            text = spec.text(size(self.input_shape), size(self.output_shape))
        elif isinstance(spec, str) and spec.lstrip()[:1] in ("(", ";"):
            file, text = "property.vnnlib", spec
        if text is not None:
            files.append((file, text.encode()))
        query = {
            "question": "specification",
            "file": file,
            "semantics": semantics,
            "allow_vacuous": allow_vacuous,
        }
        return self._ask(SpecificationResult, query, files, limits)

    def tightness(
        self,
        x: Data,
        y: Data = None,
        *,
        eps: Any,
        clip: tuple[Real, Real] | None = None,
        mean: Any = None,
        std: Any = None,
        channel_axis: int | None = None,
        elided: bool = True,
        splits: int | None = None,
        phase_splits: int | None = None,
        samples: int | None = None,
        **limits: Unpack[Limits],
    ) -> TightnessResult:
        """Bounds how tight interval propagation is around samples, in ℓ∞: the mean of smallest over propagated widths.

        Args: as of :meth:`robust`, and
            elided: rows are the margins of the label, merged with the last layer, and not the outputs.
            splits, phase_splits: how far the search for the smallest box goes; by default by the sizes.
        """
        files: Given = []
        query = {
            "question": "tightness",
            "samples": _samples(x, y, samples, files),
            "perturbation": self._perturbation(eps, "linf", clip, mean, std, channel_axis),
            "elided": elided,
            "splits": splits,
            "phase_splits": phase_splits,
        }
        return self._ask(TightnessResult, query, files, limits)

    def hessian_trace(
        self,
        x: Data,
        y: Data = None,
        *,
        loss: str,
        matrix: str | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        only: Sequence[str] = (),
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        precision: str = "double",
        samples: int | None = None,
        **limits: Unpack[Limits],
    ) -> CurvatureResult:
        """Bounds the trace of the Hessian of a mean loss over samples, and computes norms and eigenvalues beside it.

        Args:
            x, y: samples and targets: classes ``[samples]`` or, for ``mse``, numbers ``[samples, outputs]``.
            loss: ``cross-entropy``, or ``mse``: half the squared distance.
            matrix: whose trace is claimed: ``hessian`` or ``gauss-newton``; by default what can be.
            learning_rate, batch_size: asks too whether SGD with these is stable here.
            only, include, exclude: names of tensors that count as parameters; ``*`` stands for any characters.
            precision: of the search: ``double`` or ``single``.
            samples: only the first of them.
        """
        if (learning_rate is None) != (batch_size is None):
            raise NnverifyError(USAGE, "`learning_rate` and `batch_size` go together")
        files: Given = []
        query = {
            "question": "hessian-trace",
            "objective": _objective(x, y, samples, loss, (only, include, exclude), precision, files),
            "matrix": matrix,
            "sgd": None if learning_rate is None else _sgd(learning_rate, batch_size),
        }
        return self._ask(CurvatureResult, query, files, limits)

    def stability(
        self,
        x: Data,
        y: Data = None,
        *,
        loss: str = "mse",
        learning_rate: float,
        batch_size: int,
        only: Sequence[str] = (),
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        precision: str = "double",
        samples: int | None = None,
        **limits: Unpack[Limits],
    ) -> CurvatureResult:
        """Decides whether SGD, linearised at the parameters of the file, is mean-square stable.

        Args: as of :meth:`hessian_trace`; ``mse`` alone has a minimum to be stable at.
        """
        files: Given = []
        query = {
            "question": "stability",
            "objective": _objective(x, y, samples, loss, (only, include, exclude), precision, files),
            "sgd": _sgd(learning_rate, batch_size),
        }
        return self._ask(CurvatureResult, query, files, limits)

    def inverse_hessian(self, x: Data, y: Data = None, **options: Any) -> InverseHessian:
        """Returns ``F⁻¹`` for ``F = λI + (1/m) Σ g gᵀ`` as a ``scipy.sparse.linalg.LinearOperator``; its ``result`` is the answer for
        the mean of the g. Needs SciPy.

        Args: as of :meth:`inverse_product`, but ``vector``.
        """
        from .operators import InverseHessian

        return InverseHessian(lambda vector: self.inverse_product(x, y, vector=vector, **options))

    def inverse_product(self, x: Data, y: Data = None, *, vector: Any = None, **options: Any) -> InverseHessianResult:
        """Multiplies a vector by ``F⁻¹``, and bounds the residual.

        Args:
            x, y, loss, only, include, exclude, precision, samples: as of :meth:`hessian_trace`.
            damping: λ, positive.
            vector: over all parameters in the file's order; by default the mean of the g.
            matrix: ``empirical-fisher``, whose g are gradients, or ``gauss-newton``.
            gradients: how many of the g, from the first; by default all.
            pruning: the share of the weights to remove where that costs least.
        """
        files: Given = []
        query, limits = self._inverse(x, y, files, options)
        if vector is not None:
            query["vector"] = os.fspath(vector) if is_path(vector) else "vector.npy"
            if not is_path(vector):
                files.append(("vector.npy", to_npy(vector, "vector")))
        return self._ask(InverseHessianResult, query, files, limits)

    def influence(self, x: Data, y: Data = None, **options: Any) -> InfluenceResult:
        """Finds the samples that pull hardest at the parameters: their leverage, computed and not proved.

        Args: as of :meth:`inverse_product`, but ``vector``.
        """
        files: Given = []
        query, limits = self._inverse(x, y, files, options)
        return self._ask(InfluenceResult, {**query, "influence": True}, files, limits)

    def _inverse(self, x: Data, y: Data, files: Given, options: dict[str, Any]) -> tuple[dict[str, Any], Limits]:
        """Returns the question of an inverse and its limits, from their arguments."""

        def split(
            *,
            loss: str,
            damping: float,
            matrix: str = "empirical-fisher",
            gradients: int | None = None,
            pruning: float | None = None,
            only: Sequence[str] = (),
            include: Sequence[str] = (),
            exclude: Sequence[str] = (),
            precision: str = "double",
            samples: int | None = None,
            **limits: Unpack[Limits],
        ) -> tuple[dict[str, Any], Limits]:
            query = {
                "question": "inverse-hessian",
                "objective": _objective(x, y, samples, loss, (only, include, exclude), precision, files),
                "matrix": matrix,
                "damping": positive(damping, "damping"),
                "gradients": gradients,
                "vector": None,
                "pruning": None if pruning is None else exact(pruning, "pruning"),
                "influence": False,
            }
            return query, limits

        return split(**options)

    def _region(self, region: Any, files: Given) -> dict[str, Any]:
        if region is None:
            return {"where": "everywhere"}
        if isinstance(region, Around):
            radius = exact(region.radius, "radius")
            return {"where": "around", "samples": _samples(region.x, None, None, files), "radius": radius}
        if is_path(region):
            return {"where": "file", "path": os.fspath(region)}
        lower, upper = (floats(bounds, "region") for bounds in region)
        if len(lower) == len(upper) == 1:
            return {"where": "interval", "low": lower[0], "high": upper[0]}
        inputs = size(self.input_shape)
        each = [bounds * inputs if len(bounds) == 1 else bounds for bounds in (lower, upper)]
        return {"where": "box", "lower": each[0], "upper": each[1]}

    def _perturbation(
        self,
        eps: Any,
        norm: str,
        clip: tuple[Real, Real] | None,
        mean: Any,
        std: Any,
        channel_axis: int | None,
    ) -> dict[str, Any]:
        sizes = decimals(eps, "eps")
        rank = len(self.input_shape)
        if channel_axis is not None and not -rank <= channel_axis < rank:
            raise NnverifyError(USAGE, f"`channel_axis={channel_axis}`: the network's input has {rank} axes")
        perturbation: dict[str, Any] = {
            "norm": norm,
            "epsilon": sizes[0] if len(sizes) == 1 else sizes,
            "clip": None if clip is None else [decimal(end, "clip") for end in clip],
            "mean": [] if mean is None else decimals(mean, "mean"),
            "deviation": [] if std is None else decimals(std, "std"),
        }
        return perturbation if channel_axis is None else {**perturbation, "channel_axis": channel_axis % rank}

    def _ask(self, kind: type[R], query: dict[str, Any], files: Given, limits: Limits, journal: str | None = None) -> R:
        try:
            text = json.dumps(query, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise NnverifyError(USAGE, f"the question makes no sense: {error}") from error
        with progress_bar(limits.get("progress")) as told:
            answer = self._core.answer(text, files, limits_json(limits, journal), told)
        found = kind._of(answer)
        if answer.interrupted:
            raise Interrupted(found)
        return found


def size(shape: tuple[int, ...]) -> int:
    """Returns how many elements there are."""
    return int(np.prod(shape, dtype=np.int64))


def _samples(x: Data, y: Data, count: int | None, files: Given) -> dict[str, Any]:
    """Names samples as questions do; those that are arrays become files."""
    named = []
    for data, name in ((x, "x"), (y, "y")):
        if data is None or is_path(data):
            named.append(None if data is None else os.fspath(data))
        else:
            named.append(f"{name}.npy")
            files.append((f"{name}.npy", to_npy(data, name)))
    if named[0] is None:
        raise NnverifyError(USAGE, "`x`: there are no samples")
    return {"data": named[0], "labels": named[1], "count": count}


def positive(value: float, name: str) -> float:
    """Returns a positive number."""
    number = exact(value, name)
    if number <= 0:
        raise NnverifyError(USAGE, f"`{name}={value!r}`: must be positive")
    return number


def _sgd(learning_rate: float, batch_size: int | None) -> dict[str, Any]:
    return {"learning_rate": positive(learning_rate, "learning_rate"), "batch_size": batch_size}


def _objective(
    x: Data,
    y: Data,
    count: int | None,
    loss: str,
    parameters: tuple[Sequence[str], Sequence[str], Sequence[str]],
    precision: str,
    files: Given,
) -> dict[str, Any]:
    if any(isinstance(names, str) for names in parameters):
        raise TypeError("`only`, `include` and `exclude` are lists of names")
    only, include, exclude = (list(names) for names in parameters)
    return {
        "samples": _samples(x, y, count, files),
        "loss": loss,
        "parameters": {"only": only, "include": include, "exclude": exclude},
        "precision": precision,
    }
