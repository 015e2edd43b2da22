#!/usr/bin/env python3
"""Backward bounds beside auto_LiRPA's: value, CPU seconds and peak memory of every query, in one table.

    benches/bounds.py CORPUS [--quick]

CORPUS holds `bounds/expected.json` (auto_LiRPA 0.7.1 on one thread: least margins, CPU seconds, peak memory) with its boxes,
and the models that it names. The release of auto_LiRPA in the Python package index (0.3) runs with no current PyTorch or NumPy,
so that the recorded figures are what is compared with; they come from another, shared machine.

Ours are the usual slopes against CROWN, and searched slopes (more effort until every recorded method is reached) against
the best of them. Exits with 1 where a bound is lower than a column by more than 1e-4, relative; slower is shown, not judged.
`--quick` leaves the search out.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Ascent steps for the rows and for every refined node.
EFFORTS = [(20, 0), (60, 0), (30, 5), (30, 20)]
TOLERANCE = 1e-4


def ours(corpus, run, *effort):
    box = corpus / "bounds" / pathlib.Path(run["input"]).name
    command = ["cargo", "bench", "-q", "--bench", "bounds", "--", corpus / run["onnx"], box, run["label"], *effort]
    return json.loads(subprocess.check_output(list(map(str, command)), cwd=ROOT, text=True).splitlines()[-1])


def reaches(ours, theirs):
    return ours >= theirs - TOLERANCE * max(abs(theirs), 1e-2)


def line(name, method, value, other, seconds, other_seconds, peak, other_peak):
    print(f"{name:<16}{method:<10}{value:>11.5f}{other:>11.5f}{seconds:>10.4f}{other_seconds:>10.3f}"
          f"{other_seconds / seconds:>8.1f}×{peak:>9.0f}{other_peak:>9.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    corpus = arguments.corpus.resolve()
    queries = collections.defaultdict(dict)
    for run in json.loads((corpus / "bounds/expected.json").read_text())["runs"]:
        queries[run["input"]][run["method"].split("(")[0]] = run
    print(f"{'query':<16}{'slopes':<10}{'ours':>11}{'theirs':>11}{'CPU s':>10}{'theirs':>10}{'ratio':>9}{'MiB':>9}{'theirs':>9}")
    missed = []
    for query, methods in queries.items():
        name = pathlib.Path(query).stem
        crown = methods["CROWN"]
        # What their margins cost on top of a built graph.
        cost = lambda run: run["margin_s"]
        found = ours(corpus, crown)
        theirs = crown["margin_lower"]
        line(name, "usual", min(found["margins"]), min(theirs), found["seconds"], crown["margin_s"], found["peak_mib"],
             crown["peak_rss_mb_process"])
        missed += [f"{name}: margin {k}" for k, (a, b) in enumerate(zip(found["margins"], theirs)) if not reaches(a, b)]
        if arguments.quick:
            continue
        best = max(methods.values(), key=lambda run: min(run["margin_lower"]))
        seconds = 0.0
        for effort in EFFORTS:
            found = ours(corpus, crown, *effort)
            seconds += found["seconds"]
            if reaches(min(found["margins"]), min(best["margin_lower"])):
                break
        else:
            missed.append(f"{name}: searched")
        line(name, f"{effort[0]}+{effort[1]}", min(found["margins"]), min(best["margin_lower"]), seconds, cost(best),
             found["peak_mib"], best["peak_rss_mb_process"])
    for problem in missed:
        print(f"LOWER: {problem}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
