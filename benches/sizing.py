#!/usr/bin/env python3
"""Measures one deployment by the Lambda at several sizes of memory, and what each would cost.

Lambda gives a function of 1,769 MB one processor, and other sizes in proportion. Here a cgroup
gives the Lambda's process as much (Linux with control groups of version 1, as root); S3 and the
registry, which are stand-ins on the same machine, have the rest of it.

    benches/sizing.py                       # an archive of 1 GiB
    benches/sizing.py --size 64 --memory 512 1769
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys

import archives
import compare
import parts

GROUPS = pathlib.Path("/sys/fs/cgroup")
PERIOD = 100_000
# Megabytes of memory that have one processor.
OF_ONE_PROCESSOR = 1769
# Dollars of a GB-second, on ARM in us-east-1.
PRICE = 0.0000133334


def main():
    options = parse_options()
    archive = archives.build(options.archives, options.size)
    columns = "memory, MB", "processors", "wall, s", "peak memory, MiB", "$ per 1000"
    parts.print_head(*columns, texts=0)
    for memory in options.memory:
        processors = memory / OF_ONE_PROCESSOR
        if processors > os.cpu_count():
            sys.exit(f"{memory} MB is more than this machine's {os.cpu_count()} processors")
        runs = [run(options.bootstrap, archive, memory) for _ in range(options.runs)]
        seconds = statistics.median(one["wall, s"] for one in runs)
        peak = max(one["peak memory, MiB"] for one in runs)
        cost = 1000 * seconds * memory / 1024 * PRICE
        cells = f"{memory}", f"{processors:.2f}", f"{seconds:.1f}", f"{peak:.0f}", f"{cost:.2f}"
        parts.print_row(*cells)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1024, metavar="MIB", help="of the archive")
    parser.add_argument("--memory", type=int, nargs="+", default=[512, 1024, 1769, 3008])
    parser.add_argument("--runs", type=int, default=1, help="of each; the median is shown")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=parts.BOOTSTRAP)
    parser.add_argument(
        "--archives", type=pathlib.Path, default=archives.KEPT, help="kept between runs"
    )
    return parser.parse_args()


def run(program, archive, memory):
    within = lambda process: limited(process, memory)
    return compare.run_once(program, parts.longshore_event, archive, limited=within)


@contextlib.contextmanager
def limited(process, memory):
    """A process, and those that it starts from now on, with the processors of so much memory."""
    group = GROUPS / f"cpu/longshore-{process}"
    group.mkdir()
    try:
        quota = PERIOD * memory // OF_ONE_PROCESSOR
        (group / "cpu.cfs_period_us").write_text(str(PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
        (group / "cgroup.procs").write_text(str(process))
        yield
    finally:
        # A group goes when it is empty, which is not before its processes are gone.
        (GROUPS / "cpu/cgroup.procs").write_text(str(process))
        for left in (group / "cgroup.procs").read_text().split():
            (GROUPS / "cpu/cgroup.procs").write_text(left)
        group.rmdir()


if __name__ == "__main__":
    main()
