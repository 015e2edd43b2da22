"""What all tests share: the sample models of the repository, each loaded once."""

from __future__ import annotations

from pathlib import Path

import nnverify
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def model() -> nnverify.Model:
    return nnverify.load(MODELS / "digits_relu.onnx")


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    with np.load(MODELS / "digits_test.npz") as file:
        return file["x"], file["y"]
