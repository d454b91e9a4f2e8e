#!/usr/bin/env python3
"""Measures the peak memory of Longshore's Lambda over sizes of archives.

Each archive is of plain layers, and is loaded as it is, and compressed as a whole with gzip: once
as `docker save` orders it, which takes two passes, and once with its description first, which
takes one. It comes from a stand-in for S3 and goes to a fresh `docker-registry`, under AWS's
Runtime Interface Emulator. Peak memory is the Lambda process's own, as the kernel counts it (Linux
only).

    cargo build --profile function --bin bootstrap --no-default-features --features lambda
    scripts/test                            # installs the other parts
    benches/memory.py                       # archives of 64 MiB, 1 GiB and 4 GiB
    benches/memory.py --sizes 64 --compression zstd
    benches/memory.py --sizes 256 --destinations 16
"""

import argparse
import pathlib
import shutil
import subprocess

import archives
import compare
import parts


def main():
    options = parse_options()
    parts.require({"longshore": options.bootstrap})
    parts.print_head("archive", "compressed", "peak memory, MiB", "CPU, s", texts=2)
    for size in options.sizes:
        plain = archives.build(options.archives, size)
        for archive, outer in [
            (plain, "no"),
            (gzipped(plain), "gzip"),
            (gzipped(archives.described_first(plain)), "gzip, one pass"),
        ]:
            of = event(options.compression, options.destinations)
            figures = compare.measure(options.bootstrap, of, archive, options.runs)
            memory, cpu = figures["peak memory, MiB"], figures["CPU, s"]
            parts.print_row(f"{size} MiB", outer, f"{memory:.1f}", f"{cpu:.3g}")


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 1024, 4096], metavar="MIB")
    parser.add_argument("--runs", type=int, default=3, help="of each; the median is shown")
    parser.add_argument("--compression", default="gzip", help="the resource's property")
    parser.add_argument("--destinations", type=int, default=1, help="repositories at once")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=parts.BOOTSTRAP)
    parser.add_argument(
        "--archives", type=pathlib.Path, default=archives.KEPT, help="kept between runs"
    )
    return parser.parse_args()


def event(compression="gzip", destinations=1):
    def of(source, destination):
        kind, properties = parts.longshore_event(source, destination)
        more = [destination.replace("/image:", f"/image-{n}:") for n in range(1, destinations)]
        return kind, properties | {"Compression": compression, "Destinations": more}

    return of


def gzipped(plain):
    path = plain.with_name(plain.name + ".gz")
    if not path.exists():
        unfinished = path.with_suffix(".part")
        with open(plain, "rb") as source, open(unfinished, "wb") as packed:
            command = [shutil.which("pigz") or "gzip", "-1"]
            subprocess.run(command, stdin=source, stdout=packed, check=True)
        unfinished.rename(path)
    return path


if __name__ == "__main__":
    main()
