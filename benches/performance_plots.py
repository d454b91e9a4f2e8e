"""The plots of docs/performance.md as SVG. The same figures give the same files."""

import matplotlib
import matplotlib.pyplot as pyplot

from results import GO, LINK, OURS, SKOPEO
from sizing import OF_ONE_PROCESSOR

COLORS = {SKOPEO: "#b35900", GO: "#0b6e99", OURS: "#a0195b"}
MARKERS = {SKOPEO: "s", GO: "^", OURS: "o"}
# Beside finite rates on their axis.
NO_LIMIT = "no limit"

matplotlib.use("svg")
matplotlib.rcParams.update(
    {
        "svg.hashsalt": "longshore",
        # Dark pages show a light plot.
        "savefig.facecolor": "white",
        "axes.grid": True,
        "grid.alpha": 0.3,
        "font.size": 9,
    }
)


def sizes(results, path):
    figure, panels = panels_of(1, 2, (9, 3.4))
    values = results.values("sizes", "MiB")
    for panel, name in zip(panels[0], ("wall, s", "peak memory, MiB")):
        for tool in (GO, OURS):
            medians = [results.median("sizes", name, tool=tool, MiB=value) for value in values]
            draw(panel, tool, values, medians)
        panel.set(xscale="log", xlabel="archive, MiB", ylabel=name)
        panel.set_xticks(values, [f"{value:,}" for value in values], minor=False)
        panel.minorticks_off()
    panels[0][0].set(yscale="log")
    panels[0][0].yaxis.set_major_formatter("{x:g}")
    panels[0][1].set(ylim=(0, None))
    save(figure, path)


def memory(results, path):
    figure, panels = panels_of(1, 2, (9, 3.4))
    values = results.values("memory", "memory, MB")
    for tool in (GO, OURS):
        keys = [{"tool": tool, "memory, MB": value} for value in values]
        seconds = [results.median("memory", "wall, s", **each) for each in keys]
        billed = [gb_seconds(*each) for each in zip(values, seconds)]
        draw(panels[0][0], tool, values, billed)
        draw(panels[0][1], tool, values, seconds)
    for panel, name in zip(panels[0], ("GB-seconds", "wall, s")):
        panel.set(xlabel="memory of the function, MB", ylabel=name, ylim=(0, None))
        panel.set_xticks(values)
    save(figure, path)


def gb_seconds(memory, seconds):
    return memory / 1024 * seconds


def phases(bars, names, path):
    """A bar for each case, with its phases one after the other."""
    figure, panels = panels_of(1, 1, (9, 0.9 + 0.4 * len(bars)))
    panel = panels[0][0]
    labels = [name.replace("`", "") for name in bars]
    left = [0] * len(bars)
    colors = pyplot.get_cmap("viridis")
    for number, name in enumerate(names):
        seconds = [each[number] for each in bars.values()]
        color = colors(number / (len(names) - 1))
        panel.barh(labels, seconds, left=left, label=name, color=color, edgecolor="white")
        left = [before + more for before, more in zip(left, seconds)]
    panel.invert_yaxis()
    panel.set(xlabel="seconds")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, path)


def copies(results, path):
    """By the number of layers: over latency at one rate, over rate at one latency."""
    layers = results.values("copies", "layers")
    figure, panels = panels_of(2, len(layers), (3.2 * len(layers), 5.6))
    round_trip, rate = LINK
    for column, number in enumerate(layers):
        for tool in (SKOPEO, GO, OURS):
            keys = {"tool": tool, "layers": number}
            over(results, panels[0][column], keys | {"rate, MB/s": rate}, "round trip, ms")
            over(results, panels[1][column], keys | {"round trip, ms": round_trip}, "rate, MB/s")
        title = f"{number} layer{'s' * (number > 1)}"
        panels[0][column].set(title=title, xlabel=f"round trip, ms, at {rate} MB/s")
        panels[1][column].set(xlabel=f"MB/s a connection, at {round_trip} ms")
    for row in panels:
        row[0].set(ylabel="wall, s")
        for panel in row:
            panel.set(ylim=(0, None))
    save(figure, path)


def over(results, panel, keys, key):
    """The wall time over the values of a key, at equal distances."""
    values = results.values("copies", key, **keys)
    values.sort(key=lambda value: float("inf") if value is None else value)
    medians = [results.median("copies", "wall, s", **keys, **{key: value}) for value in values]
    names = [NO_LIMIT if value is None else str(value) for value in values]
    draw(panel, keys["tool"], names, medians)


def panels_of(rows, columns, size):
    return pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)


def draw(panel, tool, values, figures):
    panel.plot(values, figures, marker=MARKERS[tool], color=COLORS[tool], label=tool)


def save(figure, path):
    """The plot, with its legend where its lines have names."""
    panel = figure.axes[0]
    if not panel.get_legend():
        panel.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
