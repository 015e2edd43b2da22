#!/usr/bin/env python3
"""The curvature passes beside PyHessian, curvlinops and a PyTorch M-FAC written from the paper's recursion, in one run.

    python3 benches/curvature.py [--quick] [--all] [--traces | --mfac | --coverage]

Makes a virtual environment beside this script (`benches/.venv`) from the Python package index, and networks with random weights
in `target/bench`. Every measurement is a process of its own, so that memory is its own too; all run on the CPU with as many
threads as RAYON_NUM_THREADS says (default: all cores). Printed are values, seconds, peak memory, ratios to ours, and which part of
the machine's own rates (reading memory, products of matrices, both measured here) is reached.

ResNet-20 (272 474 parameters) is read from `$NNVERIFY_SHARED`, where that is set. Sizes at which the recursion is predicted to take more
than 40 s are left out, and said, unless `--all` asks for them.
"""
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / "benches" / ".venv"
WORK = ROOT / "target" / "bench"
PACKAGES = ["numpy", "scipy", "onnx", "torch", "pyhessian", "curvlinops-for-pytorch"]
THREADS = os.environ.setdefault("RAYON_NUM_THREADS", str(os.cpu_count()))
DAMPING = 1e-3
PATIENCE = 40.0


def enter_venv():
    if sys.prefix == str(VENV):
        return
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.check_call([sys.executable, "-m", "venv", str(VENV)])
    found = subprocess.run([str(python), "-c", "import torch, pyhessian, curvlinops, onnx, scipy"], capture_output=True)
    if found.returncode != 0:
        subprocess.check_call([str(python), "-m", "pip", "install", "-q", *PACKAGES])
    os.execv(str(python), [str(python), __file__, *sys.argv[1:]])


def executable():
    command = ["cargo", "bench", "-q", "--locked", "--bench", "curvature", "--no-run", "--message-format=json"]
    for line in subprocess.check_output(command, cwd=ROOT, text=True).splitlines():
        message = json.loads(line)
        # The program itself is built too.
        if message.get("executable") and message["target"]["name"] == "curvature":
            return message["executable"]
    sys.exit("cargo built no benchmark")


def run(command):
    done = subprocess.run([str(word) for word in command], cwd=ROOT, text=True, capture_output=True)
    if done.returncode != 0:
        return {"error": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def timed(action):
    start = time.perf_counter()
    value = action()
    return value, time.perf_counter() - start


def best(repetitions, action):
    return min(timed(action)[1] for _ in range(repetitions))


def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# Networks.


def mlp(widths, name, n):
    """A ReLU network with random weights as ONNX, and samples."""
    import numpy
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = numpy.random.default_rng(0)
    nodes, tensors, value = [], [], "x"
    for index, (inner, outer) in enumerate(zip(widths, widths[1:])):
        bound = inner**-0.5
        for letter, shape in (("w", (outer, inner)), ("b", (outer,))):
            tensors.append(numpy_helper.from_array(random.uniform(-bound, bound, shape).astype(numpy.float32), f"{letter}{index}"))
        nodes.append(helper.make_node("Gemm", [value, f"w{index}", f"b{index}"], [f"z{index}"], transB=1))
        value = f"z{index}"
        if index + 2 < len(widths):
            nodes.append(helper.make_node("Relu", [value], [f"a{index}"]))
            value = f"a{index}"
    info = helper.make_tensor_value_info
    ends = [info("x", TensorProto.FLOAT, [1, widths[0]])], [info(value, TensorProto.FLOAT, [1, widths[-1]])]
    graph = helper.make_graph(nodes, "mlp", *ends, tensors)
    WORK.mkdir(parents=True, exist_ok=True)
    model, data = WORK / f"{name}.onnx", WORK / f"{name}.npz"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    inputs = random.standard_normal((n, widths[0])).astype(numpy.float32)
    numpy.savez(data, inputs=inputs, labels=numpy.arange(n, dtype=numpy.int64) % widths[-1])
    return model, data


def network(path):
    """The operators of these networks and of ResNet-20, from ONNX to PyTorch."""
    import onnx
    import torch
    from onnx import numpy_helper

    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.graph = onnx.load(path).graph
            self.names = {}
            for index, tensor in enumerate(self.graph.initializer):
                value = torch.tensor(numpy_helper.to_array(tensor).copy())
                self.names[tensor.name] = f"t{index}"
                if tensor.name.endswith(("running_mean", "running_var")):
                    self.register_buffer(f"t{index}", value)
                else:
                    self.register_parameter(f"t{index}", torch.nn.Parameter(value))

        def forward(self, x):
            f = torch.nn.functional
            values = {self.graph.input[0].name: x}
            for node in self.graph.node:
                given = [values[n] if n in values else getattr(self, self.names[n]) for n in node.input]
                a = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
                match node.op_type:
                    case "Gemm":
                        out = f.linear(*given)
                    case "Relu":
                        out = torch.relu(*given)
                    case "Add":
                        out = given[0] + given[1]
                    case "Conv":
                        out = f.conv2d(*given, stride=a["strides"], padding=a["pads"][:2])
                    case "BatchNormalization":
                        inputs, weight, bias, mean, variance = given
                        out = f.batch_norm(inputs, mean, variance, weight, bias, False, 0.0, a["epsilon"])
                    case "AveragePool":
                        out = f.avg_pool2d(*given, a["kernel_shape"], a.get("strides"))
                    case "Flatten":
                        out = given[0].flatten(1)
                    case other:
                        raise NotImplementedError(other)
                values[node.output[0]] = out
            return out

    return Graph()


# What a process of its own measures of a peer.


def peer(tool, *arguments):
    import numpy
    import torch

    torch.set_num_threads(int(THREADS))
    torch.manual_seed(0)
    numpy.random.seed(0)
    if tool == "recursion":
        print(json.dumps(recursion(*map(int, arguments))))
        return
    model, data = arguments
    net, arrays = network(model), numpy.load(data)
    x, y = torch.tensor(arrays["inputs"]), torch.tensor(arrays["labels"]).long()
    loss = torch.nn.CrossEntropyLoss()
    parameters = [p for p in net.parameters() if p.requires_grad]

    def backward():
        net.zero_grad()
        loss(net(x), y).backward()

    before = resident()
    backward()
    value = float("nan")
    if tool == "gradient":
        seconds = best(5, backward)
    elif tool.startswith("pyhessian"):
        from pyhessian import hessian

        measured = hessian(net, loss, data=(x, y), cuda=False)
        if tool == "pyhessian-lambda":
            found, seconds = timed(lambda: measured.eigenvalues(top_n=1))
            value = found[0][0]
        else:
            limits = {"maxIter": 30, "tol": 0.0} if tool.endswith("30") else {}
            found, seconds = timed(lambda: measured.trace(**limits))
            value = float(numpy.mean(found))
    else:
        import curvlinops
        from scipy.sparse.linalg import eigsh

        operator = curvlinops.HessianLinearOperator(net, loss, parameters, [(x, y)], check_deterministic=False)
        if tool == "curvlinops-lambda":
            found, seconds = timed(lambda: eigsh(operator.to_scipy(), k=1, which="LA", tol=1e-3, return_eigenvectors=False))
            value = float(found[0])
        else:
            found, seconds = timed(lambda: curvlinops.hutchpp_trace(operator, num_matvecs=60))
            value = float(found)
    print(json.dumps({"value": value, "seconds": seconds, "peak": peak() - before}))


def recursion(d, m):
    """M-FAC as in the paper: v_1 = g_1/λ; v_i = g_i/λ − Σ_{k<i} v_k (v_k·g_i)/(m + g_k·v_k). The v take the place of the g."""
    import numpy
    import torch

    def entries(first, count):
        z = (numpy.arange(first, first + count, dtype=numpy.uint64) + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return (((z ^ (z >> numpy.uint64(31))) >> numpy.uint64(40)).astype(numpy.float64) / 2.0**24 - 0.5).astype(numpy.float32)

    # Code and the buffers of matrix products are there before the gradients are.
    tiny = torch.randn(16, 1000)
    tiny @ tiny[0] @ tiny
    before = resident()
    rows = torch.empty(m, d)
    for i in range(m):
        rows[i] = torch.from_numpy(entries(i * d, d))
    x = torch.from_numpy(entries(m * d, d))
    denominators = torch.zeros(m)

    def precompute():
        for i in range(m):
            g = rows[i].clone()
            v = g / DAMPING
            if i > 0:
                v -= (rows[:i] @ g / denominators[:i]) @ rows[:i]
            denominators[i] = m + g @ v
            rows[i] = v

    _, seconds = timed(precompute)
    product = lambda: x / DAMPING - (rows @ x / denominators) @ rows
    form = float(x.double() @ product().double())
    return {"precompute": seconds, "product": best(5, product), "form": form, "peak": peak() - before}


# The tables.


def traces(bench, quick):
    cases = [("10^4", mlp([64, 96, 32, 10], "mlp-4", 128)), ("10^5", mlp([64, 256, 256, 64, 10], "mlp-5", 128))]
    if not quick:
        cases.append(("10^6", mlp([784, 784, 480, 10], "mlp-6", 128)))
        shared = os.environ.get("NNVERIFY_SHARED")
        if shared:
            folder = Path(shared) / "cases" / "curvature"
            cases.append(("ResNet-20", (folder / "resnet20.onnx", folder / "resnet20.npz")))
        else:
            print("ResNet-20 left out: NNVERIFY_SHARED is not set")
    print(f"\nHessian of the mean cross-entropy, {THREADS} threads; ratio: to our exact trace or eigenvalue in f32")
    for name, (model, data) in cases:
        single, double = (run([bench, "trace", model, data, precision]) for precision in ("single", "double"))
        print(f"\n{name}: d = {double['d']}, n = {double['n']}")
        print(f"  {'tool':42} {'value':>12} {'off':>8} {'seconds':>9} {'ratio':>7} {'peak MB':>8}")

        def row(tool, value, exact, seconds, reference, memory):
            off = f"{value / exact - 1:8.1e}" if value == value else f"{'':8}"
            shown = f"{value:12.6g}" if value == value else f"{'':12}"
            print(f"  {tool:42} {shown} {off} {seconds:9.4f} {seconds / reference:7.1f} {memory / 1e6:8.0f}")

        trace, top = double["trace"], double["lambda_max"]
        base, lanczos = single["trace_seconds"], single["lambda_seconds"]
        nan = float("nan")
        gradient = run([sys.executable, __file__, "peer", "gradient", model, data])
        if "error" in gradient:
            print(f"  PyTorch: {gradient['error']}")
            continue
        row("forward + backward, PyTorch, f32", nan, trace, gradient["seconds"], base, gradient["peak"])
        for own, precision in ((single, "f32"), (double, "f64")):
            row(f"forward + backward, ours, {precision}", nan, trace, own["gradient"], base, own["peak"])
        for own, precision in ((single, "f32"), (double, "f64")):
            row(f"exact trace, ours, {precision}", own["trace"], trace, own["trace_seconds"], base, own["peak"])
        for tool, label in (
            ("pyhessian-trace", "trace, PyHessian, its own stop"),
            ("pyhessian-trace-30", "trace, PyHessian, 30 probes"),
            ("curvlinops-trace", "trace, curvlinops Hutch++, 60 products"),
        ):
            found = run([sys.executable, __file__, "peer", tool, model, data])
            if "error" in found:
                print(f"  {label}: {found['error']}")
            else:
                row(label, found["value"], trace, found["seconds"], base, found["peak"])
        for own, precision in ((single, "f32"), (double, "f64")):
            label = f"λ_max, ours, {own['products']} products, {precision}"
            row(label, own["lambda_max"], top, own["lambda_seconds"], lanczos, own["peak"])
        for tool, label in (("pyhessian-lambda", "λ_max, PyHessian"), ("curvlinops-lambda", "λ_max, curvlinops + eigsh")):
            found = run([sys.executable, __file__, "peer", tool, model, data])
            if "error" in found:
                print(f"  {label}: {found['error']}")
            else:
                row(label, found["value"], top, found["seconds"], lanczos, found["peak"])
        ratios = [own["trace_seconds"] / own["gradient"] for own in (single, double)]
        print(
            f"  exact trace: {base / gradient['seconds']:.1f} times PyTorch's forward + backward (f32),"
            f" {ratios[0]:.1f} (f32) and {ratios[1]:.1f} (f64) times our own; eigenvalue to {double['lambda_residual'] / top:.0e}"
        )


def mfac(bench, machine, quick, everything):
    print(f"\nM-FAC, {THREADS} threads; gradients in f32, ours with arithmetic in f64, the recursion in PyTorch in f32")
    print("  seconds of ours and the recursion's; rates: share of the measured f64 products (Gram) and of reading (product: G and x twice, y once)")
    print(f"  memory: peak over the bytes of the gradients 4dm; off: relative difference of xᵀF⁻¹x, λ = {DAMPING}")
    head = f"{'precompute':>10} {'recursion':>10} {'ratio':>6} {'flops':>6} {'product':>9} {'recursion':>10} {'read':>6}"
    print(f"  {'d':>8} {'m':>5} {head} {'memory':>7} {'recursion':>10} {'off':>8} {'residual':>9}")
    for d in (10_000, 100_000, 272_474, 1_000_000)[: 2 if quick else 4]:
        for m in (32, 128, 512, 1024)[: 3 if quick else 4]:
            predicted = 4.0 * d * m * m / (machine["read"] * 1e9)
            if predicted > PATIENCE and not everything:
                print(f"  {d:8} {m:5} left out: the recursion would take {predicted:.0f} s (--all)")
                continue
            own = run([bench, "mfac", d, m])
            theirs = run([sys.executable, __file__, "peer", "recursion", d, m])
            if "error" in own or "error" in theirs:
                print(f"  {d:8} {m:5} {own.get('error', '')} {theirs.get('error', '')}")
                continue
            flops = d * m * m / own["gram"] / 1e9 / machine["gigaflops"]
            # G and x are read twice, y is written.
            read = (8.0 * d * m + 24.0 * d) / own["product"] / 1e9 / own["read"]
            share = lambda peak: peak / (4.0 * d * m)
            print(
                f"  {d:8} {m:5} {own['precompute']:10.4f} {theirs['precompute']:10.4f}"
                f" {theirs['precompute'] / own['precompute']:6.1f} {flops:6.0%} {own['product']:9.5f} {theirs['product']:10.5f}"
                f" {read:6.0%} {share(own['peak']):7.2f} {share(theirs['peak']):10.2f}"
                f" {theirs['form'] / own['form'] - 1:8.0e} {own['residual']:9.0e}",
                flush=True,
            )


def main():
    enter_venv()
    words = sys.argv[1:]
    if words[:1] == ["peer"]:
        return peer(*words[1:])
    bench = executable()
    wanted = [word for word in ("--traces", "--mfac", "--coverage") if word in words] or ["--coverage", "--traces", "--mfac"]
    if "--coverage" in wanted:
        print(subprocess.check_output([bench, "coverage"], text=True))
    machine = run([bench, "machine"])
    print(
        f"this machine, {machine['threads']} threads: reads {machine['read']:.1f} GB/s,"
        f" multiplies {machine['gigaflops']:.0f} GFLOP/s in f64, {machine['gigaflops_single']:.0f} in f32"
    )
    if "--traces" in wanted:
        traces(bench, "--quick" in words)
    if "--mfac" in wanted:
        mfac(bench, machine, "--quick" in words, "--all" in words)


if __name__ == "__main__":
    main()
