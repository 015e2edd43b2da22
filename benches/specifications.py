#!/usr/bin/env python3
"""A whole benchmark: verdicts beside the peers', and every counterexample replayed.

    benches/specifications.py INSTANCES [--timeout S] [--only TEXT] [--verify PATH]

INSTANCES is a CSV file with the columns benchmark, model, spec, expected, timeout_s and, for the comparison, nnenum_s and
abcrown_s (empty where the peer did not solve it). The program runs `verify batch` and then gives every `sat` to ONNX Runtime
in float32: the printed inputs must satisfy the specification's decimals exactly, as rational numbers, and so must the
outputs that ONNX Runtime computes from them. Needs numpy, onnx and onnxruntime. Exits with 1 if a verdict contradicts what
is expected or a counterexample is not one.
"""

import argparse
import collections
import csv
import gzip
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from fractions import Fraction

import numpy as np
import onnxruntime


def read(path):
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def expressions(text):
    """The S-expressions of a text, as nested lists of words."""
    stack = [[]]
    for token in re.findall(r"[()]|[^\s()]+", re.sub(r";[^\n]*", "", text)):
        if token == "(":
            stack.append([])
        elif token == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    return stack[0]


def value(expression, assignment):
    if isinstance(expression, list):
        operator, *rest = expression
        values = [value(part, assignment) for part in rest]
        if operator == "+":
            return sum(values)
        if operator == "-":
            return -values[0] if len(values) == 1 else values[0] - sum(values[1:])
        product = Fraction(1)
        for factor in values:
            product *= factor
        return product
    return assignment[expression] if expression in assignment else Fraction(expression)


def holds(formula, assignment):
    operator, *rest = formula
    if operator == "and":
        return all(holds(part, assignment) for part in rest)
    if operator == "or":
        return any(holds(part, assignment) for part in rest)
    left, right = (value(part, assignment) for part in rest)
    return {"<=": left <= right, ">=": left >= right, "<": left < right, ">": left > right, "==": left == right}[operator]


def replay(model, specification, result):
    """What is wrong with a counterexample, or None."""
    inputs = {int(i): x for i, x in re.findall(r"\(X_(\d+) (\S+?)\)", result)}
    session = onnxruntime.InferenceSession(read(model), providers=["CPUExecutionProvider"])
    # Old files list their initialisers among the inputs; the last is the real one.
    port = session.get_inputs()[-1]
    shape = [extent if isinstance(extent, int) and extent > 0 else 1 for extent in port.shape]
    point = np.array([np.float32(float(inputs[i])) for i in range(len(inputs))], dtype=np.float32).reshape(shape)
    outputs = session.run(None, {port.name: point})[0].reshape(-1)
    assignment = {f"X_{i}": Fraction(x) for i, x in inputs.items()}
    assignment |= {f"Y_{i}": Fraction(float(y)) for i, y in enumerate(outputs)}
    asserts = [e[1] for e in expressions(read(specification).decode()) if e[0] == "assert"]
    broken = [formula for formula in asserts if not holds(formula, assignment)]
    return f"not satisfied: {broken[0]}" if broken else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instances", type=pathlib.Path)
    parser.add_argument("--timeout", default="10")
    parser.add_argument("--only")
    parser.add_argument("--verify", default="verify")
    arguments = parser.parse_args()
    folder = arguments.instances.parent
    with tempfile.TemporaryDirectory() as results:
        command = [arguments.verify, "batch", str(arguments.instances), "--timeout", arguments.timeout]
        command += ["--results", results, "--output-format", "json", "--quiet"]
        command += ["--only", arguments.only] if arguments.only else []
        run = subprocess.run(command, stdout=subprocess.PIPE, check=False)
        report = json.loads(run.stdout)
        peers = {(row["model"], row["spec"]): row for row in csv.DictReader(arguments.instances.open())}
        wrong = []
        counts = collections.defaultdict(collections.Counter)
        times = collections.defaultdict(list)
        for instance in report["instances"]:
            count = counts[instance["group"]]
            count["all"] += 1
            count[instance["verdict"]] += 1
            row = peers[instance["model"], instance["specification"]]
            count["nnenum"] += bool(row.get("nnenum_s"))
            count["abcrown"] += bool(row.get("abcrown_s"))
            name = f"{instance['model']} {instance['specification']}"
            if instance["verdict"] not in ("sat", "unsat"):
                print(f"{instance['verdict']}: {name} (expected {row.get('expected')}) {instance.get('message') or ''}")
                continue
            times[instance["group"]].append(instance["seconds"])
            if instance["verdict"] != row.get("expected", instance["verdict"]):
                wrong.append(f"{name}: {instance['verdict']}, expected {row['expected']}")
            if instance["verdict"] == "sat":
                result = pathlib.Path(results, f"{instance['number']}.txt").read_text()
                problem = replay(folder / instance["model"], folder / instance["specification"], result)
                count["replayed"] += problem is None
                if problem:
                    wrong.append(f"{name}: {problem}")
    print(f"\n{'benchmark':<20}{'all':>5}{'unsat':>7}{'sat':>5}{'replayed':>10}{'solved':>8}{'nnenum':>8}{'abcrown':>9}{'median s':>10}")
    total = collections.Counter()
    for group, count in sorted(counts.items()):
        count["solved"] = count["sat"] + count["unsat"]
        total.update(count)
        median = sorted(times[group])[len(times[group]) // 2] if times[group] else float("nan")
        columns = [count[key] for key in ("all", "unsat", "sat", "replayed", "solved", "nnenum", "abcrown")]
        print(f"{group:<20}{columns[0]:>5}{columns[1]:>7}{columns[2]:>5}{columns[3]:>10}{columns[4]:>8}{columns[5]:>8}{columns[6]:>9}{median:>10.3f}")
    print(f"{'total':<20}{total['all']:>5}{total['unsat']:>7}{total['sat']:>5}{total['replayed']:>10}{total['solved']:>8}{total['nnenum']:>8}{total['abcrown']:>9}")
    for problem in wrong:
        print(f"WRONG: {problem}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
