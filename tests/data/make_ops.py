"""Writes ops.npz: one small model per use of an operator, an input, and ONNX Runtime's output.

Names that start with `refuse/` must be refused although ONNX Runtime may run them.
Needs: numpy, onnx, onnxruntime.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

import more_ops

ort.set_default_logger_severity(4)
rng = np.random.default_rng(20240229)
cases = []


def f32(*shape, scale=1.0):
    return (rng.normal(size=shape) * scale).astype(np.float32)


def i64(*values):
    return np.array(values, np.int64)


def scalar(value, kind=np.float32):
    return np.array(value, kind)


FOREIGN = [helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("ai.onnx.ml", 3)]


def case(name, opset, shape, nodes, inits=None, scale=1.0, shift=0.0, refuse=False, output="y"):
    """`nodes`: (operator, inputs, outputs, attributes); inputs and outputs are blank-separated, `_` is an omitted one.

    An operator of another domain is named `domain:operator`.
    """
    inits = inits or {}
    made = []
    for op, inputs, outputs, *attributes in nodes:
        inputs, outputs = (["" if i == "_" else i for i in names.split()] for names in (inputs, outputs))
        domain, _, op = op.rpartition(":")
        made.append(helper.make_node(op, inputs, outputs, domain=domain, **(attributes[0] if attributes else {})))
    x = (rng.normal(size=shape) * scale + shift).astype(np.float32)
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in inits.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *FOREIGN], ir_version=8)
    if refuse:
        y = np.zeros(0, np.float32)
        name = "refuse/" + name
    else:
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": x})
        assert y.dtype == np.float32 and np.isfinite(y).all(), name
    label = f"{name}@{opset}"
    assert label not in [c[0] for c in cases], label
    cases.append((label, model.SerializeToString(), x, y))


def one(name, op, opset, shape, attributes=None, inits=None, inputs=None, **more):
    inits = inits or {}
    inputs = inputs or " ".join(["x", *inits])
    case(name, opset, shape, [(op, inputs, "y", attributes or {})], inits, **more)


# Activations.
for op in ["Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Abs", "Neg", "Sin", "Cos", "Exp", "Identity"]:
    for opset in (7, 13, 22):
        one(op, op, opset, (1, 9), scale=2.0)
one("Erf", "Erf", 9, (1, 9))
one("Erf", "Erf", 13, (1, 9))
one("Sqrt", "Sqrt", 13, (1, 9), scale=0.1, shift=2.0)
one("Reciprocal", "Reciprocal", 13, (1, 9), scale=0.1, shift=2.0)
for op, attribute_sets, opset in [
    ("LeakyRelu", [{}, {"alpha": 0.3}, {"alpha": 1.5}, {"alpha": -0.2}], 16),
    ("Elu", [{}, {"alpha": 1.7}], 7),
    ("Selu", [{}, {"alpha": 1.2, "gamma": 0.9}], 7),
    ("Celu", [{}, {"alpha": 0.4}], 12),
    ("HardSigmoid", [{}, {"alpha": 0.4, "beta": 0.3}], 7),
    ("Gelu", [{}, {"approximate": "tanh"}], 20),
    ("HardSwish", [{}], 14),
    ("Mish", [{}], 18),
]:
    for number, attributes in enumerate(attribute_sets):
        one(f"{op}/{number}", op, opset, (2, 11), attributes, scale=3.0)
one("PRelu/scalar", "PRelu", 9, (1, 3, 4), inits={"s": f32(1)})
one("PRelu/channel", "PRelu", 16, (1, 3, 4), inits={"s": f32(3, 1)})
one("PRelu/full", "PRelu", 16, (1, 3, 4), inits={"s": f32(1, 3, 4)})
one("Clip/both", "Clip", 7, (1, 9), {"min": -0.5, "max": 0.25})
one("Clip/min", "Clip", 10, (1, 9), {"min": -0.5})
one("Clip/none", "Clip", 13, (1, 9))
one("Clip/inputs", "Clip", 11, (1, 9), inits={"lo": scalar(-0.5), "hi": scalar(0.25)})
one("Clip/max", "Clip", 13, (1, 9), inits={"hi": scalar(0.25)}, inputs="x _ hi")
one("Clip/crossed", "Clip", 13, (1, 9), inits={"lo": scalar(0.5), "hi": scalar(-0.25)})
case("Clip/computed", 13, (1, 9), [("Sqrt", "c", "hi"), ("Clip", "x _ hi", "y")], {"c": scalar(0.3)})
for axis in (0, 1, 2, -1):
    one(f"Softmax/{axis}", "Softmax", 11, (2, 3, 4), {"axis": axis})
    one(f"Softmax/{axis}", "Softmax", 13, (2, 3, 4), {"axis": axis})
one("Softmax/default", "Softmax", 9, (2, 3, 4))
one("Softmax/default", "Softmax", 17, (2, 3, 4))

# Elementwise arithmetic and broadcasting.
for op in ["Add", "Sub", "Mul", "Div"]:
    for opset in (7, 13):
        one(f"{op}/vector", op, opset, (2, 3, 4), inits={"c": f32(4)})
    one(f"{op}/left", op, 13, (3, 1), inits={"c": f32(2, 1, 4)}, inputs="c x", shift=4.0, scale=0.5)
    one(f"{op}/scalar", op, 13, (2, 3), inits={"c": scalar(1.75)})
    one(f"{op}/self", op, 13, (2, 3), inputs="x x", shift=4.0, scale=0.5)
for op in ["Max", "Min", "Sum", "Mean"]:
    one(f"{op}/one", op, 8, (2, 3), inputs="x")
    one(f"{op}/three", op, 13, (2, 3), inits={"a": f32(3), "b": f32(2, 1)})
    case(f"{op}/shared", 13, (2, 3), [(op, "x c x c", "y")], {"c": f32(2, 3)})
for exponent in (1.0, 2.0, 3.0, 0.5, -1.0, -0.5, 4.0, 7.0, 2.5, 1.25, 0.75, -2.0, -1.75):
    one(f"Pow/{exponent}", "Pow", 13, (2, 3), inits={"p": scalar(exponent)}, scale=0.2, shift=2.0)
one("Pow/int", "Pow", 15, (2, 3), inits={"p": scalar(2, np.int64)})
one("Pow/vector", "Pow", 13, (2, 3), inits={"p": np.full(3, 2, np.float32)})
one("Pow/third", "Pow", 13, (2, 3), inits={"p": scalar(1 / 3)}, scale=0.2, shift=2.0, refuse=True)
one("Pow/zero", "Pow", 13, (2, 3), inits={"p": scalar(0.0)}, refuse=True)
one("Pow/huge", "Pow", 13, (2, 3), inits={"p": scalar(33.0)}, refuse=True)
one("Pow/different", "Pow", 13, (2, 3), inits={"p": f32(3)}, shift=3.0, refuse=True)

# Matrix products.
for name, left, right in [
    ("2d", (2, 3), (3, 4)),
    ("fold", (2, 5, 3), (3, 4)),
    ("batched", (2, 5, 3), (2, 3, 4)),
    ("batch-broadcast", (2, 1, 5, 3), (4, 3, 2)),
    ("batch-right", (5, 3), (4, 3, 2)),
    ("batch-ones", (2, 2, 3), (1, 3, 4)),
    ("vector-right", (2, 5, 3), (3,)),
    ("vector-left", (3,), (3, 4)),
    ("vector-batch", (3,), (2, 3, 4)),
    ("vector-vector", (3,), (3,)),
]:
    one(f"MatMul/{name}", "MatMul", 13, left, inits={"w": f32(*right)})
for name, left, right in [
    ("2d", (4, 3), (3, 2)),
    ("fold", (4, 3), (2, 3, 5)),
    ("batched", (2, 4, 3), (2, 3, 5)),
    ("column", (4, 3), (1, 3, 1)),
    ("vector", (4, 3), (3,)),
    ("row", (3,), (3, 5)),
]:
    one(f"MatMul/constant-left-{name}", "MatMul", 9, right, inits={"w": f32(*left)}, inputs="w x")
case("MatMul/variable", 13, (1, 3, 4), [("Transpose", "x", "t", {"perm": [0, 2, 1]}), ("MatMul", "x t", "y")])
for number, (attributes, left, right, c) in enumerate([
    ({}, (2, 3), (3, 4), (4,)),
    ({"transB": 1}, (2, 3), (4, 3), (1, 4)),
    ({"transA": 1, "alpha": 0.5, "beta": 2.0}, (3, 2), (3, 4), (2, 1)),
    ({"transA": 1, "transB": 1, "beta": -0.75}, (3, 2), (4, 3), (2, 4)),
    ({"alpha": -1.5}, (2, 3), (3, 4), ()),
]):
    one(f"Gemm/{number}", "Gemm", 7, left, attributes, {"w": f32(*right), "c": f32(*c) if c else scalar(0.7)})
    one(f"Gemm/{number}", "Gemm", 13, left, attributes, {"w": f32(*right), "c": f32(*c) if c else scalar(0.7)})
one("Gemm/no-c", "Gemm", 11, (2, 3), {"alpha": 2.0}, {"w": f32(3, 4)})
one("Gemm/constant-left", "Gemm", 13, (3, 4), {"transA": 1}, {"w": f32(3, 2), "c": f32(4)}, inputs="w x c")
case("Gemm/tied", 13, (1, 4), [("Gemm", "x w", "h", {"transB": 1}), ("Relu", "h", "r"), ("Gemm", "r w", "y")], {"w": f32(5, 4)})

# Convolutions.
for name, shape, weights, attributes in [
    ("1d", (1, 2, 9), (3, 2, 3), {"pads": [2, 1], "strides": [2]}),
    ("2d", (1, 2, 6, 5), (3, 2, 3, 2), {}),
    ("asymmetric", (1, 2, 6, 5), (3, 2, 3, 2), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ("dilated", (1, 2, 7, 8), (3, 2, 3, 2), {"dilations": [2, 3], "pads": [1, 1, 1, 1]}),
    ("groups", (1, 4, 5, 5), (6, 2, 3, 3), {"group": 2, "kernel_shape": [3, 3]}),
    ("depthwise", (1, 3, 5, 5), (3, 1, 3, 3), {"group": 3, "pads": [1, 1, 1, 1]}),
    ("3d", (1, 2, 4, 3, 5), (2, 2, 2, 3, 2), {"pads": [1, 0, 1, 0, 2, 1]}),
    ("batch", (2, 2, 4, 4), (3, 2, 3, 3), {}),
    ("valid", (1, 2, 6, 5), (3, 2, 3, 2), {"auto_pad": "VALID", "strides": [2, 2]}),
    ("same-upper", (1, 2, 6, 5), (3, 2, 4, 2), {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    ("same-lower", (1, 2, 6, 5), (3, 2, 4, 2), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    ("same-upper-1", (1, 2, 6, 5), (3, 2, 4, 2), {"auto_pad": "SAME_UPPER"}),
    ("same-lower-1", (1, 2, 6, 5), (3, 2, 4, 2), {"auto_pad": "SAME_LOWER"}),
]:
    one(f"Conv/{name}", "Conv", 11, shape, attributes, {"w": f32(*weights), "b": f32(weights[0])})
one("Conv/no-bias", "Conv", 7, (1, 2, 5, 5), {"pads": [1, 1, 1, 1]}, {"w": f32(3, 2, 3, 3)})
for name, shape, weights, attributes in [
    ("1d", (1, 2, 5), (2, 3, 3), {"strides": [2], "pads": [1, 0]}),
    ("2d", (1, 2, 4, 3), (2, 3, 3, 2), {}),
    ("strided", (1, 2, 4, 3), (2, 3, 3, 2), {"strides": [2, 3], "pads": [1, 0, 0, 1]}),
    ("output-padding", (1, 2, 4, 3), (2, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 0]}),
    ("dilated", (1, 2, 4, 3), (2, 3, 3, 2), {"dilations": [2, 1], "pads": [1, 1, 1, 0]}),
    ("groups", (1, 4, 3, 3), (4, 2, 3, 3), {"group": 2, "strides": [2, 1]}),
    ("3d", (1, 2, 2, 3, 2), (2, 1, 2, 2, 3), {"strides": [2, 1, 2]}),
    ("output-shape", (1, 2, 4, 3), (2, 3, 3, 3), {"strides": [2, 2], "output_shape": [7, 5]}),
    ("output-shape-extra", (1, 2, 4, 3), (2, 3, 3, 3), {"strides": [2, 2], "output_shape": [8, 6], "output_padding": [1, 1]}),
    ("valid", (1, 2, 4, 3), (2, 3, 3, 3), {"auto_pad": "VALID", "strides": [2, 2]}),
    ("same-upper-even", (1, 2, 4, 3), (2, 3, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 1]}),
    ("same-lower-even", (1, 2, 4, 3), (2, 3, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
]:
    one(f"ConvTranspose/{name}", "ConvTranspose", 11, shape, attributes, {"w": f32(*weights), "b": f32(weights[1] * attributes.get("group", 1))})
one("ConvTranspose/same-upper-odd", "ConvTranspose", 11, (1, 2, 4, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"w": f32(2, 3, 3, 3)})
odd = {"auto_pad": "SAME_LOWER", "strides": [2, 2]}
one("ConvTranspose/odd", "ConvTranspose", 11, (1, 1, 3, 3), odd, {"w": f32(1, 1, 3, 3)}, refuse=True)

# Poolings.
for name, shape, attributes in [
    ("plain", (1, 2, 6, 5), {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("default-strides", (2, 2, 4, 4), {"kernel_shape": [3, 2]}),
    ("pads", (1, 2, 6, 5), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 2, 1]}),
    ("ceil", (1, 2, 6, 7), {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1}),
    ("ceil-pads", (1, 1, 7, 6), {"kernel_shape": [3, 3], "strides": [3, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    ("ceil-drop", (1, 1, 5, 5), {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    ("same-upper", (1, 2, 5, 6), {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("same-lower", (1, 2, 5, 6), {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ("valid", (1, 2, 5, 6), {"kernel_shape": [2, 3], "strides": [2, 2], "auto_pad": "VALID"}),
    ("1d", (1, 2, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    ("3d", (1, 1, 4, 3, 5), {"kernel_shape": [2, 2, 3], "pads": [1, 0, 1, 0, 1, 1]}),
]:
    one(f"MaxPool/{name}", "MaxPool", 11, shape, attributes)
    one(f"AveragePool/{name}", "AveragePool", 11, shape, attributes)
    one(f"AveragePool/include-{name}", "AveragePool", 11, shape, {**attributes, "count_include_pad": 1})
    one(f"AveragePool/include-{name}", "AveragePool", 19, shape, {**attributes, "count_include_pad": 1})
one("MaxPool/old", "MaxPool", 8, (1, 2, 6, 5), {"kernel_shape": [2, 2], "storage_order": 0})
one("MaxPool/dilated", "MaxPool", 12, (1, 2, 7, 7), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]})
one("AveragePool/dilated", "AveragePool", 19, (1, 2, 7, 7), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1]})
one("AveragePool/dilated-include", "AveragePool", 19, (1, 2, 7, 7), {"kernel_shape": [3, 2], "dilations": [2, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1})
case("MaxPool/indices", 12, (1, 1, 4, 4), [("MaxPool", "x", "v i", {"kernel_shape": [2, 2]}), ("Cast", "i", "y", {"to": 1})], refuse=True)
one("AveragePool/skips", "AveragePool", 19, (1, 1, 5, 5), {"kernel_shape": [2, 2], "strides": [5, 5], "auto_pad": "SAME_LOWER"}, refuse=True)
for op in ("SAME_UPPER", "SAME_LOWER"):
    one(f"Conv/skips-one-{op}", "Conv", 11, (1, 2, 6, 6), {"strides": [2, 2], "auto_pad": op}, {"w": f32(3, 2, 1, 1)})
one("GlobalAveragePool", "GlobalAveragePool", 7, (2, 3, 4, 5))
one("GlobalMaxPool", "GlobalMaxPool", 7, (2, 3, 4, 5))

# Normalisation.
for opset, attributes in [(7, {}), (9, {"epsilon": 0.8, "momentum": 0.5}), (14, {"epsilon": 1e-3}), (15, {})]:
    one("BatchNormalization", "BatchNormalization", opset, (2, 3, 4, 2), attributes,
        {"s": f32(3), "b": f32(3), "m": f32(3), "v": np.abs(f32(3))})
one("BatchNormalization/2d", "BatchNormalization", 15, (2, 3), {}, {"s": f32(3), "b": f32(3), "m": f32(3), "v": np.abs(f32(3))})
one("BatchNormalization/training", "BatchNormalization", 15, (2, 3), {"training_mode": 1}, {"s": f32(3), "b": f32(3), "m": f32(3), "v": np.abs(f32(3))}, refuse=True)

# Reductions and sorts.
for op in ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1"]:
    attribute = 12 if op == "ReduceSum" else 17
    for opset in (7, 11, attribute):
        one(f"{op}/attribute", op, opset, (2, 3, 4), {"axes": [1], "keepdims": 0})
    one(f"{op}/all", op, attribute, (2, 3, 4))
    one(f"{op}/negative", op, attribute, (2, 3, 4), {"axes": [-1, 0]})
    one(f"{op}/input", op, 18, (2, 3, 4), {"keepdims": 0}, {"a": i64(-2, 0)})
    one(f"{op}/input-empty", op, 18, (2, 3, 4), {}, {"a": i64()})
    one(f"{op}/noop", op, 18, (2, 3, 4), {"noop_with_empty_axes": 1}, {"a": i64()}, refuse=op in ("ReduceSumSquare", "ReduceL1"))
one("ReduceSum/thirteen", "ReduceSum", 13, (2, 3, 4), {}, {"a": i64(1)})
case("TopK/old", 9, (1, 6), [("TopK", "x", "y i", {"k": 6})])
case("TopK/input", 10, (1, 6), [("TopK", "x k", "y i", {"axis": -1})], {"k": i64(6)})
case("TopK/smallest", 11, (2, 3, 4), [("TopK", "x k", "y i", {"axis": 1, "largest": 0, "sorted": 1})], {"k": i64(3)})
case("TopK/partial", 11, (1, 6), [("TopK", "x k", "y i")], {"k": i64(5)})
case("TopK/unsorted", 11, (1, 6), [("TopK", "x k", "y i", {"sorted": 0})], {"k": i64(6)}, refuse=True)
case("TopK/indices", 11, (1, 6), [("TopK", "x k", "v i"), ("Cast", "i", "y", {"to": 1})], {"k": i64(6)}, refuse=True)

# Movements.
one("Reshape/zero", "Reshape", 13, (2, 3, 4), {}, {"s": i64(0, -1)})
one("Reshape/infer", "Reshape", 7, (2, 3, 4), {}, {"s": i64(4, -1, 2)})
one("Reshape/allowzero", "Reshape", 14, (2, 3, 4), {"allowzero": 1}, {"s": i64(6, 4)})
for axis in (0, 1, 2, 3):
    one(f"Flatten/{axis}", "Flatten", 9, (2, 3, 4), {"axis": axis})
one("Flatten/-1", "Flatten", 13, (2, 3, 4), {"axis": -1})
one("Transpose/default", "Transpose", 7, (2, 3, 4))
one("Transpose/perm", "Transpose", 13, (2, 3, 4), {"perm": [1, 2, 0]})
one("Squeeze/attribute", "Squeeze", 11, (1, 3, 1, 2), {"axes": [-2]})
one("Squeeze/all", "Squeeze", 13, (1, 3, 1, 2))
one("Squeeze/input", "Squeeze", 13, (1, 3, 1, 2), {}, {"a": i64(0)})
one("Unsqueeze/attribute", "Unsqueeze", 11, (3, 2), {"axes": [0, -1]})
one("Unsqueeze/input", "Unsqueeze", 13, (3, 2), {}, {"a": i64(-2, 0)})
one("Expand/larger", "Expand", 8, (3, 1), {}, {"s": i64(2, 1, 4)})
one("Expand/smaller", "Expand", 13, (3, 4), {}, {"s": i64(1)})
one("Tile", "Tile", 13, (2, 3), {}, {"r": i64(2, 3)})
for mode in ("DCR", "CRD"):
    one(f"DepthToSpace/{mode}", "DepthToSpace", 13, (1, 8, 2, 3), {"blocksize": 2, "mode": mode})
one("DepthToSpace/old", "DepthToSpace", 7, (1, 8, 2, 3), {"blocksize": 2})
one("SpaceToDepth", "SpaceToDepth", 13, (1, 2, 4, 6), {"blocksize": 2})
one("Concat/-1", "Concat", 13, (2, 3), {"axis": -1}, {"c": f32(2, 2)})
one("Concat/0", "Concat", 7, (2, 3), {"axis": 0}, {"c": f32(1, 3)}, inputs="c x c x")
for name, opset, parts, attributes, outputs in [
    ("attribute", 11, None, {"axis": 1, "split": [1, 2, 3]}, 3),
    ("equal", 7, None, {"axis": -1}, 3),
    ("input", 13, (4, 2), {"axis": 1}, 2),
    ("num-outputs", 18, None, {"axis": 1, "num_outputs": 4}, 4),
]:
    names = [f"p{i}" for i in range(outputs)]
    shape = (2, 7) if name == "num-outputs" else (2, 6)
    inits = {"parts": i64(*parts)} if parts else {}
    nodes = [("Split", "x parts" if parts else "x", " ".join(names), attributes), ("Concat", " ".join(reversed(names)), "y", {"axis": 1})]
    case(f"Split/{name}", opset, shape, nodes, inits)
one("Slice/attribute", "Slice", 9, (4, 5), {"starts": [1, -3], "ends": [1000, -1]})
one("Slice/attribute-axes", "Slice", 7, (4, 5), {"starts": [-2], "ends": [2147483647], "axes": [1]})
for number, (starts, ends, axes, steps) in enumerate([
    ((1,), (-1,), None, None),
    ((0, 1), (3, 100), (1, 0), (2, 3)),
    ((-1,), (-(2**63),), (1,), (-1,)),
    ((100, 4), (-100, 0), (-2, -1), (-2, -2)),
    ((3,), (0,), (-1,), (-1,)),
]):
    inits = {"s": i64(*starts), "e": i64(*ends)}
    if axes:
        inits.update({"a": i64(*axes), "t": i64(*steps)})
    one(f"Slice/{number}", "Slice", 10 + number % 2 * 3, (4, 5), {}, inits)
one("Gather/scalar", "Gather", 11, (3, 4), {"axis": 1}, {"i": scalar(2, np.int64)})
one("Gather/negative", "Gather", 13, (3, 4), {"axis": -2}, {"i": np.array([[-1, 0], [1, 1]], np.int64)})
one("Gather/int32", "Gather", 7, (3, 4), {}, {"i": np.array([2, 0], np.int32)})
one("Pad/attribute", "Pad", 10, (2, 3), {"pads": [1, 0, 0, 2], "value": 0.5})
one("Pad/input", "Pad", 11, (2, 3), {}, {"p": i64(1, 0, 0, 2)})
one("Pad/value", "Pad", 13, (2, 3), {"mode": "constant"}, {"p": i64(1, 0, 0, 2), "v": scalar(-1.5)})
one("Pad/crop", "Pad", 13, (3, 4), {}, {"p": i64(-1, 1, 0, -2)})
one("Pad/edge", "Pad", 13, (2, 3), {"mode": "edge"}, {"p": i64(1, 2, 3, 4)})
one("Pad/reflect", "Pad", 13, (3, 4), {"mode": "reflect"}, {"p": i64(1, 2, 2, 3)})
one("Pad/wrap", "Pad", 19, (3, 4), {"mode": "wrap"}, {"p": i64(1, 2, 2, 3)})
one("Pad/axes", "Pad", 18, (2, 3), {}, {"p": i64(1, 2), "v": scalar(0.25), "a": i64(-1)})
case("Where/constant", 13, (2, 3), [("Where", "c x k", "y")], {"c": np.array([[True], [False]]), "k": f32(3)})
case("Dropout/old", 7, (2, 3), [("Dropout", "x", "y", {"ratio": 0.7})])
case("Dropout/inputs", 13, (2, 3), [("Dropout", "x r t", "y")], {"r": scalar(0.7), "t": np.array(False)})
case("Dropout/training", 13, (2, 3), [("Dropout", "x r t", "y")], {"r": scalar(0.7), "t": np.array(True)}, refuse=True)
case("Cast/double", 13, (2, 3), [("Cast", "x", "d", {"to": 11}), ("Cast", "d", "y", {"to": 1})])
case("Cast/int", 13, (2, 3), [("Cast", "x", "i", {"to": 7}), ("Cast", "i", "y", {"to": 1})], refuse=True)
case("Cast/int32", 13, (2, 3), [("Cast", "x", "i", {"to": 6}), ("Cast", "i", "y", {"to": 1})], refuse=True)

# Arithmetic on shapes and constants.
case("Shape/gather", 13, (2, 3, 4), [
    ("Shape", "x", "s"), ("Gather", "s one", "n"), ("Unsqueeze", "n zero", "u"), ("Concat", "u minus", "t", {"axis": 0}), ("Reshape", "x t", "y"),
], {"one": scalar(1, np.int64), "zero": i64(0), "minus": i64(-1)})
case("Shape/range", 15, (2, 3, 4), [("Shape", "x", "s", {"start": -2, "end": 3}), ("ReduceProd", "s", "p", {"keepdims": 1}), ("Concat", "m p", "t", {"axis": 0}), ("Reshape", "x t", "y")], {"m": i64(-1)})
case("Shape/half", 13, (1, 8), [
    ("Shape", "x", "s"), ("Slice", "s a b", "w"), ("Cast", "w", "wf", {"to": 1}), ("Div", "wf two", "hf"), ("Cast", "hf", "h", {"to": 7}),
    ("Slice", "x h w a1", "y"),
], {"a": i64(1), "b": i64(2), "two": scalar(2.0), "a1": i64(1)})
case("Shape/arithmetic", 13, (1, 9), [
    ("Size", "x", "n"), ("Mod", "n four", "r"), ("Sub", "n r", "e"), ("Div", "e three", "h"), ("Mul", "h two", "d"), ("Neg", "d", "m"), ("Abs", "m", "d2"),
    ("Unsqueeze", "d2 zero", "end"), ("Slice", "x zero end one", "y"),
], {"four": scalar(4, np.int64), "three": scalar(3, np.int64), "two": scalar(2, np.int64), "zero": i64(0), "one": i64(1)})
case("Range/gather", 13, (2, 6), [("Range", "a b c", "i"), ("Gather", "x i", "y", {"axis": 1})], {k: scalar(v, np.int64) for k, v in zip("abc", (5, -1, -2))})
case("ConstantOfShape/float", 9, (2, 3), [("Shape", "x", "s"), ("ConstantOfShape", "s", "c", {"value": helper.make_tensor("v", 1, [1], [1.5])}), ("Add", "x c", "y")])
case("ConstantOfShape/expand", 13, (3, 1), [
    ("ConstantOfShape", "r", "ones", {"value": helper.make_tensor("v", 7, [1], [1])}), ("Mul", "ones minus", "neg"), ("Equal", "want neg", "eq"),
    ("Where", "eq ones want", "s"), ("Expand", "x s", "y"),
], {"r": i64(2), "minus": scalar(-1, np.int64), "want": i64(-1, 4)})
case("Constant/all", 13, (1, 3), [
    ("Constant", "", "f", {"value_float": 0.5}), ("Constant", "", "fs", {"value_floats": [1.0, 2.0, 3.0]}), ("Constant", "", "i", {"value_int": 1}),
    ("Constant", "", "is", {"value_ints": [3, -1]}), ("Constant", "", "t", {"value": numpy_helper.from_array(f32(3))}),
    ("Add", "x f", "a"), ("Mul", "a fs", "b"), ("Sub", "b t", "c"), ("Reshape", "c is", "d"), ("Gather", "d i", "y"),
])
case("Constant/arithmetic", 13, (1, 3), [("Add", "v e", "a"), ("Sqrt", "a", "s"), ("Div", "g s", "q"), ("Mul", "x q", "y")], {"v": np.abs(f32(3)), "e": scalar(1e-3), "g": f32(3)})
case("Logic", 13, (2, 3), [
    ("Greater", "a b", "g"), ("LessOrEqual", "a b", "l"), ("Not", "g", "n"), ("And", "n l", "c"), ("Or", "c f", "d"), ("Where", "d x z", "y"),
], {"a": i64(1, 2, 3), "b": i64(2, 2, 2), "f": np.array(False), "z": scalar(0.0)})

case("Integer/wraps", 13, (1, 4), [("Sub", "a b", "c"), ("Cast", "c", "f", {"to": 1}), ("Add", "x f", "y")], {"a": np.array([1], np.uint8), "b": np.array([2], np.uint8)}, refuse=True)
case("Integer/uint8", 13, (1, 4), [("Max", "a b", "c"), ("Cast", "c", "f", {"to": 1}), ("Add", "x f", "y")], {"a": np.array([1], np.uint8), "b": np.array([2], np.uint8)})
case("Integer/reduce", 13, (1, 4), [("ReduceMax", "a", "c", {"axes": [1]}), ("Cast", "c", "f", {"to": 1}), ("Add", "x f", "y")], {"a": np.array([[1, 7, 3]], np.int32)})
case("Embedding/tied", 13, (1, 3), [("MatMul", "x w", "h"), ("Transpose", "w", "t"), ("MatMul", "h t", "y")], {"w": f32(3, 5)})

# Patterns.
half_erf = {"c": scalar(np.float32(np.sqrt(2))), "one": scalar(1.0), "half": scalar(0.5)}
case("Pattern/silu", 13, (2, 5), [("Sigmoid", "x", "s"), ("Mul", "s x", "y")], scale=3.0)
case("Pattern/silu-scaled", 13, (2, 5), [("Mul", "x k", "u"), ("Sigmoid", "u", "s"), ("Mul", "x s", "y")], {"k": scalar(1.702)}, scale=3.0)
case("Pattern/silu-over", 13, (2, 5), [("Div", "x k", "u"), ("Sigmoid", "u", "s"), ("Mul", "x s", "y")], {"k": f32(5)}, scale=3.0)
case("Pattern/gelu-1", 13, (2, 5), [("Div", "x c", "d"), ("Erf", "d", "e"), ("Add", "e one", "a"), ("Mul", "x a", "m"), ("Mul", "m half", "y")], half_erf)
case("Pattern/gelu-2", 13, (2, 5), [("Mul", "x half", "h"), ("Div", "x c", "d"), ("Erf", "d", "e"), ("Add", "one e", "a"), ("Mul", "a h", "y")], half_erf)
case("Pattern/gelu-3", 13, (2, 5), [("Mul", "x k", "d"), ("Erf", "d", "e"), ("Add", "e one", "a"), ("Mul", "a half", "h"), ("Mul", "x h", "y")], {**half_erf, "k": scalar(np.float32(np.sqrt(0.5)))})
case("Pattern/gelu-4", 13, (2, 5), [("Mul", "x half", "d"), ("Erf", "d", "e"), ("Add", "e one", "a"), ("Mul", "x a", "y")], half_erf)
case("Pattern/mish", 13, (2, 5), [("Softplus", "x", "s"), ("Tanh", "s", "t"), ("Mul", "x t", "y")], scale=3.0)
case("Pattern/hardswish", 13, (2, 5), [("HardSigmoid", "x", "s", {"alpha": 1 / 6, "beta": 0.5}), ("Mul", "x s", "y")], scale=4.0)
case("Pattern/hardswish-slope", 13, (2, 5), [("HardSigmoid", "x", "s", {"alpha": 0.3, "beta": 0.5}), ("Mul", "x s", "y")], scale=4.0)
case("Pattern/hardswish-clip", 13, (2, 5), [("Add", "x three", "a"), ("Clip", "a zero six", "c"), ("Mul", "x c", "m"), ("Div", "m six", "y")],
     {"three": scalar(3.0), "zero": scalar(0.0), "six": scalar(6.0)}, scale=4.0)
case("Pattern/product", 13, (2, 5), [("Sigmoid", "x", "s"), ("Neg", "x", "n"), ("Mul", "s n", "y")])


def householder(name, choose, scale=2.0, shape=(1, 4), wanted=None, group="Householder"):
    phi = (rng.uniform(0.2, 1.4, size=shape)).astype(np.float32)
    full = list(shape)
    full[1] *= 2
    nodes = [("Split", "x", "z1 z2", {"axis": 1}), ("Sin", "phi", "sp"), ("Cos", "phi", "cp"), ("Sin", "theta", "st"), ("Cos", "theta", "ct"),
             ("Mul", "z1 sp", "a1"), ("Mul", "z2 cp", "a2"), ("Sub", "a1 a2", "u"), ("Neg", "u", "v"), ("Mul", "z1 ct", "b1"), ("Mul", "z2 st", "b2"), ("Add", "b1 b2", "r1"),
             ("Mul", "z1 st", "c1"), ("Mul", "z2 ct", "c2"), ("Sub", "c1 c2", "r2"), *choose, ("Concat", "o1 o2", "y", {"axis": 1})]
    theta = phi * np.float32(scale)
    full = wanted or full
    case(f"{group}/{name}", 13, full, nodes, {"phi": phi, "theta": theta, "zero": scalar(0.0), "one": scalar(1.0)}, scale=2.0)


def mask(below, above):
    return [(below, "u zero", "lo"), (above, "u zero", "hi"), ("Cast", "lo", "m", {"to": 1}), ("Cast", "hi", "p", {"to": 1}),
            ("Mul", "z1 m", "d1"), ("Mul", "p r1", "e1"), ("Add", "d1 e1", "o1"), ("Mul", "m z2", "d2"), ("Mul", "r2 p", "e2"), ("Add", "e2 d2", "o2")]


def where(op, operands, first, second):
    return [(op, operands, "w"), ("Where", f"w {first}1 {second}1", "o1"), ("Where", f"w {first}2 {second}2", "o2")]


householder("masks", mask("LessOrEqual", "Greater"))
householder("masks-2", mask("Less", "GreaterOrEqual"))
householder("where", where("LessOrEqual", "u zero", "z", "r"))
householder("where-greater", where("Greater", "u zero", "r", "z"))
householder("where-flipped", where("Less", "v zero", "r", "z"))
householder("where-other-side", where("Greater", "u zero", "z", "r"))
householder("where-swapped", where("GreaterOrEqual", "zero u", "z", "r"))
householder("not", [("Greater", "u zero", "g"), ("Not", "g", "w"), ("Where", "w z1 r1", "o1"), ("Where", "w z2 r2", "o2")])
householder("complement", [("Greater", "u zero", "g"), ("Cast", "g", "p", {"to": 1}), ("Sub", "one p", "m"), ("Mul", "z1 m", "d1"), ("Mul", "p r1", "e1"), ("Add", "d1 e1", "o1"),
                           ("Where", "g r2 z2", "o2")])
householder("channels", mask("LessOrEqual", "Greater"), shape=(1, 2, 1), wanted=[1, 4, 3])
# These jump.
householder("gap", mask("Less", "Greater"), group="Jump")
householder("overlap", mask("LessOrEqual", "GreaterOrEqual"), group="Jump")
householder("wrong-angle", mask("LessOrEqual", "Greater"), scale=1.99999, group="Jump")
householder("exchanged", [*mask("LessOrEqual", "Greater")[:-6], ("Where", "lo z1 r2", "o1"), ("Where", "lo z2 r1", "o2")], group="Jump")
case("Pattern/mask", 13, (1, 4), [("Greater", "x zero", "g"), ("Cast", "g", "m", {"to": 1}), ("Mul", "x m", "y")], {"zero": scalar(0.0)})
case("Pattern/where", 13, (1, 4), [("Greater", "x zero", "g"), ("Neg", "x", "n"), ("Where", "g x n", "y")], {"zero": scalar(0.0)})
case("Jump/round", 13, (1, 4), [("Round", "x", "y")])
case("Jump/shrink", 13, (1, 9), [("Shrink", "x", "y", {"lambd": 0.5})])

# Wrong or impossible uses.
case("unknown-attribute", 13, (1, 4), [("Relu", "x", "y", {"alpha": 0.5})], refuse=True)
case("missing-value", 13, (1, 4), [("Add", "x nothing", "y")], refuse=True)
case("duplicate-value", 13, (1, 4), [("Relu", "x", "y"), ("Neg", "x", "y")], refuse=True)
case("cycle", 13, (1, 4), [("Add", "x b", "a"), ("Relu", "a", "b"), ("Neg", "b", "y")], refuse=True)
case("nan-weight", 13, (1, 4), [("Add", "x w", "y")], {"w": np.array([1, np.nan, 0, 0], np.float32)}, refuse=True)
case("constant-output", 13, (1, 4), [("Neg", "w", "y")], {"w": f32(4)}, refuse=True)
case("old-opset", 6, (1, 4), [("Relu", "x", "y")], refuse=True)
case("new-opset", 26, (1, 4), [("Relu", "x", "y")], refuse=True)
case("divide-by-zero", 13, (1, 4), [("Div", "x w", "y")], {"w": np.array([1, 0, 1, 1], np.float32)}, refuse=True)
case("huge-shape", 13, (1, 4), [("Expand", "x s", "y")], {"s": i64(2**40, 1, 4)}, refuse=True)
case("huge-range", 13, (1, 4), [("Range", "a b c", "i"), ("Gather", "x i", "y")], {"a": scalar(0, np.int64), "b": scalar(2**62, np.int64), "c": scalar(1, np.int64)}, refuse=True)
case("huge-pad", 13, (1, 4), [("Pad", "x p", "y")], {"p": i64(0, 2**62, 0, 2**62)}, refuse=True)
case("huge-constant", 13, (1, 4), [("ConstantOfShape", "s", "c"), ("Add", "x c", "y")], {"s": i64(2**31, 2**31)}, refuse=True)
case("unused-nodes", 13, (1, 4), [("Relu", "x", "y"), ("NonZero", "x", "u")])

# Functions that jump.
one("Sign", "Sign", 13, (3, 5))
one("Floor", "Floor", 13, (3, 5), scale=4.0)
one("Ceil", "Ceil", 13, (3, 5), scale=4.0)
case("Floor/behind", 13, (1, 6), [("Mul", "x s", "m"), ("Floor", "m", "f"), ("Sub", "m f", "r"), ("Sign", "r", "g"), ("Mul", "r g", "y")], {"s": scalar(3.7)})
case("Sign/constant", 13, (1, 4), [("Sign", "c", "s"), ("Floor", "c", "f"), ("Mul", "x s", "m"), ("Add", "m f", "y")], {"c": np.array([-1.5, 0, 2.25, -0.0], np.float32)})

more_ops.add(case, one, rng)

joined = lambda parts, kind: np.concatenate([np.asarray(p).ravel() for p in parts]).astype(kind)
np.savez_compressed(
    pathlib.Path(__file__).with_name("ops.npz"),
    names=joined([np.frombuffer("\n".join(c[0] for c in cases).encode(), np.uint8)], np.uint8),
    models=joined([np.frombuffer(c[1], np.uint8) for c in cases], np.uint8),
    model_lengths=np.array([len(c[1]) for c in cases], np.int64),
    inputs=joined([c[2] for c in cases], np.float32),
    input_lengths=np.array([c[2].size for c in cases], np.int64),
    outputs=joined([c[3] for c in cases], np.float32),
    output_lengths=np.array([c[3].size for c in cases], np.int64),
)
print(len(cases), "cases")
