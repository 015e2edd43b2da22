"""Models that are no files: bytes, ``onnx.ModelProto`` and ``torch.nn.Module``, written to a private folder.

Certificates name the SHA-256 of the bytes that were written there. Of a PyTorch module the exported file is what is certified: it is
replayed on samples, and refused where it does not compute what the module computes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import to_array
from .errors import NnverifyError

if TYPE_CHECKING:
    from .model import Model

#: The greatest difference of outputs, over one plus their greatest size, at which an export counts as the module: float32 sums
#: in another order stay far below it.
MOST_DIFFERENCE = 1e-4


def is_torch(model: Any) -> bool:
    """Whether a model is a PyTorch module. PyTorch is not imported for it: whoever has a module has imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def written(model: Any, example_input: Any) -> tuple[tempfile.TemporaryDirectory[str], Path]:
    """Writes a model to a private folder, which lasts as long as what is returned.

    Raises:
        TypeError: it is no model, or ``example_input`` is not there, or there and without use.
    """
    torch_model = is_torch(model)
    if torch_model and example_input is None:
        raise TypeError("a PyTorch module is exported with `example_input`, a batch of its inputs")
    if not torch_model and example_input is not None:
        raise TypeError("`example_input` is for PyTorch modules alone")
    folder = tempfile.TemporaryDirectory(prefix="nnverify-")
    path = Path(folder.name, "model.onnx")
    if torch_model:
        export(model, example_input, path)
    elif isinstance(model, (bytes, bytearray, memoryview)):
        path.write_bytes(model)
    elif hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        path.write_bytes(model.SerializeToString())
    else:
        raise TypeError(f"a {type(model).__name__} is no path, bytes, onnx.ModelProto or torch.nn.Module")
    return folder, path


def export(module: Any, example: Any, path: Path) -> None:
    """Exports a module in evaluation mode, for one sample at a time, and leaves the module's mode as it was."""
    torch = sys.modules["torch"]
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            torch.onnx.export(module, (as_tensor(example)[:1],), str(path), dynamo=True, external_data=False, verbose=False)
    finally:
        for part, training in modes:
            part.training = training


def as_tensor(example: Any) -> Any:
    """Returns an example as a tensor, with the element type that it has."""
    torch = sys.modules["torch"]
    return example if isinstance(example, torch.Tensor) else torch.as_tensor(to_array(example, "example_input"))


def replayed(module: Any, example: Any, model: Model) -> float:
    """Returns the greatest difference between the outputs of a module and of the file that was exported, over the examples.

    Raises:
        NnverifyError: it is too large: the file does not compute what the module computes.
    """
    torch = sys.modules["torch"]
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            outputs = to_array(module(as_tensor(example)), "output").astype(np.float64)
    finally:
        for part, training in modes:
            part.training = training
    found = model(example)
    difference = float(np.max(np.abs(found.reshape(outputs.shape) - outputs), initial=0.0))
    size = 1.0 + float(np.max(np.abs(outputs), initial=0.0))
    # NaN is no small difference.
    if not difference <= MOST_DIFFERENCE * size:
        raise NnverifyError(
            "NV140",
            f"the export is another function than the module: outputs differ by {difference:g}",
            "export it yourself, compare, and load the file",
        )
    return difference
