"""The figures of docs/performance.md: tables and plots of what benches/performance.py measured."""

import re
import sys

import performance_plots
from goals import DIRECT, GOALS, SLOW
from results import GO, OURS, SKOPEO

BLOCK = re.compile(r"<!-- figures: (?P<name>[a-z-]+) -->\n(?P<body>.*?)<!-- end -->", re.S)
PHASES = ("resolve", "plan", "blobs", "manifests", "tags")


def write(results, page):
    """Writes the blocks and plots whose part was measured; the page's other text stays."""
    images = page.parent / "images"
    images.mkdir(exist_ok=True)

    def block(found):
        lines = BLOCKS[found["name"]](results, images)
        body = "\n".join(["", *lines, "", ""]) if lines else found["body"]
        return f"<!-- figures: {found['name']} -->\n{body}<!-- end -->"

    page.write_text(BLOCK.sub(block, page.read_text()))


def check(page):
    """Ends the program unless the page has each block once."""
    names = [found["name"] for found in BLOCK.finditer(page.read_text())]
    if sorted(names) != sorted(BLOCKS):
        sys.exit(f"expected the blocks {', '.join(BLOCKS)} in {page}, got {', '.join(names)}")


# The blocks, each as lines of Markdown; none where nothing was measured


def goals(results, _images):
    rows, missed = [], []
    for goal in GOALS:
        other, ours = goal.figures(results)
        reached = goal.is_reached(results)
        bound = f"≤ {goal.most:g}" + (" of it" if goal.other else "")
        verdict = {None: "not measured", True: "reached", False: "**missed**"}[reached]
        figures = shown(other), shown(ours), ratio_of(ours, other)
        rows.append([goal.work, goal.beside, *figures, bound, verdict])
        if reached is False:
            why = goal.why or "the reason is not known"
            missed.append(f"- {goal.work}, {bound}: {why}.")
    if not any(goal.figures(results)[1] for goal in GOALS):
        return []
    columns = ["Work", "Beside", "The other", "Longshore", "Ratio", "Goal", ""]
    lines = table(columns, rows, aligned="llrrrll")
    lines += ["", source(results, *dict.fromkeys(goal.ours.part for goal in GOALS))]
    if missed:
        lines += ["", "Why goals are missed:", "", *missed]
    return lines


def warn_of_reasons(results):
    """Says which goals are missed without a reason."""
    for goal in GOALS:
        if goal.is_reached(results) is False and not goal.why:
            print(f"missed, and benches/goals.py says no reason: {goal.work}", file=sys.stderr)


def compression(results, _images):
    part = "archives"
    if not results.rows(part):
        return []
    names = ("CPU, s", "wall, s", "layers / plain", "peak memory, MiB")
    go = [results.median(part, name, tool=GO) for name in names]
    rows = [[GO, *(cell for figure in go for cell in (shown(figure), ""))]]
    for value in results.values(part, "compression", tool=OURS):
        keys = {"tool": OURS, "compression": value, "destinations": 1}
        ours = [results.median(part, name, **keys) for name in names]
        beside = ((shown(figure), ratio_of(figure, other)) for figure, other in zip(ours, go))
        rows.append([f"`{value}`", *(cell for pair in beside for cell in pair)])
    columns = ["", *(cell for name in names for cell in (name, "ratio"))]
    return [*table(columns, rows), "", source(results, part)]


def sizes(results, images):
    part = "sizes"
    if not results.rows(part):
        return []
    names = ("wall, s", "CPU, s", "peak memory, MiB")
    performance_plots.sizes(results, images / "performance-sizes.svg")
    lines = image("Wall time and peak memory over the size of the archive", "performance-sizes.svg")
    columns = ["Archive, MiB", *(cell for name in names for cell in (f"{name}: Go", OURS))]
    values = results.values(part, "MiB")
    rows = [[f"{size:,}", *pairs(results, part, names, MiB=size)] for size in values]
    return [*lines, *table(columns, rows), "", source(results, part)]


def memory(results, images):
    part, key = "memory", "memory, MB"
    if not results.rows(part):
        return []
    performance_plots.memory(results, images / "performance-memory.svg")
    lines = image("GB-seconds and time over the function's memory", "performance-memory.svg")
    rows = []
    for value in results.values(part, key):
        row = [f"{value:,}", f"{value / performance_plots.OF_ONE_PROCESSOR:.2f}"]
        row += pairs(results, part, ["wall, s"], **{key: value})
        for tool in (GO, OURS):
            seconds = results.median(part, "wall, s", **{key: value, "tool": tool})
            row.append(shown(performance_plots.gb_seconds(value, seconds)))
        rows.append(row)
    columns = ["Memory, MB", "Processors", "wall, s: Go", OURS, "GB-seconds: Go", OURS]
    return [*lines, *table(columns, rows), "", source(results, part)]


def phases(results, images):
    bars = {name: seconds for name, seconds in phase_bars(results) if any(seconds)}
    if not bars:
        return []
    performance_plots.phases(bars, PHASES, images / "performance-phases.svg")
    lines = image("Seconds of each phase", "performance-phases.svg")
    rows = [[name, *map(shown, seconds)] for name, seconds in bars.items()]
    columns = ["Seconds", *PHASES]
    return [*lines, *table(columns, rows), "", source(results, "archives", "links", "copies")]


def phase_bars(results):
    """The seconds of each phase of what Longshore was measured at."""
    cases = [
        (f"1 GiB archive, `{value}`", "archives", {"compression": value, "destinations": 1})
        for value in results.values("archives", "compression", tool=OURS)
    ]
    cases += [
        ("1 GiB archive, `gzip`, over links", "links", {}),
        ("copy of 6 layers", "copies", DIRECT),
        ("copy of 6 layers, over links", "copies", SLOW),
    ]
    for name, part, keys in cases:
        medians = [results.median(part, f"seconds_{each}", tool=OURS, **keys) for each in PHASES]
        yield name, [median or 0 for median in medians]


def links(results, _images):
    part = "links"
    if not results.rows(part):
        return []
    names = ("wall, s", "CPU, s", "S3, registry, links: CPU, s")
    rows = [[name, *pairs(results, part, [name])] for name in names]
    least = [
        sum(results.median(part, name, tool=tool) for name in names[1:])
        / results.kept[part]["processors"]
        for tool in (GO, OURS)
    ]
    rows.append(["least wall, s", *map(shown, least)])
    return [*table(["", GO, OURS], rows), "", source(results, part)]


def copies(results, images):
    part = "copies"
    if not results.rows(part):
        return []
    performance_plots.copies(results, images / "performance-copies.svg")
    lines = image("Wall time over latency, rate and layers", "performance-copies.svg")
    columns = ["Layers", "Round trip, ms", "MB/s a connection"]
    columns += ["wall, s: skopeo", "Go", "Longshore", "to skopeo", "to Go"]
    columns += ["CPU, s: skopeo", "Go", "Longshore", "of registries", "of links", "least wall, s"]
    rows = []
    for keys in settings(results):
        wall, cpu = (of_tools(results, part, name, **keys) for name in ("wall, s", "CPU, s"))
        names = ("registries: CPU, s", "links: CPU, s")
        shared = [results.median(part, name, tool=OURS, **keys) for name in names]
        ratios = [ratio_of(wall[2], other) for other in wall[:2]]
        least = (cpu[2] + sum(shared)) / results.kept[part]["processors"]
        rate = keys["rate, MB/s"] or "no limit"
        row = [keys["layers"], keys["round trip, ms"], rate, *map(shown, wall), *ratios]
        rows.append([*map(str, row), *map(shown, [*cpu, *shared, least])])
    return [*lines, *table(columns, rows), "", source(results, part)]


def settings(results):
    """The layers and links of copies, in the order of their values."""
    names = ("layers", "round trip, ms", "rate, MB/s")
    found = {tuple(row[name] for name in names) for row in results.rows("copies", tool=OURS)}
    ordered = sorted(found, key=lambda each: (each[0], each[1], each[2] or float("inf")))
    return [dict(zip(names, each)) for each in ordered]


def again(results, _images):
    part = "again"
    if not results.rows(part):
        return []
    rows = []
    names = "CPU, s", "peak memory, MiB", "wall, s", "requests", "again: wall, s", "again: requests"
    for name in names:
        *others, ours = of_tools(results, part, name)
        ratios = [ratio_of(ours, other) for other in others]
        rows.append([name, *map(shown, [*others, ours]), *ratios])
    columns = ["", SKOPEO, GO, OURS, f"to {SKOPEO}", f"to {GO}"]
    return [*table(columns, rows), "", source(results, part)]


def start(results, _images):
    part = "start"
    if not results.rows(part):
        return []
    names = ("wall, ms", "CPU, ms")
    rows = []
    for name in names:
        go, ours = (results.median(part, name, tool=tool) for tool in (GO, OURS))
        rows.append([name, shown(go), shown(ours), ratio_of(ours, go)])
    return [*table(["", GO, "Longshore", "ratio"], rows), "", source(results, part)]


BLOCKS = {
    "goals": goals,
    "compression": compression,
    "sizes": sizes,
    "memory": memory,
    "phases": phases,
    "links": links,
    "copies": copies,
    "again": again,
    "start": start,
}


# Their text


def pairs(results, part, names, **keys):
    """Each figure of the Go Lambda and of Longshore's."""
    figures = (of_tools(results, part, name, **keys)[1:] for name in names)
    return [shown(figure) for pair in figures for figure in pair]


def of_tools(results, part, name, **keys):
    return [results.median(part, name, tool=tool, **keys) for tool in (SKOPEO, GO, OURS)]


def image(words, file):
    return [f"![{words}](images/{file})", ""]


def source(results, *names):
    """The line that says when and where parts were measured."""
    kept = [results.kept[name] for name in names if name in results.kept]
    words = "{date}: {machine}, {processors} processors"
    return f"Measured on {'; '.join(dict.fromkeys(words.format_map(each) for each in kept))}."


def shown(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio_of(ours, other):
    return f"{ours / other:.2f}" if ours is not None and other else ""


def table(columns, rows, aligned=None):
    """Lines of a table whose columns are of words (`l`) or of figures (`r`)."""
    aligned = aligned or "l" + "r" * (len(columns) - 1)
    marks = [{"l": "---", "r": "---:"}[each] for each in aligned]
    return [f"| {' | '.join(cells)} |" for cells in [columns, marks, *rows]]
