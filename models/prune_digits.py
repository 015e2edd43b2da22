"""Writes digits_pruned.onnx: digits_relu.onnx without its smallest weights, what `verify compare` is shown with.

Of every weight matrix the tenth of the entries with the smallest magnitude is set to zero. The file is the same from run to run.
"""

import numpy as np
import onnx
from onnx import numpy_helper

SHARE = 0.1

model = onnx.load("digits_relu.onnx")
for tensor in model.graph.initializer:
    values = numpy_helper.to_array(tensor).copy()
    if values.ndim == 2:
        values[np.abs(values) <= np.quantile(np.abs(values), SHARE)] = 0.0
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
onnx.save(model, "digits_pruned.onnx")
