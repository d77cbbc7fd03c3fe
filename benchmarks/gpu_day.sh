#!/usr/bin/env bash
# What to run first on a machine with a GPU, in 25 minutes: benchmarks/gpu_day.sh [--dry-run] [OUT]
#
# Self-checks, the GPU's tests, every backend and batch size, the published ViT-L in both scopes, start-up, the service
# over HTTP, search and training. Each step has a time limit and leaves a log, most a report of their own; OUT/summary.json
# says how each ended. A step that fails does not stop the next. Exit code 1 where one failed.
#
# --dry-run takes every step on the processor, with little of everything and some tests that use a stand-in for a GPU.
set -uo pipefail
cd "$(dirname "$0")/.."

DRY=0
[ "${1:-}" = --dry-run ] && { DRY=1; shift; }
OUT=$(realpath -m "${1:-build/gpu-day}")
PYTHON=${PYTHON:-.venv/bin/python}
VTV="$PYTHON -m cli"
END=$((SECONDS + 25 * 60))
FAILED=0
mkdir -p "$OUT"
rm -f "$OUT"/*.json "$OUT"/*.log "$OUT/steps"
export VTV_CACHE=$OUT/engines VTV_ALLOW_UNAUTHENTICATED=1

# step NAME SECONDS COMMAND...: at most so long, and no longer than is left of the 25 minutes.
step() {
    local name=$1 limit=$2 began=$SECONDS left=$((END - SECONDS)) code
    shift 2
    if [ "$left" -lt 20 ]; then
        code=skipped
    else
        echo "$name ..." >&2
        timeout -k 10 "$((limit < left ? limit : left))" "$@" >"$OUT/$name.log" 2>&1
        code=$?
        [ "$code" = 0 ] || { FAILED=1; echo "$name: exit code $code, see $OUT/$name.log" >&2; }
    fi
    printf '%s\t%s\t%s\n' "$name" "$code" "$((SECONDS - began))" >>"$OUT/steps"
}

# What differs in a dry run.
if [ "$DRY" = 1 ]; then
    DEVICE=cpu ENGINES=(--backend eager --buckets 1,2) LARGE=small LARGE_ENGINES=(--backend eager --buckets 1)
    SECONDS_A_ROW=0 LOAD_SECONDS=0.5 CLIENTS=1,2 SAMPLES=2 MINUTES=0.05 SIZE=small AUTO=eager
    TESTS=(tests/unit/test_cuda_graphs.py -m "not slow and not gpu")
else
    DEVICE=cuda ENGINES=() LARGE=large LARGE_ENGINES=(--backend eager --backend torch_tensorrt --buckets 1,8,32,64)
    SECONDS_A_ROW=1 LOAD_SECONDS=10 CLIENTS=1,8,64,256 SAMPLES=320 MINUTES=1 SIZE=medium AUTO=auto
    TESTS=(-m gpu)
fi
COMPILE=($VTV compile --device "$DEVICE" --backend "$AUTO" -o "$VTV_CACHE" --json)

machine() {
    nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv 2>/dev/null || echo "no GPU"
    $PYTHON -m pip list --format=freeze 2>/dev/null | grep -iE '^(torch|tensorrt|triton|numpy)' || true
    git log -1 --format=%H 2>/dev/null || true
}
export -f machine
export PYTHON

step machine 30 bash -c machine
step compile-cold 420 "${COMPILE[@]}"
step compile-warm 120 "${COMPILE[@]}"
step tests 300 "$PYTHON" -m pytest -q -p no:cacheprovider "${TESTS[@]}" --junitxml "$OUT/tests.xml"
if command -v compute-sanitizer >/dev/null; then
    step sanitizer 180 compute-sanitizer --error-exitcode 9 --target-processes all \
        "$PYTHON" -m pytest -q -p no:cacheprovider -m gpu tests/gpu/test_graphs.py -k "eager and (two_in_flight or install)"
fi
step engine 240 $VTV bench engine --device "$DEVICE" "${ENGINES[@]}" --seconds "$SECONDS_A_ROW" --output "$OUT/engine.json"
step model 60 "$PYTHON" -m benchmarks.random_model "$LARGE" "$OUT/model"
for scope in answer canvas; do
    step "engine-large-$scope" 300 $VTV bench engine --model "$OUT/model" --device "$DEVICE" "${LARGE_ENGINES[@]}" \
        --scope "$scope" --seconds "$SECONDS_A_ROW" --output "$OUT/engine-large-$scope.json"
done
step load 120 $VTV bench load --backend "$AUTO" --concurrency "$CLIENTS" --seconds "$LOAD_SECONDS" --output "$OUT/load.json"
step search 60 $VTV bench search --model "$OUT/model" --device "$DEVICE" --samples "$SAMPLES" --seconds "$SECONDS_A_ROW" \
    --output "$OUT/search.json"
step train 120 $VTV train tokenizer --dataset artifacts/bundled/demo -o "$OUT/run" --size "$SIZE" --minutes "$MINUTES"

"$PYTHON" - "$OUT" "$MINUTES" <<'PYTHON'
import json, re, sys
from pathlib import Path

out = Path(sys.argv[1])
rows = [line.split("\t") for line in (out / "steps").read_text().splitlines()]
steps = {name: {"exit": code if code == "skipped" else int(code), "seconds": int(spent)} for name, code, spent in rows}
reports = sorted(path.name for path in out.glob("*.json"))
summary = {"steps": steps, "reports": reports}
log = out / "train.log"
if log.exists() and (done := re.findall(r"^step (\d+) ", log.read_text(), re.MULTILINE)):
    summary["training_steps_per_second"] = int(done[-1]) / (60 * float(sys.argv[2]))
(out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
PYTHON
rm -f "$OUT/steps"
cat "$OUT/summary.json"
exit "$FAILED"
