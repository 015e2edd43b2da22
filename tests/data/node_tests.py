"""Writes ONNX's own node tests to the file named on the command line, in the format of ops.npz.

Of a test with several inputs all but the first of float32 become initialisers with the test's values; of several outputs the
first of float32 is kept. Needs: numpy, onnx of a version that ships its tests (1.19 does).
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

root = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
cases = []
for folder in sorted(root.iterdir()):
    model = onnx.load(folder / "model.onnx")
    graph = model.graph
    kind = lambda value: value.type.tensor_type.elem_type if value.type.HasField("tensor_type") else None
    read = lambda name: numpy_helper.to_array(onnx.load_tensor(folder / "test_data_set_0" / f"{name}.pb"))
    try:
        inputs = {value.name: read(f"input_{i}") for i, value in enumerate(graph.input)}
        outputs = {value.name: read(f"output_{i}") for i, value in enumerate(graph.output)}
    except Exception:
        continue
    floats = [value for value in graph.input if kind(value) == TensorProto.FLOAT and inputs[value.name].size > 0]
    results = [value for value in graph.output if kind(value) == TensorProto.FLOAT]
    if not floats or not results:
        continue
    x, y = floats[0], results[0]
    for value in [value for value in graph.input if value.name != x.name]:
        graph.initializer.append(numpy_helper.from_array(inputs[value.name], value.name))
        graph.input.remove(value)
    for value in [value for value in graph.output if value.name != y.name]:
        graph.output.remove(value)
    cases.append((folder.name, model.SerializeToString(), inputs[x.name], outputs[y.name]))

joined = lambda parts, kind: np.concatenate([np.asarray(p).ravel() for p in parts]).astype(kind)
np.savez_compressed(
    sys.argv[1],
    names=joined([np.frombuffer("\n".join(c[0] for c in cases).encode(), np.uint8)], np.uint8),
    models=joined([np.frombuffer(c[1], np.uint8) for c in cases], np.uint8),
    model_lengths=np.array([len(c[1]) for c in cases], np.int64),
    inputs=joined([c[2] for c in cases], np.float32),
    input_lengths=np.array([c[2].size for c in cases], np.int64),
    outputs=joined([c[3] for c in cases], np.float32),
    output_lengths=np.array([c[3].size for c in cases], np.int64),
)
print(len(cases), "tests")
