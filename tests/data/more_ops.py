"""More cases for `make_ops.py`: choices, normalisations, resizing, contractions, quantisation, recurrent layers, other domains."""

import numpy as np


def add(case, one, rng):
    def f32(*shape, scale=1.0):
        return (rng.normal(size=shape) * scale).astype(np.float32)

    def i64(*values):
        return np.array(values, np.int64)

    def scalar(value, kind=np.float32):
        return np.array(value, kind)

    zero, one_, half = scalar(0.0), scalar(1.0), scalar(0.5)

    # Choices that are continuous functions.
    def choice(name, nodes, inits, group="Pattern", **more):
        case(f"{group}/{name}", 17, (2, 7), nodes, inits, scale=2.0, **more)

    constants = {"zero": zero, "one": one_, "half": half, "two": scalar(2.0), "k": scalar(0.3), "minus": scalar(-1.0)}
    choice("relu-where", [("Greater", "x zero", "c"), ("Where", "c x zero", "y")], constants)
    choice("relu-less", [("Less", "x zero", "c"), ("Where", "c zero x", "y")], constants)
    choice("relu-swapped", [("LessOrEqual", "zero x", "c"), ("Where", "c x zero", "y")], constants)
    choice("leaky-where", [("GreaterOrEqual", "x zero", "c"), ("Mul", "k x", "m"), ("Where", "c x m", "y")], constants)
    choice("leaky-channels", [("Greater", "x zero", "c"), ("Mul", "x ks", "m"), ("Where", "c x m", "y")], {**constants, "ks": f32(7)})
    choice("clip-where", [("Greater", "x one", "g"), ("Less", "x minus", "l"), ("Where", "l lows x", "b"), ("Where", "g highs b", "y")],
           {**constants, "lows": np.full((2, 7), -1, np.float32), "highs": np.full((1, 7), 1, np.float32)})
    choice("clip-where-other-way", [("Greater", "x one", "g"), ("Less", "x minus", "l"), ("Where", "g one x", "b"), ("Where", "l minus b", "y")], constants)
    choice("minimum-mask", [("Less", "x zero", "c"), ("Cast", "c", "m", {"to": 1}), ("Mul", "m x", "y")], constants)
    choice("larger", [("Mul", "x k", "a"), ("Greater", "a half", "c"), ("Where", "c a half", "y")], constants)
    choice("elu-where", [("Greater", "x zero", "c"), ("Exp", "x", "e"), ("Sub", "e one", "s"), ("Mul", "s k", "m"), ("Where", "c x m", "y")], constants)
    choice("elu-clipped", [("Greater", "x zero", "c"), ("Where", "c zero x", "n"), ("Exp", "n", "e"), ("Sub", "e one", "s"), ("Where", "c x s", "y")], constants)
    choice("celu-where", [("Greater", "x zero", "c"), ("Div", "x k", "d"), ("Exp", "d", "e"), ("Sub", "e one", "s"), ("Mul", "k s", "m"), ("Where", "c x m", "y")], constants)
    choice("soft-shrink", [("Neg", "half", "low"), ("Less", "x low", "l"), ("Add", "x half", "a"), ("Where", "l a zero", "i"),
                           ("Greater", "x half", "g"), ("Sub", "x half", "s"), ("Where", "g s i", "y")], constants)
    choice("bent", [("Greater", "x two", "c"), ("Mul", "x two", "a"), ("Add", "x two", "b"), ("Where", "c a b", "y")], constants)
    choice("larger-row", [("Greater", "x row", "c"), ("Where", "c x row", "y")], {"row": f32(2, 7)})
    case("Pattern/maximum-where", 17, (1, 8), [("Split", "x", "a b", {"axis": 1}), ("Greater", "a b", "c"), ("Where", "c a b", "p"), ("Where", "c b a", "q"), ("Concat", "p q", "y", {"axis": 1})])
    tanh = {**constants, "root": scalar(0.7978845608), "cubic": scalar(0.044715), "three": scalar(3.0)}
    tail = [("Tanh", "u", "t"), ("Add", "one t", "g")]
    choice("gelu-tanh-power", [("Pow", "x three", "c"), ("Mul", "cubic c", "m"), ("Add", "x m", "s"), ("Mul", "root s", "u"), *tail, ("Mul", "half g", "h"), ("Mul", "x h", "y")], tanh)
    choice("gelu-tanh-products", [("Mul", "x x", "q"), ("Mul", "x q", "c"), ("Mul", "c cubic", "m"), ("Add", "m x", "s"), ("Mul", "s root", "u"), *tail, ("Mul", "x g", "h"), ("Mul", "h half", "y")], tanh)
    choice("gelu-tanh-factored", [("Mul", "x x", "q"), ("Mul", "cubic q", "m"), ("Add", "m one", "s"), ("Mul", "x root", "r"), ("Mul", "r s", "u"), *tail, ("Mul", "x half", "h"), ("Mul", "g h", "y")], tanh)
    # Choices that jump.
    choice("softplus", [("Softplus", "x", "s"), ("Greater", "x two", "c"), ("Where", "c x s", "y")], constants, group="Jump")
    choice("clip-that-ends-before", [("Clip", "x minus half", "h"), ("Greater", "x one", "c"), ("Where", "c one h", "y")], constants, group="Jump")
    choice("clip-that-begins-behind", [("Clip", "x half two", "h"), ("Less", "x zero", "c"), ("Where", "c zero h", "y")], constants, group="Jump")
    choice("hard-shrink", [("Abs", "x", "a"), ("LessOrEqual", "a half", "c"), ("Where", "c zero x", "y")], constants, group="Jump")
    choice("hard-shrink-or", [("Neg", "half", "low"), ("Greater", "x half", "g"), ("Less", "x low", "l"), ("Cast", "g", "gb", {"to": 9}), ("Or", "gb l", "o"), ("Where", "o x zero", "y")], constants, group="Jump")
    choice("threshold", [("LessOrEqual", "x k", "c"), ("Where", "c two x", "y")], constants, group="Jump")
    choice("truths", [("Greater", "x zero", "a"), ("Less", "x one", "b"), ("And", "a b", "i"), ("Xor", "a b", "o"), ("Not", "i", "n"), ("Cast", "n", "p", {"to": 1}), ("Cast", "o", "q", {"to": 1}), ("Add", "p q", "s"), ("Sub", "one q", "r"), ("Mul", "s r", "y")], constants, group="Jump")
    choice("equal", [("Clip", "x _ half", "h"), ("Equal", "h half", "c"), ("Where", "c two x", "y")], constants, group="Jump")
    choice("broadcast", [("Greater", "x zero", "c"), ("Where", "c row x", "y")], {**constants, "row": f32(3, 1, 1)}, group="Jump")
    choice("thresholded", [("ThresholdedRelu", "x", "y", {"alpha": 0.4})], {}, group="Jump")
    choice("truth-as-number", [("Greater", "x zero", "c"), ("Where", "c c x", "y")], constants, group="Jump", refuse=True)

    # Elementary functions.
    one("Log", "Log", 13, (1, 9), scale=0.1, shift=2.0)
    case("Pattern/log-sigmoid", 13, (1, 9), [("Sigmoid", "x", "s"), ("Log", "s", "y")], scale=3.0)
    case("Log/plus-one", 13, (1, 9), [("Abs", "x", "a"), ("Add", "a one", "b"), ("Log", "b", "y")], {"one": one_})
    for op in ("Sinh", "Cosh"):
        one(op, op, 9, (1, 9))
    one("Tan", "Tan", 7, (1, 9), scale=0.4)
    one("Atanh", "Atanh", 9, (1, 9), scale=0.2)
    one("Acosh", "Acosh", 9, (1, 9), scale=0.2, shift=2.0)
    one("Round/half", "Round", 11, (1, 9), scale=4.0)
    case("Round/ties", 11, (1, 9), [("Floor", "x", "f"), ("Mul", "f half", "h"), ("Round", "h", "y")], {"half": half}, scale=4.0)
    one("ThresholdedRelu/zero", "ThresholdedRelu", 10, (1, 9), {"alpha": 0.0})

    # Reductions.
    for op, scale, shift in [("ReduceL2", 1.0, 0.0), ("ReduceLogSum", 0.2, 2.0), ("ReduceLogSumExp", 2.0, 0.0), ("ReduceProd", 1.0, 0.0)]:
        one(f"{op}/attribute", op, 13, (2, 3, 4), {"axes": [1], "keepdims": 0}, scale=scale, shift=shift)
        one(f"{op}/input", op, 18, (2, 3, 5), {}, {"a": i64(0, -1)}, scale=scale, shift=shift)
        one(f"{op}/all", op, 18, (7,), {"keepdims": 0}, scale=scale, shift=shift)
    for opset in (11, 13):
        for axis in (1, -1):
            one(f"LogSoftmax/{axis}", "LogSoftmax", opset, (2, 3, 5), {"axis": axis}, scale=3.0)
    case("CumSum/plain", 14, (2, 5), [("CumSum", "x a", "y")], {"a": scalar(1, np.int64)})
    case("CumSum/exclusive-reverse", 14, (3, 5), [("CumSum", "x a", "y", {"exclusive": 1, "reverse": 1})], {"a": scalar(0, np.int64)})
    case("CumSum/reverse", 14, (3, 5), [("CumSum", "x a", "y", {"reverse": 1})], {"a": scalar(-1, np.int64)})

    # Normalisations.
    one("LayerNormalization/last", "LayerNormalization", 17, (2, 3, 5), {"epsilon": 1e-3}, {"s": f32(5), "b": f32(5)})
    one("LayerNormalization/two", "LayerNormalization", 17, (2, 3, 5), {"axis": 1}, {"s": f32(3, 5)})
    one("InstanceNormalization", "InstanceNormalization", 6 + 1, (2, 3, 4, 2), {"epsilon": 1e-3}, {"s": f32(3), "b": f32(3)})
    one("GroupNormalization/old", "GroupNormalization", 18, (2, 4, 3), {"num_groups": 2}, {"s": f32(2), "b": f32(2)})
    one("GroupNormalization/new", "GroupNormalization", 21, (2, 4, 3), {"num_groups": 2, "epsilon": 1e-2}, {"s": f32(4), "b": f32(4)})
    one("MeanVarianceNormalization", "MeanVarianceNormalization", 13, (2, 3, 2, 2))
    one("MeanVarianceNormalization/axes", "MeanVarianceNormalization", 9, (2, 3, 2, 2), {"axes": [2, 3]})
    for p in (1, 2):
        one(f"LpNormalization/{p}", "LpNormalization", 13, (2, 3, 4), {"axis": 1, "p": p}, shift=0.5)
        one(f"GlobalLpPool/{p}", "GlobalLpPool", 13, (2, 3, 4, 2), {"p": p})
        one(f"LpPool/{p}", "LpPool", 13, (1, 2, 6, 5), {"p": p, "kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]})
    one("LpPool/third", "LpPool", 13, (1, 2, 6, 5), {"p": 3, "kernel_shape": [3, 2]}, refuse=True)
    one("LRN", "LRN", 13, (1, 6, 2, 3), {"size": 3, "alpha": 0.3})
    one("LRN/wide", "LRN", 13, (1, 3, 2, 2), {"size": 9, "alpha": 0.3})

    # Resizing.
    def resize(name, shape, attributes, scales=None, sizes=None, opset=13, **more):
        nodes = [("Resize", "x _ s" if scales else "x _ _ z", "y", attributes)]
        inits = {"s": np.array(scales, np.float32)} if scales else {"z": i64(*sizes)}
        case(f"Resize/{name}", opset, shape, nodes, inits, **more)

    for mode in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"):
        resize(f"linear-{mode}", (1, 2, 3, 4), {"mode": "linear", "coordinate_transformation_mode": mode}, scales=[1, 1, 2, 2])
        resize(f"linear-sizes-{mode}", (1, 2, 3, 4), {"mode": "linear", "coordinate_transformation_mode": mode}, sizes=[1, 2, 5, 7])
        resize(f"cubic-{mode}", (1, 2, 4, 4), {"mode": "cubic", "coordinate_transformation_mode": mode}, scales=[1, 1, 2, 2])
        for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            attributes = {"mode": "nearest", "coordinate_transformation_mode": mode, "nearest_mode": nearest}
            resize(f"nearest-{mode}-{nearest}", (1, 2, 3, 4), attributes, scales=[1, 1, 2, 4])
    resize("nearest-down", (1, 1, 6, 8), {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, scales=[1, 1, 0.5, 0.25])
    resize("nearest-sizes", (1, 1, 4, 4), {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, sizes=[1, 1, 8, 8])
    resize("linear-down", (1, 1, 6, 8), {"mode": "linear"}, scales=[1, 1, 0.5, 0.75])
    resize("cubic-excluded", (1, 1, 4, 4), {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": 1}, scales=[1, 1, 2, 1])
    resize("symmetric", (1, 1, 3, 4), {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}, scales=[1, 1, 2.5, 2], opset=19)
    resize("axes", (1, 2, 3, 4), {"mode": "linear", "axes": [3, 2]}, scales=[2, 3], opset=18)
    resize("antialiased", (1, 1, 6, 8), {"mode": "linear", "antialias": 1}, scales=[1, 1, 0.5, 0.5], opset=18, refuse=True)
    resize("cropped", (1, 1, 6, 8), {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}, scales=[1, 1, 2, 2], refuse=True)
    case("Resize/old", 10, (1, 1, 3, 4), [("Resize", "x s", "y", {"mode": "nearest"})], {"s": np.array([1, 1, 2, 2], np.float32)})
    case("Upsample/old", 7, (1, 1, 3, 4), [("Upsample", "x", "y", {"mode": "nearest", "scales": [1.0, 1.0, 2.0, 3.0]})])
    case("Upsample/linear", 9, (1, 1, 3, 4), [("Upsample", "x s", "y", {"mode": "linear"})], {"s": np.array([1, 1, 2, 2], np.float32)})

    for name, attributes in [("linear", {}), ("aligned", {"align_corners": 1}), ("border", {"padding_mode": "border"}), ("nearest", {"mode": "nearest"})]:
        mode = {} if "mode" in attributes else {"mode": "linear"}
        one(f"GridSample/{name}", "GridSample", 20, (1, 2, 4, 5), {**mode, **attributes}, {"g": rng.uniform(-1.2, 1.2, (1, 3, 2, 2)).astype(np.float32)})
    one("GridSample/reflected", "GridSample", 20, (1, 2, 4, 5), {"padding_mode": "reflection"}, {"g": f32(1, 3, 2, 2)}, refuse=True)

    # Contractions.
    for name, equation, shape, other in [
        ("batched", "bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
        ("transposed", "bid,bjd->bij", (2, 3, 4), (2, 5, 4)),
        ("linear", "btd,dk->btk", (1, 3, 4), (4, 5)),
        ("several", "abc,cde->abde", (1, 2, 3), (3, 2, 2)),
        ("two", "abcd,cde->abe", (1, 2, 3, 2), (3, 2, 4)),
        ("outer", "i,j->ij", (3,), (2,)),
        ("elementwise", "ij,ij->ij", (3, 2), (3, 2)),
        ("summed", "ijk,kl->li", (3, 2, 4), (4, 2)),
        ("implicit", "ij,jk", (3, 2), (2, 4)),
        ("ellipsis", "...ij,...jk->...ik", (2, 2, 3, 2), (2, 2, 2, 4)),
        ("dot", "i,i->", (5,), (5,)),
    ]:
        one(f"Einsum/{name}", "Einsum", 12, shape, {"equation": equation}, {"w": f32(*other)})
    one("Einsum/permuted", "Einsum", 12, (2, 3, 4), {"equation": "ijk->kij"})
    one("Einsum/reduced", "Einsum", 12, (2, 3, 4), {"equation": "ijk->j"})
    one("Einsum/trace", "Einsum", 12, (3, 3), {"equation": "ii->"})
    one("Einsum/diagonal", "Einsum", 12, (3, 3), {"equation": "ii->i"})
    case("Einsum/three", 12, (2, 3), [("Einsum", "x w v", "y", {"equation": "ij,jk,kl->il"})], {"w": f32(3, 4), "v": f32(4, 2)})
    case("Einsum/variable", 12, (2, 3), [("Einsum", "x x", "y", {"equation": "ij,kj->ik"})])

    # Constant indices.
    one("GatherElements", "GatherElements", 13, (3, 4), {"axis": 1}, {"i": np.array([[0, -1], [2, 2], [3, 0]], np.int64)})
    one("GatherND", "GatherND", 13, (3, 4, 2), {}, {"i": np.array([[0, -1], [2, 2]], np.int64)})
    one("GatherND/batch", "GatherND", 13, (2, 3, 4), {"batch_dims": 1}, {"i": np.array([[[0], [2]], [[1], [-1]]], np.int64)})
    case("ScatterND/plain", 13, (2, 3), [("ScatterND", "d i x", "y")], {"d": f32(4, 3), "i": np.array([[2], [0]], np.int64)})
    case("ScatterND/data", 16, (4, 3), [("ScatterND", "x i u", "y", {"reduction": "none"})], {"u": f32(2), "i": np.array([[2, 1], [-1, 0]], np.int64)})
    case("ScatterND/add", 16, (4, 3), [("ScatterND", "x i u", "y", {"reduction": "add"})], {"u": f32(2), "i": np.array([[2, 1], [0, 0]], np.int64)})
    case("ScatterND/twice", 13, (2, 3), [("ScatterND", "d i x", "y")], {"d": f32(4, 3), "i": np.array([[2], [2]], np.int64)}, refuse=True)
    for reduction in ("none", "mul", "max", "min"):
        case(f"ScatterElements/{reduction}", 18, (2, 3), [("ScatterElements", "x i u", "y", {"axis": 1, "reduction": reduction})], {"u": f32(2, 2), "i": np.array([[2, 0], [1, -1]], np.int64)})
    case("OneHot", 11, (2, 3), [("OneHot", "i d v", "h", {"axis": 0}), ("MatMul", "x h", "y")], {"i": i64(1, -1, 0, 5), "d": scalar(3, np.int64), "v": f32(2)})
    case("Trilu/upper", 14, (3, 4), [("Trilu", "x k", "y")], {"k": scalar(1, np.int64)})
    case("Trilu/lower", 14, (2, 3, 3), [("Trilu", "x", "y", {"upper": 0})])

    # Masks of attention.
    allowed = np.tril(np.ones((4, 4), bool))
    mask = np.where(allowed, f32(4, 4), -np.inf).astype(np.float32)
    minus = scalar(-np.inf)
    case("Mask/where", 13, (2, 4, 4), [("Where", "m x i", "s"), ("Softmax", "s", "y", {"axis": -1})], {"m": allowed, "i": minus})
    case("Mask/where-other-side", 13, (2, 4, 4), [("Where", "m i x", "s"), ("Softmax", "s", "y")], {"m": ~allowed, "i": minus})
    case("Mask/sum", 13, (2, 4, 4), [("Add", "x m", "s"), ("Softmax", "s", "y", {"axis": 2})], {"m": mask})
    case("Mask/elsewhere", 13, (2, 4, 4), [("Add", "x m", "s"), ("Exp", "s", "y")], {"m": mask}, refuse=True)
    case("Mask/other-axis", 13, (2, 4, 4), [("Add", "x m", "s"), ("Softmax", "s", "y", {"axis": 1})], {"m": mask}, refuse=True)

    # Quantisation. Inputs lie away from the places where the nearest integer changes.
    def quantised(name, nodes, inits, shape=(2, 5), **more):
        case(f"Quantised/{name}", 13, shape, [("QuantizeLinear", "x s z", "q"), *nodes], {"s": scalar(0.037), "z": scalar(7, np.uint8), **inits}, **more)

    back = ("DequantizeLinear", "q s z", "y")
    quantised("tensor", [back], {})
    quantised("saturated", [back], {}, scale=20.0)
    quantised("signed", [back], {"z": scalar(-3, np.int8)})
    quantised("without-zero", [("QuantizeLinear", "x s", "p"), ("DequantizeLinear", "p s", "a"), ("DequantizeLinear", "q s z", "b"), ("Add", "a b", "y")], {})
    case("Quantised/channels", 13, (2, 3, 4), [("QuantizeLinear", "x s z", "q", {"axis": 1}), ("DequantizeLinear", "q s z", "y", {"axis": 1})],
         {"s": np.array([0.03, 0.05, 0.011], np.float32), "z": np.array([1, -2, 0], np.int8)})
    weights = {"w": rng.integers(-127, 128, (5, 3)).astype(np.int8), "ws": scalar(0.011), "wz": scalar(0, np.int8), "ys": scalar(0.043), "yz": scalar(128, np.uint8)}
    quantised("matmul", [("QLinearMatMul", "q s z w ws wz ys yz", "p"), ("DequantizeLinear", "p ys yz", "y")], weights)
    quantised("gemm", [("com.microsoft:QGemm", "q s z w ws wz b ys yz", "p", {"transB": 0}), ("DequantizeLinear", "p ys yz", "y")], {**weights, "b": rng.integers(-900, 900, 3).astype(np.int32)})
    quantised("gemm-float", [("com.microsoft:QGemm", "q s z w ws wz", "y", {"transB": 0})], weights)
    quantised("conv", [("QLinearConv", "q s z w ws wz ys yz b", "p", {"pads": [1, 1, 1, 1]}), ("DequantizeLinear", "p ys yz", "y")],
              {**weights, "w": rng.integers(-127, 128, (3, 2, 3, 3)).astype(np.int8), "ws": np.array([0.01, 0.02, 0.013], np.float32), "wz": np.zeros(3, np.int8), "b": rng.integers(-900, 900, 3).astype(np.int32)}, shape=(1, 2, 4, 4))
    quantised("add", [("com.microsoft:QLinearAdd", "q s z w ws wz ys yz", "p"), ("DequantizeLinear", "p ys yz", "y")],
              {**weights, "w": rng.integers(0, 255, (1, 5)).astype(np.uint8), "wz": scalar(4, np.uint8)})
    quantised("sigmoid", [("com.microsoft:QLinearSigmoid", "q s z ys yz", "p"), ("DequantizeLinear", "p ys yz", "y")], {"ys": scalar(0.0041), "yz": scalar(2, np.uint8)})
    quantised("concat", [("com.microsoft:QLinearConcat", "ys yz q s z q s z", "p", {"axis": 1}), ("DequantizeLinear", "p ys yz", "y")], {"ys": scalar(0.043), "yz": scalar(3, np.uint8)})
    case("Quantised/dynamic", 13, (2, 5), [("DynamicQuantizeLinear", "x", "q s z"), ("DequantizeLinear", "q s z", "y")], refuse=True)

    # Recurrent layers.
    def recurrent(name, op, gates, attributes, inputs="x w r b", outputs="y", directions=1, extra=None, shape=(4, 2, 3), after=()):
        hidden = 2
        inits = {"w": f32(directions, gates * hidden, 3), "r": f32(directions, gates * hidden, hidden), "b": f32(directions, 2 * gates * hidden), **(extra or {})}
        case(f"Recurrent/{name}", 14, shape, [(op, inputs, outputs, {"hidden_size": hidden, **attributes}), *after], inits)

    recurrent("lstm", "LSTM", 4, {})
    recurrent("lstm-states", "LSTM", 4, {}, "x w r b _ h c", "_ _ y", extra={"h": f32(1, 2, 2), "c": f32(1, 2, 2)})
    recurrent("lstm-both-ways", "LSTM", 4, {"direction": "bidirectional"}, outputs="_ y", directions=2)
    recurrent("gru", "GRU", 3, {})
    recurrent("gru-linear", "GRU", 3, {"linear_before_reset": 1, "direction": "reverse"})
    recurrent("gru-bare", "GRU", 3, {}, "x w r")
    recurrent("rnn", "RNN", 1, {"activations": ["Relu"]})
    recurrent("rnn-both-ways", "RNN", 1, {"direction": "bidirectional"}, directions=2)

    # Too large.
    layer = {"w": f32(1, 1, 1), "r": f32(1, 1, 1), "s": i64(5000, 1, 1)}
    case("Recurrent/long", 14, (1, 1, 1), [("Expand", "x s", "l"), ("RNN", "l w r", "y", {"hidden_size": 1})], layer, refuse=True)
    resize("huge", (1, 1, 3, 4), {"mode": "nearest"}, scales=[1, 1, 1e9, 1e9], refuse=True)
    resize("huge-linear", (1, 1, 3, 4), {"mode": "linear"}, sizes=[1, 1, 3, 2**40], refuse=True)
    case("OneHot/huge", 11, (2, 3), [("OneHot", "i d v", "h"), ("ReduceSum", "h", "t"), ("Add", "x t", "y")], {"i": i64(1), "d": scalar(2**40, np.int64), "v": f32(2)}, refuse=True)
    case("Quantised/axis", 13, (3,), [("QuantizeLinear", "x s z", "q", {"axis": 1}), ("DequantizeLinear", "q s z", "y", {"axis": 0})],
         {"s": np.array([0.03, 0.05, 0.011], np.float32), "z": np.array([1, -2, 0], np.int8)}, refuse=True)

    # Other domains.
    microsoft = "com.microsoft:"
    case("Foreign/gelu", 17, (2, 5), [(microsoft + "Gelu", "x", "y")], scale=2.0)
    case("Foreign/bias-gelu", 17, (2, 5), [(microsoft + "BiasGelu", "x b", "y")], {"b": f32(5)})
    case("Foreign/fast-gelu", 17, (2, 5), [(microsoft + "FastGelu", "x b", "y")], {"b": f32(5)})
    case("Foreign/quick-gelu", 17, (2, 5), [(microsoft + "QuickGelu", "x", "y", {"alpha": 1.5})], scale=2.0)
    case("Foreign/fused-conv", 17, (1, 2, 5, 5), [(microsoft + "FusedConv", "x w b", "y", {"activation": "Clip", "activation_params": [-0.5, 1.0], "pads": [1, 1, 1, 1]})], {"w": f32(3, 2, 3, 3), "b": f32(3)})
    case("Foreign/fused-gemm", 17, (2, 5), [(microsoft + "FusedGemm", "x w b", "y", {"activation": "LeakyRelu", "activation_alpha": 0.2, "transB": 1})], {"w": f32(3, 5), "b": f32(3)})
    case("Foreign/fused-matmul", 17, (2, 3, 4), [(microsoft + "FusedMatMul", "x w", "y", {"alpha": 0.5, "transA": 1})], {"w": f32(2, 3, 2)})
    skip = {"k": f32(2, 3, 4), "s": f32(4), "b": f32(4), "c": f32(4)}
    case("Foreign/skip-layer", 17, (2, 3, 4), [(microsoft + "SkipLayerNormalization", "x k s b c", "n _ _ t", {"epsilon": 1e-3}), ("Add", "n t", "y")], skip)
    case("Foreign/skip-rms", 17, (2, 3, 4), [(microsoft + "SkipSimplifiedLayerNormalization", "x k s c", "y", {"epsilon": 1e-3})], skip)
    learning = "ai.onnx.ml:"
    case("Foreign/scaler", 17, (2, 3), [(learning + "Scaler", "x", "y", {"offset": [0.5, 1.0, -1.0], "scale": [2.0, 0.5, 1.5]})])
    case("Foreign/scaler-one", 17, (2, 3), [(learning + "Scaler", "x", "y", {"offset": [0.5], "scale": [2.0]})])
    for norm in ("L1", "L2"):
        case(f"Foreign/normalizer-{norm}", 17, (2, 3), [(learning + "Normalizer", "x", "y", {"norm": norm})])
    case("Foreign/regressor", 17, (2, 3), [(learning + "LinearRegressor", "x", "y", {"coefficients": list(map(float, f32(6))), "intercepts": [0.5, -1.0], "targets": 2})])
    case("Foreign/classifier", 17, (2, 3), [(learning + "LinearClassifier", "x", "l y", {"coefficients": list(map(float, f32(9))), "intercepts": [0.5, -1.0, 0.25], "classlabels_ints": [0, 1, 2], "post_transform": "SOFTMAX"})])
    case("Foreign/labels", 17, (2, 3), [(learning + "LinearClassifier", "x", "l p", {"coefficients": list(map(float, f32(9))), "intercepts": [0.5, -1.0, 0.25], "classlabels_ints": [0, 1, 2]}), ("Cast", "l", "y", {"to": 1})], refuse=True)
    for kernel in ("RBF", "LINEAR", "SIGMOID"):
        case(f"Foreign/svm-{kernel}", 17, (2, 3), [(learning + "SVMRegressor", "x", "y", {"coefficients": list(map(float, f32(4))), "support_vectors": list(map(float, f32(12))), "n_supports": 4, "rho": [0.3], "kernel_type": kernel, "kernel_params": [0.4, 0.2, 3.0]})])
    # Two trees of three leaves: node 0 decides, and node 1 beside it.
    tree = {"nodes_treeids": [0] * 5 + [1] * 5, "nodes_nodeids": list(range(5)) * 2, "nodes_featureids": [0, 1, 0, 0, 0, 2, 0, 0, 0, 0],
            "nodes_modes": (["BRANCH_LEQ"] * 2 + ["LEAF"] * 3) + (["BRANCH_LT"] + ["BRANCH_GT"] + ["LEAF"] * 3), "nodes_values": [0.1, -0.2, 0, 0, 0, 0.3, 0.0, 0, 0, 0],
            "nodes_truenodeids": [1, 3, 0, 0, 0] * 2, "nodes_falsenodeids": [2, 4, 0, 0, 0] * 2}
    leaf = {"target_treeids": [0, 0, 0, 1, 1, 1], "target_nodeids": [2, 3, 4] * 2, "target_ids": [0] * 6, "target_weights": [1.0, -0.5, 0.25, 2.0, 0.75, -1.5]}
    for seed in range(4):
        if seed < 3:
            same = {**tree, "nodes_modes": [["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE"][seed] if mode != "LEAF" else mode for mode in tree["nodes_modes"]]}
        case(f"Foreign/trees-{seed}", 17, (1, 3), [(learning + "TreeEnsembleRegressor", "x", "y", {**(same if seed < 3 else tree), **leaf, "n_targets": 1, "base_values": [0.5]})])
    case("Foreign/unknown", 17, (2, 3), [(microsoft + "Inverse", "x", "y")], refuse=True)
