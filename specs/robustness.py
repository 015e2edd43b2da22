#!/usr/bin/env python3
"""Writes the specifications of this folder: no point of an ℓ∞ ball around a sample of `models/digits_test.npz` has another class.

    python3 specs/robustness.py

As in competitions a file says what is *unsafe*: its answer is `unsat` where the sample is robust. Needs numpy.
"""
from pathlib import Path

import numpy

FOLDER = Path(__file__).resolve().parent
# Sample and radius.
WANTED = [(0, 0.05), (5, 0.2)]


def specification(pixels, label, classes, radius):
    lines = [f"; the class {label} within {radius} of a sample, in the maximum norm; pixels lie in [0, 1]"]
    lines += [f"(declare-const X_{i} Real)" for i in range(len(pixels))]
    lines += [f"(declare-const Y_{k} Real)" for k in range(classes)]
    for i, pixel in enumerate(pixels):
        lines.append(f"(assert (>= X_{i} {max(pixel - radius, 0.0):.9f}))")
        lines.append(f"(assert (<= X_{i} {min(pixel + radius, 1.0):.9f}))")
    others = " ".join(f"(and (>= Y_{k} Y_{label}))" for k in range(classes) if k != label)
    return "\n".join([*lines, f"(assert (or {others}))", ""])


def main():
    data = numpy.load(FOLDER.parent / "models" / "digits_test.npz")
    for sample, radius in WANTED:
        pixels, label = data["x"][sample].reshape(-1).astype(float), int(data["y"][sample])
        path = FOLDER / f"digit_{sample}_within_{radius}.vnnlib"
        path.write_text(specification(pixels, label, 10, radius))


if __name__ == "__main__":
    main()
