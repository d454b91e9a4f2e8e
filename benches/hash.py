#!/usr/bin/env python3
"""Times how long the asset hash of a large directory takes here and in aws-cdk-lib.

Both hash the same directory in turn, after one run each that brings its files to memory. Each run
is a process of its own. Of Node, the whole process is timed, and within it the construct alone,
with everything loaded; of longshore, the whole process.

Needs `cargo build --release --bin longshore`, and aws-cdk-lib as scripts/test installs it.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("LONGSHORE_TEST_TOOLS", ROOT / "target/tools"))


def context(directory, files):
    """Text, some of it with the line ends of Windows, and a tenth of files that are not."""
    rng = random.Random(files)
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    words = [rng.randbytes(6).hex() for _ in range(500)]
    size = 0
    for number in range(files - 1):
        folder = directory / f"{number % 40}" / f"{number % 400}"
        folder.mkdir(parents=True, exist_ok=True)
        length = int(rng.lognormvariate(8, 1))
        if number % 10 == 0:
            content = rng.randbytes(length)
        else:
            end = "\r\n" if number % 7 == 0 else "\n"
            lines = [" ".join(rng.choices(words, k=8)) for _ in range(length // 100 + 1)]
            content = end.join(lines).encode()
        (folder / f"file{number}").write_bytes(content)
        size += len(content)
    return size


def timed(command, **options):
    begin = time.perf_counter()
    run = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return (time.perf_counter() - begin) * 1000, run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--program", default=ROOT / "target/release/longshore")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        directory = work / "context"
        directory.mkdir()
        size = context(directory, arguments.files)

        def node(run):
            home = work / f"home{run}"  # Fingerprints are remembered there.
            environment = os.environ | {"NODE_PATH": str(TOOLS / "npm/node_modules"), "HOME": str(home)}
            script = ROOT / "benches/hash.js"
            whole, printed = timed(["node", script, directory, work / f"out{run}"], env=environment)
            answer = json.loads(printed)
            return whole, answer["ms"], answer["hash"]

        def ours():
            whole, printed = timed([arguments.program, "hash", directory])
            return whole, printed.strip()

        hashes = {node("-warm")[2], ours()[1]}
        times = {"Node, process": [], "Node, construct alone": [], "longshore, process": []}
        for run in range(arguments.runs):
            whole, alone, theirs = node(run)
            mine, hash = ours()
            hashes |= {theirs, hash}
            for name, value in zip(times, (whole, alone, mine)):
                times[name].append(value)
        assert len(hashes) == 1, hashes

    print(f"{arguments.files} files, {size / 1e6:.0f} MB, {os.cpu_count()} processors, median of {arguments.runs}")
    for name, values in times.items():
        print(f"{name:24}{statistics.median(values):8.0f} ms   ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
