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


def write_model(path, matrices):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, signal = [], [], "x"
    for i, matrix in enumerate(matrices):
        constants += [numpy_helper.from_array(matrix, f"w{i}"), numpy_helper.from_array(np.zeros(len(matrix), np.float32), f"b{i}")]
        nodes.append(helper.make_node("Gemm", [signal, f"w{i}", f"b{i}"], [f"g{i}"], transB=1))
        signal = f"g{i}"
        if i + 1 < len(matrices):
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
    value = by_eclipse(matrices) if solver == "ECLipsE-Fast" else by_cvxpy(matrices, solver)
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


def ours(python, folder, depth, width):
    model = os.path.join(folder, f"{depth}x{width}.onnx")
    subprocess.run([python, __file__, "--write", str(depth), str(width), model], check=True)
    command = [VERIFY, model, "--lipschitz", "l2", "--output-format", "json", "--verbose", "--certificate", model + ".json"]
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
    parser.add_argument("--write", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        depth, width, solver = arguments.child
        return solve_one(int(depth), int(width), solver)
    if arguments.write:
        depth, width, path = arguments.write
        return write_model(path, weights(int(depth), int(width)))
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
            for name, result in results:
                head = f"{depth}x{width:<5} {(depth + 1) * width:>6} {name:>14}"
                if "error" in result:
                    print(f"{head} {result['error']}")
                    continue
                ratio = result["seconds"] / mine["seconds"] if "seconds" in mine else float("nan")
                print(f"{head} {result['value']:>14.8g} {result['seconds']:>9.3f} {result['megabytes']:>7.0f} {ratio:>8.1f}", flush=True)


if __name__ == "__main__":
    main()
