"""Train the small digit classifiers of this folder and export them to ONNX.

    pip install -r requirements.txt
    python train_digits.py [OUTPUT_FOLDER]        # default: this script's folder

Data: scikit-learn's bundled digits, 8x8 grey images, pixels divided by 16 so
that they lie in [0, 1]; a fixed split into 1347 training and 450 test images.

Every file has a static batch size of 1 (a verifier looks at the function of
one input), opset 17, one input "input", one output "output" (ten logits), all
weights inside the file, and neither doc strings nor metadata.

Every random number comes from a fixed seed and one thread does the arithmetic,
so that a second run with the same versions on the same kind of processor
writes the same bytes.
"""

import io
import logging
import os
import sys
import time
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal

OPSET = 17
MAX_BYTES = 200_000
TEST_SIZE = 450
SAVED_SAMPLES = 200

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
# Both exporters warn on every call: the older one that it is deprecated, the
# newer one that it converts its opset 18 down to the one asked for.
warnings.filterwarnings("ignore", category=DeprecationWarning)
logging.getLogger("torch.onnx").setLevel(logging.ERROR)
logging.getLogger("onnxscript").setLevel(logging.ERROR)


# --------------------------------------------------------------------------
# Data
# --------------------------------------------------------------------------


def load_split():
    """(x_train, y_train, x_test, y_test), x as float32 [n, 64] in [0, 1]."""
    digits = load_digits()
    x = (digits.data / 16.0).astype(np.float32)  # k/16 is exact in float32
    y = digits.target.astype(np.int64)
    order = np.random.RandomState(0).permutation(len(x))
    test, train = order[:TEST_SIZE], order[TEST_SIZE:]
    return x[train], y[train], x[test], y[test]


# --------------------------------------------------------------------------
# Networks. Each knows its input shape and can list its `stages`: the factors
# of the layer-by-layer Lipschitz bound. The activations used here (ReLU,
# MaxMin, GroupSort) are 1-Lipschitz in l2 and contribute no factor.
# --------------------------------------------------------------------------


class MaxMin(nn.Module):
    """Pairs unit i of the first half with unit i of the second half."""

    def __init__(self, width):
        super().__init__()
        self.half = width // 2

    def forward(self, x):
        a, b = torch.split(x, self.half, dim=1)
        return torch.cat([torch.maximum(a, b), torch.minimum(a, b)], dim=1)


class GroupSort(nn.Module):
    """Sorts each group of `size` neighbouring units in ascending order."""

    def __init__(self, width, size):
        super().__init__()
        self.width, self.groups, self.size = width, width // size, size

    def forward(self, x):
        x = x.reshape(-1, self.groups, self.size)
        x = torch.sort(x, dim=-1)[0]
        return x.reshape(-1, self.width)


class Residual(nn.Module):
    """x + W2 relu(W1 x + b1) + b2"""

    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x):
        return x + self.fc2(torch.relu(self.fc1(x)))


def mlp(widths, activation):
    layers = []
    for i, (n, m) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Linear(n, m))
        if i + 2 < len(widths):
            layers.append(activation(m))
    return nn.Sequential(*layers)


def relu_net():
    return mlp([64, 32, 32, 10], lambda width: nn.ReLU())


def maxmin_net():
    net = mlp([64, 32, 32, 10], MaxMin)
    for layer in linear_layers(net):
        orthogonal(layer)  # rows <= columns: orthonormal rows
    return net


class UnitSpectralNorm(nn.Module):
    """Parametrisation W / ||W||_2, by an exact singular value decomposition."""

    def forward(self, w):
        return w / torch.linalg.matrix_norm(w, 2)


def groupsort_net():
    net = mlp([64, 24, 24, 10], lambda width: GroupSort(width, 4))
    for layer in linear_layers(net):
        parametrize.register_parametrization(layer, "weight", UnitSpectralNorm())
    return net


def cnn_net():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),  # [1, 8, 8] -> [4, 4, 4]
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, stride=2, padding=1),  # [4, 4, 4] -> [8, 2, 2]
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(1),
        nn.Linear(32, 10),
    )


def residual_net():
    return nn.Sequential(
        nn.Linear(64, 16), Residual(16), Residual(16), Residual(16), nn.Linear(16, 10)
    )


def linear_layers(net):
    return [m for m in net.modules() if isinstance(m, nn.Linear)]


# --------------------------------------------------------------------------
# Training
# --------------------------------------------------------------------------


def train(net, x, y, epochs, lr, weight_decay, temperature, noise, batch=64):
    """Adam with a cosine schedule on cross-entropy of temperature * logits.

    Each pixel gets fresh normal noise of the given standard deviation.

    A 1-Lipschitz network cannot make its logits large, so it needs a
    temperature well above 1 to be told to classify every image right.
    """
    random = torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(net.parameters(), lr=lr, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=random).split(batch):
            batch_x = x[rows]
            batch_x = batch_x + noise * torch.randn(batch_x.shape, generator=random)
            loss = nn.functional.cross_entropy(temperature * net(batch_x), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
    net.eval()


def bake(net, polish):
    """Turn parametrised weights into plain ones, made exact in float64.

    The last step is the rounding to float32, so the constraint that `polish`
    imposes holds up to that rounding.
    """
    for layer in linear_layers(net):
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
            w = polish(layer.weight.detach().double())
            layer.weight = nn.Parameter(w.float().contiguous())


def nearest_orthonormal(w):
    """The polar factor of w: the nearest matrix with orthonormal rows."""
    u, _, vt = torch.linalg.svd(w, full_matrices=False)
    return u @ vt


def unit_spectral_norm(w):
    return w / torch.linalg.matrix_norm(w, 2)


# --------------------------------------------------------------------------
# What to expect of the Lipschitz constant (l2 -> l2). All in float64.
# --------------------------------------------------------------------------


def operator_norm(f, shape):
    """Spectral norm of the linear part of the affine map f on inputs `shape`."""
    size = int(np.prod(shape))
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    matrix = (f(basis) - f(zero)).reshape(size, -1)
    return torch.linalg.matrix_norm(matrix, 2).item()


@torch.no_grad()
def norm_product(net, shape):
    """Product of the layers' spectral norms: an upper bound.

    A convolution counts as the matrix it is on its input's size, together with
    the batch normalisation after it; a residual block as 1 + ||W2|| ||W1||.
    """
    product = 1.0
    layers = list(net)
    x = torch.zeros(1, *shape, dtype=torch.float64)
    i = 0
    while i < len(layers):
        f = layers[i]
        if i + 1 < len(layers) and isinstance(layers[i + 1], nn.BatchNorm2d):
            f = nn.Sequential(f, layers[i + 1])
            i += 1
        if isinstance(f, Residual):
            norms = [torch.linalg.matrix_norm(g.weight, 2).item() for g in (f.fc1, f.fc2)]
            product *= 1.0 + norms[0] * norms[1]
        elif isinstance(f, (nn.Linear, nn.Sequential)):
            product *= operator_norm(f, x.shape[1:])
        x = f(x)
        i += 1
    return product


def largest_jacobian(net, x):
    """Largest spectral norm of the Jacobian at the rows of x: a lower bound."""
    x = x.clone().requires_grad_(True)
    out = net(x)
    rows = [
        torch.autograd.grad(out[:, k].sum(), x, retain_graph=True)[0].flatten(1)
        for k in range(out.shape[1])
    ]
    return torch.linalg.matrix_norm(torch.stack(rows, dim=1), 2).max().item()


# --------------------------------------------------------------------------
# Export
# --------------------------------------------------------------------------


def export(net, shape, exporter):
    """The ONNX model of net in evaluation mode, for a batch of exactly 1."""
    example = torch.zeros(1, *shape)  # static: no dynamic axis is declared
    names = dict(input_names=["input"], output_names=["output"], opset_version=OPSET)
    buffer = io.BytesIO()
    if exporter == "torchscript":
        torch.onnx.export(net, (example,), buffer, dynamo=False, **names)
    elif exporter == "torchscript, batch norm kept":
        # The default would fuse BatchNormalization into Conv. PRESERVE leaves
        # the network in the mode it is in (evaluation) and fuses nothing.
        torch.onnx.export(
            net, (example,), buffer, dynamo=False, do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE, **names,
        )
    elif exporter == "dynamo":
        program = torch.onnx.export(net, (example,), dynamo=True, verbose=False, **names)
        program.save(buffer, external_data=False)
    else:
        raise ValueError(exporter)
    model = onnx.load_from_string(buffer.getvalue())
    strip(model)
    return model


def strip(model):
    """Drop doc strings and metadata: they hold stack traces and file paths."""
    assert not model.functions
    model.producer_version = model.producer_version.split("+")[0]  # no build tag
    graph = model.graph
    items = [model, graph, *graph.node, *graph.initializer, *graph.value_info]
    for item in [*items, *graph.input, *graph.output]:
        item.ClearField("doc_string")
        del item.metadata_props[:]


def check_onnx(path, model, net, x, y):
    """Check the written file; return (accuracy, largest difference to torch)."""
    onnx.checker.check_model(path, full_check=True)
    data = open(path, "rb").read()
    assert len(data) < MAX_BYTES, (path, len(data))
    here = os.path.dirname(os.path.abspath(__file__))
    for word in (".py", "site-packages", sys.prefix, here):
        assert word.encode() not in data, (path, word)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert [i.name for i in model.graph.input] == ["input"]
    assert [o.name for o in model.graph.output] == ["output"]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    got = np.concatenate(
        [session.run(["output"], {"input": row[None].numpy()})[0] for row in x]
    )
    with torch.no_grad():
        want = net(x).numpy()
    difference = float(np.abs(got - want).max())
    assert difference < 1e-4, (path, difference)
    assert (got.argmax(1) == want.argmax(1)).all(), path
    return float((got.argmax(1) == y.numpy()).mean()), difference


# --------------------------------------------------------------------------


# name, architecture, network, input shape, polish, exporter, least accuracy,
# training settings
MODELS = [
    (
        "digits_relu", "ReLU MLP 64-32-32-10",
        relu_net, (64,), None, "torchscript", 0.95,
        dict(epochs=60, lr=3e-3, weight_decay=1e-3, temperature=1.0, noise=0.2),
    ),
    (
        "digits_maxmin", "MaxMin MLP 64-32-32-10, orthogonal layers",
        maxmin_net, (64,), nearest_orthonormal, "torchscript", 0.93,
        dict(epochs=60, lr=5e-3, weight_decay=0.0, temperature=16.0, noise=0.1),
    ),
    (
        "digits_groupsort", "GroupSort(4) MLP 64-24-24-10, spectral norm 1 per layer",
        groupsort_net, (64,), unit_spectral_norm, "torchscript", 0.93,
        dict(epochs=60, lr=5e-3, weight_decay=0.0, temperature=16.0, noise=0.1),
    ),
    (
        "digits_cnn", "Conv 1-4 /2, BN, ReLU, Conv 4-8 /2, BN, ReLU, Linear 32-10",
        cnn_net, (1, 8, 8), None, "torchscript, batch norm kept", 0.95,
        dict(epochs=60, lr=1e-2, weight_decay=1e-3, temperature=1.0, noise=0.1),
    ),
    (
        "digits_residual", "Linear 64-16, 3 x (x + W2 relu(W1 x)) of width 16, Linear 16-10",
        residual_net, (64,), None, "dynamo", 0.95,
        dict(epochs=60, lr=3e-3, weight_decay=1e-3, temperature=1.0, noise=0.2),
    ),
]


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else here
    x_train, y_train, x_test, y_test = load_split()
    np.savez_compressed(
        os.path.join(folder, "digits_test.npz"),
        x=x_test[:SAVED_SAMPLES], y=y_test[:SAVED_SAMPLES],
    )

    head = ["name", "architecture", "parameters", "test accuracy", "bytes",
            "norm product", "sampled (test)", "sampled (wide)", "max diff"]
    lines = []
    for seed, spec in enumerate(MODELS):
        name, text, build, shape, polish, exporter, least, settings = spec
        begin = time.time()
        torch.manual_seed(seed)
        net = build()
        x = torch.from_numpy(x_train).reshape(-1, *shape)
        train(net, x, torch.from_numpy(y_train), **settings)
        if polish:
            bake(net, polish)
        parameters = sum(p.numel() for p in net.parameters())

        model = export(net, shape, exporter)
        path = os.path.join(folder, name + ".onnx")
        onnx.save(model, path)
        x = torch.from_numpy(x_test).reshape(-1, *shape)
        accuracy, difference = check_onnx(path, model, net, x, torch.from_numpy(y_test))
        assert accuracy >= least, (name, accuracy)
        nodes = [node.op_type for node in model.graph.node]
        if isinstance(net[1], nn.BatchNorm2d):
            assert nodes.count("BatchNormalization") == 2, nodes

        exact = net.double()
        upper = norm_product(exact, shape)
        lower = largest_jacobian(exact, x.double())
        # The constant is over all of R^64: look far from the images as well.
        points = torch.Generator().manual_seed(2)
        wide = torch.randn(20_000, *shape, generator=points, dtype=torch.float64)
        scale = torch.logspace(-1, 1, len(wide), dtype=torch.float64)
        wide = 0.5 + wide * scale.reshape(-1, *[1] * len(shape))
        wide = max(lower, largest_jacobian(exact, wide))
        assert wide <= upper * (1 + 1e-9), (name, wide, upper)

        print(f"{name}: {exporter} exporter, {time.time() - begin:.0f} s")
        print("  nodes:", " ".join(nodes))
        if polish:
            norms = [torch.linalg.svdvals(f.weight) for f in linear_layers(exact)]
            print("  largest singular values - 1:",
                  " ".join(f"{s[0].item() - 1:.1e}" for s in norms),
                  " smallest:", " ".join(f"{s[-1].item():.6f}" for s in norms))
        size = os.path.getsize(path)
        lines.append([f"`{name}.onnx`", text, str(parameters), f"{accuracy:.4f}", str(size),
                      f"{upper:.4f}", f"{lower:.4f}", f"{wide:.4f}", f"{difference:.1e}"])

    print()
    for line in [head, ["---"] * len(head), *lines]:
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
