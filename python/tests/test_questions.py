"""Every question, on a sample model: the numbers are those of the command line, and claims are proved again."""

from __future__ import annotations

import json
import subprocess
import sys

import nnverify
import numpy as np
import pytest
from conftest import MODELS, ROOT


def command(*arguments: object, code: int = 0) -> dict:
    """What the command line says as JSON."""
    line = [sys.executable, "-m", "nnverify", *map(str, arguments), "--output-format", "json", "-q"]
    found = subprocess.run(line, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == code, found.stderr
    return json.loads(found.stdout)


def test_the_numbers_are_those_of_the_command_line_bit_for_bit(model, digits, tmp_path):
    certificate = tmp_path / "c.json"
    command(MODELS / "digits_relu.onnx", "--lipschitz", "l2", "--engine", "product", "--certificate", certificate)
    (told,) = json.loads(certificate.read_text())["claims"]
    found = model.lipschitz("l2", engine="product")
    assert found.certificate.claims == [told]
    assert found.bound == np.array(int(told["bound"]["bits"], 16), dtype=np.uint64).view(np.float64)

    x, y = digits
    arguments = ["--robust", "--data", MODELS / "digits_test.npz", "--samples", 20, "--eps", 0.2, "--norm", "linf"]
    command(MODELS / "digits_relu.onnx", *arguments, "--fresh", "--certificate", certificate, code=1)
    (told,) = json.loads(certificate.read_text())["claims"]
    found = model.robust(x[:20], y[:20], eps=0.2)
    (own,) = found.certificate.claims
    # The files are others, and so is how many samples they have.
    for name in ("data", "available"):
        told.pop(name), own.pop(name)
    assert own == told


def test_a_lipschitz_bound_is_attained_nearly_and_checked_again(model, tmp_path):
    found = model.lipschitz("l2")
    assert found.status == "established" and found.assurance == "proved"
    assert found.lower <= found.bound <= found.norm_product
    first, second = found.witness
    quotient = np.linalg.norm(np.diff(model(np.stack([first, second])), axis=0)) / np.linalg.norm(first - second)
    assert quotient == pytest.approx(found.lower, rel=1e-6)
    assert found.check().established
    found.certificate.write(tmp_path / "c.json")
    assert nnverify.check(tmp_path / "c.json", MODELS / "digits_relu.onnx").established
    refused = nnverify.check(tmp_path / "c.json", MODELS / "digits_maxmin.onnx")
    assert not refused.accepted and "[NV504]" in refused.refusal


def test_regions(model, digits):
    everywhere = model.lipschitz("linf")
    interval = model.lipschitz("linf", region=(0, 1))
    box = model.lipschitz("linf", region=(np.zeros((1, 64)), 1.0))
    around = model.lipschitz("linf", region=nnverify.around(digits[0][:2], 0.01))
    assert box.bound == interval.bound <= everywhere.bound
    assert len(around.bounds) == 2 and around.bound <= interval.bound
    with pytest.raises(nnverify.NnverifyError, match="63"):
        model.lipschitz("linf", region=(np.zeros(63), np.ones(63)))


def test_margins_and_radii(model, digits):
    x, y = digits
    found = model.lipschitz("l2", margins=True, radii=(x[:5], y[:5]), engine="product")
    assert len(found.radii) == 5 and all(radius >= 0 for radius in found.radii)
    assert (0, 1) in found.functionals
    with pytest.raises(nnverify.NnverifyError) as error:
        model.lipschitz("l2", radii=(x[:5], y[:5]))
    assert error.value.code == "NV001"


def test_robustness_of_samples(model, digits):
    x, y = digits
    found = model.robust(x[:20], y[:20], eps="1/5", progress=False)
    assert found.status == "violated" and found.lower <= found.upper < 1
    table = found.to_pandas()
    assert list(table["outcome"]) == list(found.outcomes) and len(table) == 20
    for sample, point in found.witness.items():
        assert np.max(np.abs(point - x[sample])) <= 0.2 + 1e-6
        assert model(point[None]).argmax() != y[sample] or found.outcomes[sample] == "misclassified"
    assert found.check().established


def test_normalisation_is_part_of_the_claim(model, digits):
    x, y = digits
    plain = model.robust(x[:10], y[:10], eps=0.02)
    scaled = model.robust(x[:10] * 4 + 1, y[:10], eps=0.08, mean=1, std=4)
    assert scaled.outcomes == plain.outcomes
    (claim,) = scaled.certificate.claims
    assert claim["perturbation"]["mean"] == ["1"] and claim["perturbation"]["epsilon"] == "0.08"


def test_specifications(model):
    path = ROOT / "specs" / "digit_0_within_0.05.vnnlib"
    assert model.verify(path).verdict == "unsat"
    by_text = model.verify(path.read_text())
    assert by_text.status == "established" and by_text.check().established
    built = nnverify.spec(x=(0.0, 1.0), unsafe=lambda y: (y[0] >= y[1]) & (2 * y[0] - y[3] <= 100))
    found = model.verify(built)
    assert found.verdict == "sat" and found.status == "violated"
    x, y = found.witness
    assert y[0] >= y[1] and found.result_file.startswith("sat")
    assert model(x[None]).ravel() == pytest.approx(y, abs=1e-3)
    never = nnverify.spec(x=(np.zeros(64), np.ones(64)), unsafe=lambda y: y[-1] >= 1000)
    assert model.verify(never).status == "established"
    contradiction = model.verify(nnverify.spec(x=(1, 0), unsafe=lambda y: y[0] >= 0))
    assert contradiction.vacuous and contradiction.status == "inconclusive"


def test_a_builder_loses_nothing():
    def text(unsafe):
        return nnverify.spec(x=(0, 1), unsafe=unsafe).text(1, 3)

    for wrong in (
        lambda y: 0 <= y[0] <= 1,
        lambda y: y[0] >= 1 and y[1] >= 1,
        lambda y: y[0] > 1,
        lambda y: y[0] == 1,
        lambda y: y[0] + y[0] >= 1,
    ):
        with pytest.raises(TypeError):
            text(wrong)
    with pytest.raises(IndexError):
        text(lambda y: y[3] >= 1)
    with pytest.raises(nnverify.NnverifyError):
        text(lambda y: True)
    with pytest.raises(nnverify.NnverifyError):
        nnverify.spec(x=(0, float("inf")), unsafe=lambda y: y[0] >= 0)
    assert "(assert (or (>= Y_0 Y_1) (<= (+ (* 0.1 Y_2) Y_0) 1e-05)))" in text(
        lambda y: (y[0] >= y[1]) | (0.1 * y[2] + y[0] <= 1e-5)
    )


def test_tightness(model, digits):
    x, y = digits
    found = model.tightness(x[:2], y[:2], eps=0.01, timeout=5)
    assert 0 < found.lower <= found.upper <= 1 and found.check().established
    assert len(found.to_pandas()) == 2


def test_curvature(model, digits):
    pytest.importorskip("scipy")
    x, y = digits
    trace = model.hessian_trace(x[:5], y[:5], loss="cross-entropy")
    assert trace.lower <= trace.upper and trace.assurance == "proved" and trace.matrix == "hessian"
    targets = np.eye(10)[y]
    sgd = model.stability(x[:5], targets[:5], learning_rate=0.001, batch_size=1, timeout=30)
    assert sgd.stability in ("stable", "unstable", None)
    inverse = model.inverse_hessian(x[:10], y[:10], loss="cross-entropy", damping=0.01)
    v = np.linspace(-1, 1, inverse.shape[0])
    assert inverse.shape == (3466, 3466) and inverse.result.bound < 1e-6
    found = inverse.product(v)
    assert np.array_equal(inverse @ v, found.product) and found.assurance == "checked" and found.check().established
    assert v @ (inverse @ v) > 0 and np.array_equal(inverse.H @ v, found.product)
    suspects = model.influence(x[:10], y[:10], loss="cross-entropy", damping=0.01).to_pandas()
    assert list(suspects.columns) == ["sample", "label", "leverage"] and len(suspects) == 10
    with pytest.raises(nnverify.NnverifyError):
        inverse.product(v[:-1])


def test_reports_and_cards(model, tmp_path):
    found = model.lipschitz("l2", engine="product")
    for name in ("audit.html", "audit.md", "audit.json", "audit.xml"):
        found.report(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 100
    assert found._repr_html_().startswith("<iframe sandbox")
    with pytest.raises(nnverify.NnverifyError) as error:
        found.report(tmp_path / "audit.docx")
    assert error.value.code == "NV001"
    with pytest.raises(TypeError):
        bool(found)
