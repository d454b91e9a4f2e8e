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
import resource
import statistics
import subprocess
import sys
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


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(command, **options):
    """Milliseconds by the clock and of the processors, and what was printed."""
    begin, used = time.perf_counter(), cpu()
    run = subprocess.run(command, check=True, capture_output=True, text=True, **options)
    return (time.perf_counter() - begin) * 1000, (cpu() - used) * 1000, run.stdout


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
            environment = os.environ | {
                "NODE_PATH": str(TOOLS / "npm/node_modules"),
                # Fingerprints are remembered there.
                "HOME": str(work / f"home{run}"),
            }
            script = ROOT / "benches/hash.js"
            command = ["node", script, directory, work / f"out{run}"]
            whole, used, printed = timed(command, env=environment)
            answer = json.loads(printed)
            return answer["hash"], (whole, answer["ms"], used)

        def ours():
            whole, used, printed = timed([arguments.program, "hash", directory])
            return printed.strip(), (whole, used)

        names = (
            "Node, process",
            "Node, construct alone",
            "Node, CPU",
            "longshore, process",
            "longshore, CPU",
        )
        hashes = {node("-warm")[0], ours()[0]}
        rows = []
        for run in range(arguments.runs):
            theirs, row = node(run)
            mine, more = ours()
            hashes |= {theirs, mine}
            rows.append(row + more)
        if len(hashes) != 1:
            sys.exit(f"the hashes differ: {hashes}")

    print(
        f"{arguments.files} files, {size / 1e6:.0f} MB, {os.cpu_count()} processors, "
        f"median of {arguments.runs}"
    )
    for name, values in zip(names, zip(*rows)):
        middle = statistics.median(values)
        print(f"{name:24}{middle:8.0f} ms   ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
