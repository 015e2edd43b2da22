"""Smallest boxes of models/digits_relu.onnx by enumeration: the reference of tests/claims/tightness.rs.

    pip install numpy onnx scipy
    python make_optimal.py > optimal.json       # from this folder

For the first test images the pixels vary by EPSILON, clipped to [0, 1]. Every ReLU that interval propagation leaves unstable is
fixed on either side, all combinations; on each the margins are linear, and linear programs (HiGHS) give their ends.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from scipy.optimize import linprog

EPSILON = 0.02
SAMPLES = [0, 1, 2]
MODELS = Path(__file__).resolve().parents[2] / "models"


def layers():
    graph = onnx.load(MODELS / "digits_relu.onnx").graph
    tensors = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
    gemms = [node for node in graph.node if node.op_type == "Gemm"]
    assert [node.op_type for node in graph.node] == ["Gemm", "Relu", "Gemm", "Relu", "Gemm"]
    for node in gemms:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        assert attributes.get("transB", 0) == 1 and attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
        yield tensors[node.input[1]], tensors[node.input[2]]


def ends(weights, low, high, label):
    centre, radius = (low + high) / 2, (high - low) / 2
    states = []
    for w, b in weights[:-1]:
        z, r = w @ centre + b, np.abs(w) @ radius
        states.append([(False,) if u <= 0 else (True,) if l >= 0 else (False, True) for l, u in zip(z - r, z + r)])
        l, u = np.maximum(z - r, 0), np.maximum(z + r, 0)
        centre, radius = (l + u) / 2, (u - l) / 2
    unstable = sum(len(s) > 1 for layer in states for s in layer)
    lower, upper = np.full(9, np.inf), np.full(9, -np.inf)
    for pattern in itertools.product(*[s for layer in states for s in layer]):
        a, c = np.eye(len(low)), np.zeros(len(low))
        sides, right, at = [], [], 0
        for (w, b), layer in zip(weights[:-1], states):
            a, c = w @ a, w @ c + b
            for j, choices in enumerate(layer):
                if len(choices) > 1:
                    sign = -1.0 if pattern[at + j] else 1.0
                    sides.append(sign * a[j])
                    right.append(-sign * c[j])
            active = np.array(pattern[at : at + len(layer)], float)
            at += len(layer)
            a, c = active[:, None] * a, active * c
        w, b = weights[-1]
        a, c = w @ a, w @ c + b
        for row, other in enumerate(j for j in range(10) if j != label):
            q, constant = a[label] - a[other], c[label] - c[other]
            for sign in (1.0, -1.0):
                solved = linprog(sign * q, sides or None, right or None, bounds=list(zip(low, high)), method="highs")
                if solved.status == 2:
                    break
                assert solved.status == 0, solved.message
                value = constant + sign * solved.fun
                lower[row], upper[row] = min(lower[row], value), max(upper[row], value)
    return unstable, lower.tolist(), upper.tolist()


def main():
    data = np.load(MODELS / "digits_test.npz")
    weights = list(layers())
    found = []
    for sample in SAMPLES:
        x, label = data["x"][sample].astype(np.float64), int(data["y"][sample])
        low, high = np.maximum(x - EPSILON, 0), np.minimum(x + EPSILON, 1)
        unstable, lower, upper = ends(weights, low, high, label)
        found.append({"sample": sample, "label": label, "unstable": unstable, "lower": lower, "upper": upper})
    print(json.dumps({"epsilon": EPSILON, "samples": found}, indent=1))


main()
