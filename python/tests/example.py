"""Uses the whole package, from the repository's folder: it is type-checked strictly and run."""

from __future__ import annotations

import nnverify
import numpy as np

model: nnverify.Model = nnverify.load("models/digits_relu.onnx")
with np.load("models/digits_test.npz") as file:
    x, y = file["x"], file["y"]

bound: nnverify.LipschitzResult = model.lipschitz("l2", engine="product", timeout=60)
assert bound.bound is not None and bound.certificate is not None
checked = bound.check()
assert checked is not None and checked.established

robust: nnverify.RobustnessResult = model.robust(x[:5], y[:5], eps="0.02", clip=(0, 1), seed=1)
print(robust.status, robust.lower, robust.outcomes)

never = nnverify.spec(x=(0.0, 1.0), unsafe=lambda y: (y[0] >= 1000) | (y[1] - y[2] >= "1e4"))
print(model.verify(never).verdict)

try:
    model.robust(x[:, :3], y, eps=0.1)
except nnverify.NnverifyError as error:
    print(error.code, error.hint)
