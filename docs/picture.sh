#!/usr/bin/env bash
# Makes docs/report.png, the picture of the report in the README, with Chromium: docs/picture.sh [VERIFY]
set -euo pipefail
cd "$(dirname "$0")/.."
verify="$(realpath "${1:-target/release/verify}")"
picture="$PWD/docs/report.png"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp models/digits_relu.onnx models/digits_test.npz specs/*.vnnlib "$work"
cd "$work"
cat >verify.toml <<'END'
[models.digits]
path = "digits_relu.onnx"
[[models.digits.lipschitz]]
norm = "l2"
max-bound = 18.0
[[models.digits.specification]]
file = "digit_0_within_0.05.vnnlib"
[[models.digits.specification]]
file = "digit_5_within_0.2.vnnlib"
[[models.digits.robustness]]
data = "digits_test.npz"
samples = 50
norm = "linf"
epsilon = 0.03
min-certified-accuracy = 0.9
END
# One rule is broken, and the picture shows it: exit code 1.
SOURCE_DATE_EPOCH=1750000000 "$verify" gate -q --report report.html >/dev/null 2>&1 || [ $? -eq 1 ]
chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --force-color-profile=srgb \
    --user-data-dir="$work/profile" --window-size=960,1470 --screenshot="$picture" "file://$work/report.html" 2>/dev/null
