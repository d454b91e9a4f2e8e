#!/usr/bin/env python3
"""Measures Longshore beside cdk-ecr-deployment and skopeo, and writes the figures of
docs/performance.md and its plots.

Each part's figures are kept in `target/bench/results`, so that a part can be measured again alone.
The page's words are written by hand; what stands between `<!-- figures: NAME -->` and
`<!-- end -->` is written by this program. What is measured must be built before:

    cargo build --profile function --bin bootstrap --no-default-features --features lambda
    cargo build --release --example link
    scripts/test                                # installs the other programs
    benches/performance.py                      # all but `build`: 20 minutes, 25 GB
    benches/performance.py --only copies        # one part, and what the page has of it
    benches/performance.py --write              # the page again, from figures that are kept
    benches/performance.py --quick              # tiny sizes, to a directory that goes

It measures processes as the kernel counts them, so that it runs on Linux only. The part `memory`
needs control groups of version 1, and root; elsewhere it is left out. The plots need matplotlib,
which is among the tools that `scripts/test` installs: another Python starts the tools' own.
"""

import argparse
import datetime
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import archives
import compare
import compare_copy
import links
import memory
import parts
import results
import sizing
from results import GO, LINK, OURS, SKOPEO

COMPRESSIONS = ("gzip", "zstd", "gzip-small", "none")
# From this size on one run is enough.
ONE_RUN_FROM = 1024


class Scale:
    """What is measured."""

    archive = 1024
    sizes = (10, 64, 256, 1024, 4096, 10240)
    memory = (512, 1024, 1769, 3008)
    image = 850
    layers = (1, 6, 40)
    round_trips = (0, 15, 50)
    rates = (20, 90, None)
    starts = 40


class Quick(Scale):
    """The least that takes each path."""

    archive = 4
    sizes = (4, 8)
    memory = (1769,)
    image = 4
    layers = (6,)
    round_trips = (15,)
    rates = (None,)
    starts = 2


def main():
    options = parse_options()
    use_tools_python()
    if options.quick:
        with tempfile.TemporaryDirectory() as directory:
            run_quick(options, pathlib.Path(directory))
    else:
        run(options)


def run(options):
    # It needs matplotlib, which the first Python may not have.
    import performance_page

    performance_page.check(options.page)
    options.results.mkdir(parents=True, exist_ok=True)
    if not options.write:
        parts.require({GO: options.peer, OURS: options.bootstrap, "link": options.link})
        for name in options.only or [part for part in PARTS if part != "build"]:
            measure(name, options)
    kept = results.read(options.results)
    performance_page.write(kept, options.page)
    if options.scale is Scale:
        performance_page.warn_of_reasons(kept)


def run_quick(options, directory):
    """Measures the least in a directory and writes the page's copy there."""
    page = directory / options.page.name
    shutil.copy(options.page, page)
    options.scale, options.runs, options.page = Quick, 1, page
    options.archives, options.results = directory / "archives", directory / "results"
    run(options)
    plots = sorted(page.parent.glob("images/*.svg"))
    print(f"the page and {len(plots)} plots were written to a directory that is gone now")


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--write", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true", help="tiny sizes; the page stays")
    parser.add_argument("--runs", type=int, default=3, help="where they are short; else one")
    parser.add_argument("--largest", type=int, metavar="MIB", help="the largest archive")
    parser.add_argument("--bootstrap", type=pathlib.Path, default=parts.BOOTSTRAP)
    parser.add_argument("--peer", type=pathlib.Path, default=parts.PEER)
    parser.add_argument("--link", type=pathlib.Path, default=parts.LINK)
    parser.add_argument("--page", type=pathlib.Path, default=parts.ROOT / "docs/performance.md")
    parser.add_argument("--archives", type=pathlib.Path, default=archives.KEPT)
    parser.add_argument("--results", type=pathlib.Path, default=archives.KEPT / "results")
    parser.set_defaults(scale=Scale)
    return parser.parse_args()


def use_tools_python():
    """Starts this program anew by the Python of the tools, where this one has no matplotlib."""
    python = parts.TOOLS / "venv/bin/python"
    if importlib.util.find_spec("matplotlib"):
        return
    if not python.exists() or pathlib.Path(sys.prefix) == python.parent.parent:
        sys.exit("matplotlib is missing: run scripts/test")
    os.execv(python, [str(python), *sys.argv])


# The parts


def archive_by_compression(options):
    """The archive by each `Compression`, and to four repositories at once."""
    archive = archives.build(options.archives, options.scale.archive)
    yield {"tool": GO, "MB": options.peer.stat().st_size / 1e6}
    yield {"tool": OURS, "MB": options.bootstrap.stat().st_size / 1e6}
    for _ in range(options.runs):
        yield deploy(options, GO, archive)
        for compression in COMPRESSIONS:
            yield deploy(options, OURS, archive, compression)
        yield deploy(options, OURS, archive, destinations=4)


def archive_over_links(options):
    """The archive with S3 and the registry behind a slow network."""
    archive = archives.build(options.archives, options.scale.archive)
    link = parts.Link(*LINK, options.link)
    for _ in range(max(options.runs - 1, 1)):
        for tool in (GO, OURS):
            yield deploy(options, tool, archive, link=link)


def archive_sizes(options):
    """Archives of every size."""
    largest = options.largest or options.scale.sizes[-1]
    for size in (size for size in options.scale.sizes if size <= largest):
        base = options.scale.archive
        if size > base:
            archive = archives.build_repeated(options.archives, size, base)
        else:
            archive = archives.build(options.archives, size)
        for _ in range(1 if size >= ONE_RUN_FROM else options.runs):
            for tool in (GO, OURS):
                yield {"MiB": size} | deploy(options, tool, archive)
        if size > base:
            archive.unlink()


def function_memory(options):
    """The archive in functions of several sizes of memory."""
    if not (sizing.GROUPS / "cpu").exists() or os.geteuid() != 0:
        print("memory is left out: it needs control groups of version 1, and root", flush=True)
        return
    archive = archives.build(options.archives, options.scale.archive)
    for mebibytes in options.scale.memory:
        if mebibytes > sizing.OF_ONE_PROCESSOR * os.cpu_count():
            continue
        for tool in (GO, OURS):
            limited = lambda process: sizing.limited(process, mebibytes)
            yield {"memory, MB": mebibytes} | deploy(options, tool, archive, limited=limited)


def deploy(options, tool, archive, compression="gzip", destinations=1, **around):
    ours = options.bootstrap, memory.event(compression, destinations)
    program, event = ours if tool == OURS else (options.peer, parts.peer_event)
    figures = compare.run_once(program, event, archive, **around)
    content = figures.pop("diff IDs")
    if content != DIFF_IDS.setdefault(archive, content):
        sys.exit(f"{tool} made another image of {archive}")
    return {"tool": tool, "compression": compression, "destinations": destinations} | figures


DIFF_IDS = {}


def registry_copies(options):
    """Copies between registries over links of several latencies, rates and numbers of layers."""
    scale = options.scale
    for layers in scale.layers:
        storage = compare_copy.stored_image(options.archives, scale.image, layers)
        for round_trip, rate in networks(scale):
            link = parts.Link(round_trip, rate, options.link)
            is_goal = layers == archives.LAYERS and (round_trip, rate) in [(0, None), LINK]
            for _ in range(options.runs if is_goal else 1):
                for tool, copy in copying(options).items():
                    row = {"tool": tool, "layers": layers, "round trip, ms": round_trip}
                    figures = links.copy_once(copy, storage, link)
                    yield row | {"rate, MB/s": rate} | figures
    size = round(figures["image, MB"] * 1e6)
    for _ in range(options.runs):
        yield {"tool": "least", "CPU, s": links.least_cpu(size)}


def copy_twice(options):
    """A copy between registries, and once more with nothing to do."""
    scale = options.scale
    storage = compare_copy.stored_image(options.archives, scale.image, archives.LAYERS)
    for _ in range(options.runs):
        for tool, copy in copying(options).items():
            yield {"tool": tool} | compare_copy.run_once(copy, storage)


def networks(scale):
    """Round trips at the rate of the slow network, rates at its latency, and no network."""
    found = [(round_trip, LINK[1]) for round_trip in scale.round_trips]
    found += [(LINK[0], rate) for rate in scale.rates]
    return dict.fromkeys([*found, (0, None)])


def copying(options):
    return {
        SKOPEO: compare_copy.skopeo,
        GO: compare_copy.in_lambda(options.peer, parts.peer_event, "docker://"),
        OURS: compare_copy.in_lambda(options.bootstrap, parts.longshore_event, ""),
    }


def process_start(options):
    """From the start of the process to its first request for an event."""
    program = parts.ROOT / "benches/start.py"
    if not program.exists():
        return
    command = [sys.executable, program, "--json", "--runs", str(options.scale.starts)]
    command += ["--bootstrap", options.bootstrap, "--peer", options.peer]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for tool, name in {GO: "Go Lambda", OURS: "Longshore"}.items():
        yield {"tool": tool} | told[name]


def cold_build(options):
    """What the README's first command builds, with nothing built before."""
    with tempfile.TemporaryDirectory(dir=options.results) as directory:
        command = ["cargo", "build", "--quiet", "--locked", "--release", "--bin", "longshore"]
        log = pathlib.Path(directory) / "log"
        environment = os.environ | {"CARGO_TARGET_DIR": directory}
        figures = parts.measure(command, log, environment)
    yield {"tool": OURS, "CPU, s": figures["CPU, s"], "wall, s": figures["wall, s"]}


PARTS = {
    "archives": archive_by_compression,
    "links": archive_over_links,
    "sizes": archive_sizes,
    "memory": function_memory,
    "copies": registry_copies,
    "again": copy_twice,
    "start": process_start,
    "build": cold_build,
}


# The results


def measure(name, options):
    """Measures a part and keeps its figures."""
    print(f"{name}: {PARTS[name].__doc__}", flush=True)
    began, rows = time.monotonic(), []
    for row in PARTS[name](options):
        rows.append(row)
        print("   ", ", ".join(f"{key} {shown(value)}" for key, value in row.items()), flush=True)
    kept = {
        "date": datetime.date.today().isoformat(),
        "machine": machine_name(),
        "processors": os.cpu_count(),
        "seconds": round(time.monotonic() - began),
        "rows": rows,
    }
    if rows:
        (options.results / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    print(f"    {kept['seconds']} s", flush=True)


def shown(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def machine_name():
    models = [
        line.partition(":")[2].strip()
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return models[0] if models else parts.architecture()


if __name__ == "__main__":
    main()
