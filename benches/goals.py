"""The goals of speed and size, and why a figure misses one."""

import dataclasses

from results import GO, LINK, OURS


@dataclasses.dataclass(frozen=True)
class Figure:
    """The median of a figure of a part, over the rows that have these values."""

    part: str
    name: str
    keys: dict

    def of(self, results):
        return results.median(self.part, self.name, **self.keys)


@dataclasses.dataclass(frozen=True)
class Goal:
    """A bound of a figure: of itself, or of its ratio to another one."""

    work: str
    ours: Figure
    most: float
    # What it is compared with, and by which name.
    beside: str = ""
    other: Figure | None = None
    # The reason why it is missed, by the profile. It stands on the page only while it is.
    why: str = ""

    def figures(self, results):
        """The other figure and ours; `None` for each that there is not."""
        return self.other and self.other.of(results), self.ours.of(results)

    def is_reached(self, results):
        """`None` where it was not measured."""
        other, ours = self.figures(results)
        if ours is None or (self.other and not other):
            return None
        return round(ours / other if self.other else ours, 2) <= self.most


def archive(name, tool=OURS, compression="gzip", destinations=1):
    keys = {"tool": tool, "compression": compression, "destinations": destinations}
    return Figure("archives", name, keys)


def beside_go(work, part, name, most, why="", **keys):
    ours, other = (Figure(part, name, {"tool": tool, **keys}) for tool in (OURS, GO))
    return Goal(work, ours, most, GO, other, why)


def compressed(work, name, compression, most, why=""):
    return Goal(work, archive(name, OURS, compression), most, GO, archive(name, GO), why)


DIRECT = {"layers": 6, "round trip, ms": 0, "rate, MB/s": None}
SLOW = {"layers": 6, "round trip, ms": LINK[0], "rate, MB/s": LINK[1]}
# Shares of `perf record`'s samples.
COPY_PROFILE = (
    "of 100 parts SHA-256 takes 55, the kernel, which copies to and from sockets, 40, and all "
    "else, which is the program's own to save, 5"
)
NONE_PROFILE = (
    "SHA-256 takes half of it, and copies to and from sockets, which the kernel makes, most of the rest"
)
ZSTD_PROFILE = (
    "a third of it is reading, SHA-256 and sending, which is all that `none` takes, and the rest "
    "is libzstd at level 2; level 1 makes larger layers than Go's"
)
SLOW_MACHINE = (
    "compilers took 757 s of CPU on this machine, which was slow that day: the Go Lambda's CPU "
    "time above is 1.4 times that of the machine on which the goal was set. Others with 2 "
    "processors took 160 to 210 s"
)
SHARED_ARCHIVE = (
    "the Lambda's compression, S3, the registry and the links share the processors, which take at "
    "least what stands under [archive over links](#archive-over-links)"
)
SHARED = (
    "the registries and links share the processors with the copy and take most of them; what "
    "all of it takes at least is the last column under [copies](#copies-between-registries)"
)

GOALS = [
    compressed("1 GiB archive, `gzip`: CPU, s", "CPU, s", "gzip", 0.55),
    compressed("1 GiB archive, `gzip`: layers / plain", "layers / plain", "gzip", 1.06),
    compressed("1 GiB archive, `gzip`: wall, s", "wall, s", "gzip", 0.55),
    # 1.4 s where Go took 11.7 s: machines differ, and the ratio less so.
    compressed("1 GiB archive, `none`: CPU, s; beside `gzip`", "CPU, s", "none", 0.12, NONE_PROFILE),
    compressed("1 GiB archive, `zstd`: CPU, s", "CPU, s", "zstd", 0.35, ZSTD_PROFILE),
    compressed("1 GiB archive, `zstd`: layers / plain", "layers / plain", "zstd", 1.0),
    beside_go(
        "1 GiB archive, links of 15 ms and 90 MB/s a connection: wall, s",
        "links",
        "wall, s",
        0.2,
        SHARED_ARCHIVE,
    ),
    beside_go(
        "1 GiB archive, a function of 512 MB: wall, s",
        "memory",
        "wall, s",
        0.5,
        **{"memory, MB": 512},
    ),
    Goal(
        "four destinations: CPU, s",
        archive("CPU, s", destinations=4),
        1.2,
        "one destination",
        archive("CPU, s"),
    ),
    beside_go(
        "registry to registry, 6 layers: CPU, s", "copies", "CPU, s", 0.6, COPY_PROFILE, **DIRECT
    ),
    Goal(
        "registry to registry, 6 layers: CPU, s",
        Figure("copies", "CPU, s", {"tool": OURS, **DIRECT}),
        1.15,
        "SHA-256 and two socket copies alone",
        Figure("copies", "CPU, s", {"tool": "least"}),
        COPY_PROFILE,
    ),
    beside_go(
        "registry to registry, links of 15 ms and 90 MB/s a connection: wall, s",
        "copies",
        "wall, s",
        0.6,
        SHARED,
        **SLOW,
    ),
    Goal("program, MB", Figure("archives", "MB", {"tool": OURS}), 10),
    beside_go("start of the process to its first poll: wall, ms", "start", "wall, ms", 0.2),
    Goal(
        "the README's first command, cold: s",
        Figure("build", "wall, s", {"tool": OURS}),
        210,
        why=SLOW_MACHINE,
    ),
]
