#!/usr/bin/env python3
"""The curvature passes beside PyHessian, curvlinops and a PyTorch M-FAC written from the paper's recursion, in one run.

    python3 benches/curvature.py [--quick]

Makes a virtual environment of its own (target/bench-venv) from the Python package index, networks with random weights, and
prints for each tool: value, seconds, and the ratio to ours. Everything runs on the CPU with the threads that
RAYON_NUM_THREADS (default: 1) says, so that the columns compare.
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "target" / "bench-venv"
PACKAGES = ["numpy", "onnx", "torch", "pyhessian", "curvlinops-for-pytorch"]
THREADS = os.environ.setdefault("RAYON_NUM_THREADS", "1")


def enter_venv():
    python = VENV / "bin" / "python"
    if Path(sys.executable).resolve() == python.resolve() or sys.prefix == str(VENV):
        return
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", str(VENV)])
        subprocess.check_call([str(python), "-m", "pip", "install", "-q", *PACKAGES])
    os.execv(str(python), [str(python), __file__, *sys.argv[1:]])


def ours(*arguments):
    command = ["cargo", "bench", "-q", "--bench", "curvature", "--", *map(str, arguments)]
    return json.loads(subprocess.check_output(command, cwd=ROOT, text=True).strip().splitlines()[-1])


def timed(run):
    start = time.perf_counter()
    value = run()
    return value, time.perf_counter() - start


def mlp(torch, widths, path):
    """A ReLU network of these widths, and the same as ONNX."""
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    torch.manual_seed(0)
    layers = []
    nodes, tensors, value = [], [], "x"
    for index, (inner, outer) in enumerate(zip(widths, widths[1:])):
        layer = torch.nn.Linear(inner, outer)
        layers.append(layer)
        for name, tensor in ((f"w{index}", layer.weight), (f"b{index}", layer.bias)):
            tensors.append(numpy_helper.from_array(tensor.detach().numpy().astype(numpy.float32), name))
        nodes.append(helper.make_node("Gemm", [value, f"w{index}", f"b{index}"], [f"z{index}"], transB=1))
        value = f"z{index}"
        if index + 2 < len(widths):
            layers.append(torch.nn.ReLU())
            nodes.append(helper.make_node("Relu", [value], [f"a{index}"]))
            value = f"a{index}"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "mlp", [info("x", TensorProto.FLOAT, [1, widths[0]])], [info(value, TensorProto.FLOAT, [1, widths[-1]])], tensors
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return torch.nn.Sequential(*layers)


def traces(torch, quick):
    """Trace of the Hessian: exact here, by probes there. The data differ, so only times compare; both are cross-entropy."""
    n = 128
    shapes = [[64, 96, 32, 10], [64, 256, 256, 64, 10], [784, 784, 480, 10]]
    print(f"\ntraces, n = {n}, {THREADS} thread(s)")
    print(f"{'d':>9} {'tool':34} {'value':>12} {'seconds':>9} {'ratio':>7}")
    for widths in shapes[: 2 if quick else 3]:
        path = ROOT / "target" / f"bench-{len(widths)}-{widths[1]}.onnx"
        net = mlp(torch, widths, path)
        own = ours("trace", path, n)
        rows = [
            ("gradient, f64", float("nan"), own["gradient"]),
            ("exact trace, f64", own["trace"], own["trace_seconds"]),
            ("one Hessian product, f64", own["lambda_max"], own["hessian_product"]),
        ]
        generator = torch.Generator().manual_seed(3)
        x = torch.randn(n, widths[0], generator=generator)
        y = torch.arange(n) % widths[-1]
        loss = torch.nn.CrossEntropyLoss()

        def backward():
            net.zero_grad()
            loss(net(x), y).backward()

        backward()
        rows.append(("torch forward + backward, f32", float("nan"), timed(backward)[1]))
        try:
            from pyhessian import hessian

            tool = hessian(net, loss, data=(x, y), cuda=False)
            found, seconds = timed(lambda: tool.trace())
            rows.append(("PyHessian trace, default stop", sum(found) / len(found), seconds))
            found, seconds = timed(lambda: tool.trace(maxIter=30, tol=0.0))
            rows.append(("PyHessian trace, 30 probes", sum(found) / len(found), seconds))
            found, seconds = timed(lambda: tool.eigenvalues(top_n=1))
            rows.append(("PyHessian largest eigenvalue", found[0][0], seconds))
        except Exception as error:  # a peer that fails is a result too
            rows.append((f"PyHessian: {type(error).__name__}", float("nan"), float("nan")))
        try:
            import curvlinops

            parameters = [p for p in net.parameters() if p.requires_grad]
            operator = curvlinops.HessianLinearOperator(net, loss, parameters, [(x, y)], check_deterministic=False)
            found, seconds = timed(lambda: curvlinops.hutchpp_trace(operator, num_matvecs=60))
            rows.append(("curvlinops Hutch++, 60 products", float(found), seconds))
        except Exception as error:
            rows.append((f"curvlinops: {type(error).__name__}", float("nan"), float("nan")))
        for tool, value, seconds in rows:
            print(f"{own['d']:9} {tool:34} {value:12.5g} {seconds:9.4f} {seconds / own['trace_seconds']:7.1f}")


def recursion(torch, gradients, damping):
    """M-FAC as in the paper: v_1 = g_1/λ; v_i = g_i/λ − Σ_{k<i} v_k (v_k·g_i)/(m + g_k·v_k)."""
    m = gradients.shape[0]
    rows = gradients / damping
    denominators = torch.zeros(m)
    denominators[0] = m + gradients[0] @ rows[0]
    for i in range(1, m):
        rows[i] -= (rows[:i] @ gradients[i] / denominators[:i]) @ rows[:i]
        denominators[i] = m + gradients[i] @ rows[i]
    return rows, denominators


def mfac(torch, quick):
    print(f"\nM-FAC, {THREADS} thread(s): seconds of the recursion (PyTorch, f32) and ours (gradients f32, arithmetic f64)")
    print(f"{'d':>9} {'m':>5} {'recursion':>10} {'ours':>9} {'ratio':>6} {'product':>9} {'ours':>9} {'GB/s':>6} {'GF/s':>6} {'residual':>9}")
    sizes = [(10_000, (32, 128, 512)), (100_000, (32, 128, 512)), (272_474, (128, 512)), (1_000_000, (32, 128))]
    for d, counts in sizes[: 2 if quick else 4]:
        for m in counts:
            own = ours("mfac", d, m)
            torch.manual_seed(1)
            gradients = torch.randn(m, d)
            (rows, denominators), precompute = timed(lambda: recursion(torch, gradients, 1e-3))
            x = torch.randn(d)
            _, product = timed(lambda: x / 1e-3 - (rows @ x / denominators) @ rows)
            print(
                f"{d:9} {m:5} {precompute:10.3f} {own['precompute']:9.3f} {precompute / own['precompute']:6.1f} {product:9.4f}"
                f" {own['product']:9.4f} {own['gigabytes_per_second']:6.1f} {own['gigaflops']:6.1f} {own['residual']:9.1e}"
            )
            del gradients, rows


def main():
    enter_venv()
    import torch

    torch.set_num_threads(int(THREADS))
    quick = "--quick" in sys.argv
    traces(torch, quick)
    mfac(torch, quick)


if __name__ == "__main__":
    main()
