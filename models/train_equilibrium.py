"""Train a small equilibrium network on digits and write it as JSON.

    pip install numpy scikit-learn
    python train_equilibrium.py [OUTPUT_FOLDER]   # default: this script's folder

z = relu(W z + U x + b), y = C z + d on scikit-learn's digits, split as in
train_digits.py. W = (1 - m) I - A'A + S - S' with m = 0.5 is strongly monotone
for any A and S (Winston and Kolter, NeurIPS 2020), so that the equation keeps
exactly one solution while it is trained; the verifier proves that again from
the numbers that are written, which are rounded to eight digits.

Gradients are those of the solution (implicit differentiation): no unrolling.
"""

import json
import os
import sys

import numpy as np
from sklearn.datasets import load_digits

UNKNOWNS, MONOTONE, NOISE = 20, 0.5, 0.2
STEPS, BATCH, RATE, DECAY = 1500, 64, 0.01, 1e-4
TEST_SIZE = 450


def load_split():
    digits = load_digits()
    x, y = digits.data / 16.0, digits.target
    order = np.random.RandomState(0).permutation(len(x))
    test, train = order[:TEST_SIZE], order[TEST_SIZE:]
    return x[train], y[train], x[test], y[test]


def feedback(p):
    return (1 - MONOTONE) * np.eye(UNKNOWNS) - p["A"].T @ p["A"] + p["S"] - p["S"].T


def solve(w, injection):
    """The solution by Newton's method, sample by sample, from zero."""
    z = np.zeros_like(injection)
    for _ in range(50):
        v = z @ w.T + injection
        residual = z - np.maximum(v, 0)
        if np.abs(residual).max() < 1e-12:
            break
        slopes = (v > 0).astype(float)
        step = np.linalg.solve(np.eye(UNKNOWNS) - slopes[:, :, None] * w, residual[:, :, None])[:, :, 0]
        z = z - step
    return z, (z @ w.T + injection > 0).astype(float)


def gradients(p, x, y):
    w = feedback(p)
    injection = x @ p["U"].T + p["b"]
    z, slopes = solve(w, injection)
    logits = z @ p["C"].T + p["d"]
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    delta = shifted / shifted.sum(1, keepdims=True)
    loss = -np.log(delta[np.arange(len(y)), y]).mean()
    delta[np.arange(len(y)), y] -= 1
    delta /= len(y)
    # (I - D W)' s = C' delta, then D s meets the arguments.
    system = np.transpose(np.eye(UNKNOWNS) - slopes[:, :, None] * w, (0, 2, 1))
    adjoint = slopes * np.linalg.solve(system, (delta @ p["C"])[:, :, None])[:, :, 0]
    dw = adjoint.T @ z
    gradient = {
        "A": -p["A"] @ (dw + dw.T),
        "S": dw - dw.T,
        "U": adjoint.T @ x,
        "b": adjoint.sum(0),
        "C": delta.T @ z,
        "d": delta.sum(0),
    }
    return loss, gradient


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    x, y, x_test, y_test = load_split()
    random = np.random.RandomState(7)
    n, inputs, outputs = UNKNOWNS, x.shape[1], 10
    p = {
        "A": 0.3 * random.randn(n, n) / np.sqrt(n),
        "S": 0.3 * random.randn(n, n) / np.sqrt(n),
        "U": random.randn(n, inputs) / np.sqrt(inputs),
        "b": np.zeros(n),
        "C": random.randn(outputs, n) / np.sqrt(n),
        "d": np.zeros(outputs),
    }
    first, second = ({k: np.zeros_like(v) for k, v in p.items()} for _ in range(2))
    for step in range(1, STEPS + 1):
        chosen = random.randint(0, len(x), BATCH)
        loss, gradient = gradients(p, x[chosen] + NOISE * random.randn(BATCH, inputs), y[chosen])
        for k in p:
            g = gradient[k] + DECAY * p[k]
            first[k] = 0.9 * first[k] + 0.1 * g
            second[k] = 0.999 * second[k] + 0.001 * g * g
            rate = RATE * (1 - step / STEPS)
            p[k] -= rate * (first[k] / (1 - 0.9**step)) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
    arrays = {"W": feedback(p), "U": p["U"], "b": p["b"], "C": p["C"], "d": p["d"]}
    arrays = {k: np.vectorize(lambda value: float(f"{value:.8g}"))(v) for k, v in arrays.items()}
    z, _ = solve(arrays["W"], x_test @ arrays["U"].T + arrays["b"])
    accuracy = (np.argmax(z @ arrays["C"].T + arrays["d"], 1) == y_test).mean()
    model = {"schema": "nnverify-implicit/1", "producer": "models/train_equilibrium.py", "activation": {"name": "Relu"}}
    lines = [f'  "{k}": {json.dumps(v)}' for k, v in model.items()]
    for name, values in arrays.items():
        if values.ndim == 1:
            lines.append(f'  "{name}": {json.dumps(values.tolist())}')
        else:
            rows = ",\n    ".join(json.dumps(row) for row in values.tolist())
            lines.append(f'  "{name}": [\n    {rows}\n  ]')
    with open(os.path.join(folder, "digits_equilibrium.json"), "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"digits_equilibrium.json: test accuracy {100 * accuracy:.1f} %, last loss {loss:.3f}")


if __name__ == "__main__":
    main()
