#!/usr/bin/env python3
"""Lipschitz bounds of the same random networks by nnverify and by its peers, in one run.

    cargo build --release
    python3 benches/lipschitz.py [--sizes small|all|growth] [--limit SECONDS]

Makes a virtual environment beside this script (`benches/.venv`) with cvxpy, Clarabel, SCS, SDPA and eclipse-nn from the Python
package index, draws He-scaled ReLU networks n -> n x L -> 10 with a fixed seed, and prints for every network and solver: the value,
CPU seconds (user + system, of a process of its own), peak memory, and the ratio of CPU seconds to nnverify's. nnverify's value is a
proved bound; the others are what the solver returned. All of them bound the same LipSDP-Neuron program; eclipse-nn bounds it from
above layer by layer. `--sizes growth` solves ever larger networks by nnverify alone and prints how the cost grows with the order N of
the matrix, and the rate of arithmetic of the interior point beside that of numpy's product of two matrices of that order.

A second table has networks with sorts of 2 (MaxMin) and more: nnverify's two formulations beside the matrix inequality of Pauli et al. (ICLR
2024) in cvxpy with Clarabel, as its authors run it (S = P = 0) and with S and P free, which comes down to `--formulation groups`.
"""
import argparse
import json
import math
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
VERIFY = os.path.join(HERE, "..", "target", "release", "verify")
PACKAGES = ["numpy", "scipy", "onnx", "cvxpy", "clarabel", "scs", "sdpa-python", "eclipse-nn"]
# (depth, width): the peers' own table, then networks that only some of them finish.
SMALL = [(2, 32), (4, 32), (2, 64)]
# (depth, width, size of the sorted groups).
SORTS = [(2, 16, 2), (4, 16, 2), (2, 24, 4)]
ALL = SMALL + [(4, 64), (2, 128), (4, 128), (2, 256), (8, 128)]
GROWTH = [(2, 64), (2, 128), (2, 256), (2, 512), (2, 1024)]


def environment():
    folder = os.path.join(HERE, ".venv")
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(python):
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def weights(depth, width):
    import numpy as np

    random = np.random.default_rng(1000 * depth + width)
    sizes = [width] * (depth + 1) + [10]
    he = lambda a, b: (random.standard_normal((b, a)) * np.sqrt(2 / a)).astype(np.float32)
    return [he(a, b) for a, b in zip(sizes, sizes[1:])]


def write_model(path, matrices, group=0):
    """ReLU, or with `group` a sort of so many neighbours."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, signal = [], [], "x"
    for i, matrix in enumerate(matrices):
        constants += [numpy_helper.from_array(matrix, f"w{i}"), numpy_helper.from_array(np.zeros(len(matrix), np.float32), f"b{i}")]
        nodes.append(helper.make_node("Gemm", [signal, f"w{i}", f"b{i}"], [f"g{i}"], transB=1))
        signal = f"g{i}"
        if i + 1 < len(matrices):
            if group:
                constants += [numpy_helper.from_array(np.array(shape, np.int64), f"{name}{i}") for name, shape in (("r", (-1, group)), ("f", (1, len(matrix))))]
                constants.append(numpy_helper.from_array(np.array([group], np.int64), f"k{i}"))
                nodes.append(helper.make_node("Reshape", [signal, f"r{i}"], [f"rows{i}"]))
                nodes.append(helper.make_node("TopK", [f"rows{i}", f"k{i}"], [f"sorted{i}", f"order{i}"], axis=-1, largest=0))
                nodes.append(helper.make_node("Reshape", [f"sorted{i}", f"f{i}"], [f"a{i}"]))
            else:
                nodes.append(helper.make_node("Relu", [signal], [f"a{i}"]))
            signal = f"a{i}"
    shape = lambda name, size: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
    graph = helper.make_graph(nodes, "net", [shape("x", matrices[0].shape[1])], [shape(signal, len(matrices[-1]))], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def by_cvxpy(matrices, solver):
    """LipSDP-Neuron (Fazlyab et al. 2019, theorem 2) as it is usually written."""
    import cvxpy as cp
    import numpy as np

    matrices = [m.astype(float) for m in matrices]
    inputs, hidden = matrices[0].shape[1], [len(m) for m in matrices[:-1]]
    total = inputs + sum(hidden)
    # A picks the arguments of the activations, B their results.
    a, b = np.zeros((sum(hidden), total)), np.zeros((sum(hidden), total))
    row, column = 0, 0
    for matrix in matrices[:-1]:
        a[row : row + len(matrix), column : column + matrix.shape[1]] = matrix
        column += matrix.shape[1]
        b[row : row + len(matrix), column : column + len(matrix)] = np.eye(len(matrix))
        row += len(matrix)
    output = np.zeros((len(matrices[-1]), total))
    output[:, total - hidden[-1] :] = matrices[-1]
    rho, multipliers = cp.Variable(), cp.Variable(sum(hidden), nonneg=True)
    t = cp.diag(multipliers)
    form = a.T @ t @ b + b.T @ t @ a - 2 * (b.T @ t @ b)
    corner = np.zeros((total, total))
    corner[:inputs, :inputs] = np.eye(inputs)
    problem = cp.Problem(cp.Minimize(rho), [rho * corner - output.T @ output - form >> 0])
    problem.solve(solver=solver)
    return float(np.sqrt(rho.value))


def by_paper(matrices, group, free):
    """Pauli et al. 2024, theorem 2: T = diag(l)(x)I + diag(g)(x)11', P = diag(n)(x)11', S = diag(t)(x)11'; S = P = 0 unless free."""
    import cvxpy as cp
    import numpy as np

    matrices = [m.astype(float) for m in matrices]
    inputs, hidden = matrices[0].shape[1], [len(m) for m in matrices[:-1]]
    total = inputs + sum(hidden)
    rho = cp.Variable()
    form, before, start = 0, 0, inputs
    for matrix in matrices[:-1]:
        x, y = np.zeros((len(matrix), total)), np.zeros((len(matrix), total))
        x[:, before : before + matrix.shape[1]] = matrix
        y[:, start : start + len(matrix)] = np.eye(len(matrix))
        for g in range(0, len(matrix), group):
            a, b = x[g : g + group], y[g : g + group]
            sa, sb = a.sum(0, keepdims=True), b.sum(0, keepdims=True)
            form += cp.Variable(nonneg=True) * (a.T @ a - b.T @ b) + cp.Variable() * (sa.T @ sa - sb.T @ sb)
            if free:
                cross = sa.T @ sb + sb.T @ sa
                form += cp.Variable() * (cross - 2 * sb.T @ sb) + cp.Variable() * (cross - 2 * sa.T @ sa)
        before, start = start, start + len(matrix)
    output = np.zeros((len(matrices[-1]), total))
    output[:, total - hidden[-1] :] = matrices[-1]
    corner = np.zeros((total, total))
    corner[:inputs, :inputs] = np.eye(inputs)
    cp.Problem(cp.Minimize(rho), [rho * corner - output.T @ output - form >> 0]).solve(solver="CLARABEL")
    return float(np.sqrt(rho.value))


def by_eclipse(matrices):
    import torch
    from eclipse_nn.LipConstEstimator import LipConstEstimator

    torch.set_num_threads(os.cpu_count())
    tensors = [torch.tensor(m, dtype=torch.float64) for m in matrices]
    return float(LipConstEstimator(weights=tensors).estimate("ECLipsE_Fast"))


def solve_one(depth, width, solver):
    """The child process: prints value, CPU seconds and peak memory as JSON."""
    matrices = weights(depth, width)
    before = resource.getrusage(resource.RUSAGE_SELF)
    if solver == "ECLipsE-Fast":
        value = by_eclipse(matrices)
    elif solver.startswith("paper"):
        value = by_paper(matrices, int(solver.split(":")[1]), solver.endswith("free"))
    else:
        value = by_cvxpy(matrices, solver)
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"value": value, "seconds": seconds, "megabytes": after.ru_maxrss / 1024}))


def peer(python, depth, width, solver, limit):
    command = [python, __file__, "--child", str(depth), str(width), solver]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        return json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"none in {limit:.0f} s"}
    except (IndexError, json.JSONDecodeError):
        return {"error": (done.stderr.strip().splitlines() or ["no result"])[-1][:60]}


def ours(python, folder, depth, width, group=0, formulation="comparators"):
    model = os.path.join(folder, f"{depth}x{width}x{group}.onnx")
    subprocess.run([python, __file__, "--write", str(depth), str(width), str(group), model], check=True)
    command = [VERIFY, model, "--lipschitz", "l2", "--output-format", "json", "--verbose", "--certificate", model + ".json"]
    command += ["--formulation", formulation]
    start = time.time()
    with open(model + ".log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        text = process.stdout.read()
        log.seek(0)
        told = re.search(r"interior point: (\d+) iterations in ([\d.]+) s", log.read())
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        return {"error": "verify failed"}
    report = json.loads(text)["claims"][0]
    return {
        "value": float(report["bound"]["decimal"]),
        "seconds": usage.ru_utime + usage.ru_stime,
        "wall": time.time() - start,
        "megabytes": usage.ru_maxrss / 1024,
        "iterations": int(told[1]) if told else 0,
        "interior": float(told[2]) if told else 0.0,
    }


def operations(depth, width):
    """Floating-point operations of one iteration of the interior point on the transposed network, whose matrix has the order
    N = 10 + depth * width: the inverse 2/3 N^3, two products with it 4 N^3, some seven Cholesky factors 7/3 N^3, the Schur matrix's
    1/3 N^3, and sixteen products with the rows of the layers."""
    order = 10 + depth * width
    rows = 10 * width + (depth - 1) * width * width
    return 7.3 * order**3 + 16 * order * rows


def gemm_rate(python, order):
    """GFLOP/s of numpy's product of two matrices of doubles, on all cores, in a process of its own."""
    code = (
        "import numpy, sys, time; n = int(sys.argv[1]); a = numpy.random.rand(n, n); a @ a; k = max(1, int(2e10 / n**3)); t = time.time();"
        "[a @ a for _ in range(k)]; print(2 * n**3 * k / (time.time() - t) / 1e9)"
    )
    done = subprocess.run([python, "-c", code, str(order)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def growth(python, folder):
    head = ["L x n", "N", "value", "CPU s", "wall s", "MB", "iterations", "interior s", "GFLOP/s", "GEMM", "power"]
    print("{:>8} {:>6} {:>12} {:>8} {:>8} {:>6} {:>10} {:>10} {:>8} {:>6} {:>6}".format(*head))
    before = None
    for depth, width in GROWTH:
        mine = ours(python, folder, depth, width)
        if "error" in mine:
            print(f"{depth}x{width} {mine['error']}")
            continue
        order = 10 + depth * width
        rate = mine["iterations"] * operations(depth, width) / max(mine["interior"], 0.01) / 1e9
        # The cost between this order and the one before grows like this power of it.
        power = math.log(mine["seconds"] / before[1]) / math.log(order / before[0]) if before else math.nan
        before = (order, mine["seconds"])
        print(
            f"{depth}x{width:<6} {order:>6} {mine['value']:>12.7g} {mine['seconds']:>8.2f} {mine['wall']:>8.2f} {mine['megabytes']:>6.0f} "
            f"{mine['iterations']:>10} {mine['interior']:>10.2f} {rate:>8.1f} {gemm_rate(python, order):>6.1f} {power:>6.2f}",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", choices=["small", "all", "growth"], default="small")
    parser.add_argument("--limit", type=float, default=120, help="seconds that a peer may take for one network")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        depth, width, solver = arguments.child
        return solve_one(int(depth), int(width), solver)
    if arguments.write:
        depth, width, group, path = arguments.write
        return write_model(path, weights(int(depth), int(width)), int(group))
    if not os.path.exists(VERIFY):
        sys.exit("build it first: cargo build --release")
    python = environment()
    if arguments.sizes == "growth":
        with tempfile.TemporaryDirectory() as folder:
            return growth(python, folder)
    print(f"{'L x n':>8} {'order':>6} {'solver':>14} {'value':>14} {'CPU s':>9} {'MB':>7} {'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for depth, width in SMALL if arguments.sizes == "small" else ALL:
            mine = ours(python, folder, depth, width)
            results = [("nnverify", mine)]
            results += [(s, peer(python, depth, width, s, arguments.limit)) for s in ("CLARABEL", "SCS", "SDPA", "ECLipsE-Fast")]
            table(f"{depth}x{width}", (depth + 1) * width, results)
        print()
        for depth, width, group in SORTS:
            results = [(f, ours(python, folder, depth, width, group, f)) for f in ("comparators", "groups")]
            results += [(n, peer(python, depth, width, f"paper:{group}:{n.split()[-1]}", arguments.limit)) for n in ("S=P=0", "S,P free")]
            table(f"{depth}x{width}/{group}", (depth + 1) * width, results)


def table(network, order, results):
    """Rows of one network; the ratio is to the CPU seconds of the first result."""
    for name, result in results:
        head = f"{network:>8} {order:>6} {name:>14}"
        if "error" in result:
            print(f"{head} {result['error']}")
            continue
        ratio = result["seconds"] / results[0][1].get("seconds", float("nan"))
        print(f"{head} {result['value']:>14.8g} {result['seconds']:>9.3f} {result['megabytes']:>7.0f} {ratio:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
