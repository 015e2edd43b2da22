#!/usr/bin/env bash
# Prints how many lines of code an auditor reads, by family: without tests, comments and blank lines.
set -euo pipefail
cd "$(dirname "$0")/src"

# Lines of code of the files and folders that are named.
lines() {
    find "$@" -name '*.rs' ! -name 'tests.rs' ! -name 'testing.rs' ! -path '*/tests/*' -print0 | sort -z | xargs -0 awk '
        FNR == 1 { skipping = 0 }
        # A test module or a function for tests alone: up to the brace that closes it at its own depth.
        !skipping && /^[ ]*#\[cfg\((all\()?test/ { match($0, /^ */); depth = RLENGTH; skipping = 1; next }
        skipping == 1 { if ($0 ~ /;[ ]*$/) { skipping = 0 } else if ($0 ~ /\{[ ]*$/) { skipping = 2 } else if ($0 ~ /\}[ ]*$/) { skipping = 0 } next }
        skipping == 2 { match($0, /^ */); if (RLENGTH == depth && $0 ~ /^ *\}/) skipping = 0; next }
        /^[ ]*$/ || /^[ ]*\/\// { next }
        { count++ }
        END { print count + 0 }'
}

row() {
    printf '%-52s %6d\n' "$1" "$2"
}

sound=$(lines sound)
network=$(lines model/ir model/implicit model/mod.rs)
onnx=$(lines model/onnx)
proof=$(lines proof threads.rs check lib.rs)
lipschitz=$(lines lipschitz)
files=$(lines files)
data=$(lines read)
region=$(lines region)
curvature=$(lines curvature)
program=$(lines bin)

row "sound arithmetic" "$sound"
row "networks" "$network"
row "ONNX files" "$onnx"
row "claims, proofs, the check" "$proof"
row "files" "$files"
row "data and specifications" "$data"
row "Lipschitz: form and rules" "$lipschitz"
row "regions: bounds and rules" "$region"
row "curvature: derivatives and rules" "$curvature"
row "the program nnverify-check" "$program"
row "an auditor of a global Lipschitz bound" "$((sound + network + onnx + proof + files + lipschitz))"
row "everything" "$((sound + network + onnx + proof + files + data + lipschitz + region + curvature + program))"
