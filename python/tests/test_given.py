"""What is given: models in every form, arrays of every type, and what is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import nnverify
import numpy as np
import pytest
from conftest import MODELS, ROOT
from nnverify import NnverifyError


def test_models_in_every_form(model):
    bytes_ = (MODELS / "digits_relu.onnx").read_bytes()
    given = nnverify.load(bytes_)
    assert given.digest == model.digest and given.path.exists()
    onnx = pytest.importorskip("onnx")
    proto = nnverify.load(onnx.load(str(MODELS / "digits_relu.onnx")))
    assert proto.lipschitz(engine="product").bound == model.lipschitz(engine="product").bound
    assert nnverify.load(MODELS / "digits_equilibrium.json").lipschitz("l2").status == "established"
    with pytest.raises(TypeError):
        nnverify.load(7)
    with pytest.raises(TypeError):
        nnverify.load(bytes_, example_input=np.zeros((1, 64)))
    with pytest.raises(NnverifyError) as error:
        nnverify.load(b"no model")
    assert error.value.code == "NV102" and "NV102" in nnverify.explain("nv102")
    path = given.path
    del given
    assert not path.exists()


def test_element_types_are_kept(model, digits):
    x, y = digits
    found = [model.robust(x[:4].astype(t), y[:4], eps=0.01).outcomes for t in (np.float32, np.float64, ">f4")]
    assert found[0] == found[1] == found[2]
    pixels = np.round(x[:4] * 16).astype(np.uint8)
    assert model.robust(pixels, list(y[:4]), eps="1/4", mean=0, std=16).outcomes == found[0]
    assert model.robust(np.asfortranarray(x[:4]), y[:4], eps=0.01).outcomes == found[0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda x: x[:, :63], "NV202"),
        (lambda x: x[0], "NV202"),
        (lambda x: x.astype(complex), "NV202"),
        (lambda x: x.astype(object), "NV202"),
        (lambda x: np.ma.masked_less(x, 0.5), "NV202"),
        (lambda x: np.where(x > 0.5, np.nan, x), "NV202"),
        (lambda x: x.astype(np.longdouble), "NV201"),
        (lambda x: None, "NV001"),
        (lambda x: "nowhere.npz", "NV201"),
    ],
)
def test_data_that_do_not_fit(model, digits, change, code):
    x, y = digits
    with pytest.raises(NnverifyError) as error:
        model.robust(change(x[:4]), y[:4], eps=0.01)
    assert error.value.code == code


@pytest.mark.parametrize(
    "options",
    [
        {"eps": -0.1},
        {"eps": float("nan")},
        {"eps": True},
        {"eps": "a"},
        {"eps": 0.1, "clip": (1, 0)},
        {"eps": 0.1, "std": 0},
        {"eps": 0.1, "std": -1},
        {"eps": 0.1, "mean": [1, 2, 3]},
        {"eps": 0.1, "norm": "l7"},
        {"eps": 0.1, "channel_axis": 5},
        {"eps": 0.1, "threshold": 0},
        {"eps": 0.1, "threshold": 0, "max_change": 1},
        {"eps": 0.1, "samples": 5},
        {"eps": 0.1, "timeout": -1},
        {"eps": 0.1, "semantics": "float16"},
    ],
)
def test_questions_that_make_no_sense(model, digits, options):
    x, y = digits
    with pytest.raises(NnverifyError):
        model.robust(x[:4], y[:4], **options)


def test_unknown_arguments(model):
    with pytest.raises(TypeError):
        model.lipschitz("l2", tiemout=3)
    with pytest.raises(NnverifyError):
        model.lipschitz("l2", region=(1, 0))
    with pytest.raises(NnverifyError):
        model.lipschitz("l2", region=(0, float("inf")))


def test_outputs(model, digits):
    x, y = digits
    assert model(x).shape == (len(x), 10) and np.mean(model(x).argmax(axis=1) == y) > 0.9
    with pytest.raises(NnverifyError):
        model(x[:, 1:])


def test_an_interrupt_keeps_what_is_proved(tmp_path):
    script = tmp_path / "search.py"
    script.write_text(
        textwrap.dedent(f"""
        import numpy as np, nnverify
        model = nnverify.load({str(MODELS / "digits_cnn.onnx")!r})
        data = np.load({str(MODELS / "digits_test.npz")!r})
        x = data["x"].reshape(-1, *model.input_shape[1:])
        print("begun", flush=True)
        try:
            model.robust(x, data["y"], eps=0.06, timeout=600)
        except nnverify.Interrupted as stopped:
            found = stopped.result
            print("kept", len(found.outcomes), found.check().established, flush=True)
        print("again", model.lipschitz("l2", engine="product").status)
        """)
    )
    running = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None and running.stdout.readline() == "begun\n"
    time.sleep(1.5)
    os.kill(running.pid, signal.SIGINT)
    told, _ = running.communicate(timeout=120)
    assert told.splitlines() == ["kept 200 True", "again established"], told


def test_progress_is_told(model, digits, capsys):
    pytest.importorskip("tqdm")
    x, y = digits
    found = model.robust(x, y, eps=0.05, progress=True, timeout=20)
    assert len(found.outcomes) == len(x)


def test_a_module_is_replayed():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(7, 3)).train()
    loaded = nnverify.load(module, example_input=torch.randn(8, 5))
    assert module.training and loaded.export_difference is not None and loaded.export_difference < 1e-5
    found = loaded.lipschitz("l2")
    assert found.check().established
    x = torch.randn(6, 5, requires_grad=True)
    y = module.eval()(x).argmax(dim=1)
    assert loaded.robust(x, y, eps=1e-4).status == "established"

    class Changing(torch.nn.Module):
        def forward(self, x):
            return x * float(x.detach().sum())

    with pytest.raises(Exception):  # noqa: B017  (the exporter's own error, or the replay's)
        nnverify.load(Changing(), example_input=torch.randn(8, 5))
    with pytest.raises(TypeError):
        nnverify.load(module)


def test_torch_is_not_imported():
    ask = "import sys, nnverify; nnverify.load('models/digits_relu.onnx').lipschitz(engine='product')"
    line = ask + "; print('torch' in sys.modules, 'scipy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, cwd=ROOT, check=True)
    assert told.stdout == "False False\n"


def test_the_example_is_typed(tmp_path):
    api = pytest.importorskip("mypy.api")
    example = Path(__file__).with_name("example.py")
    told, errors, code = api.run(["--strict", "--cache-dir", str(tmp_path), "--config-file", os.devnull, str(example)])
    assert code == 0, told + errors


def test_the_example_runs():
    example = Path(__file__).with_name("example.py")
    subprocess.run([sys.executable, str(example)], cwd=ROOT, check=True, capture_output=True)
