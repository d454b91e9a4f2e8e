"""The figures that benches/performance.py keeps of each part, and how they are read."""

import json
import statistics

# The tools that are measured.
GO, OURS, SKOPEO = "cdk-ecr-deployment", "Longshore", "skopeo"
# A slow network: the round trip in ms, and what a connection carries in MB/s.
LINK = (15, 90)


def read(directory):
    return Results({path.stem: json.loads(path.read_text()) for path in directory.glob("*.json")})


class Results:
    """The kept figures of each part."""

    def __init__(self, kept):
        self.kept = kept

    def rows(self, part, **keys):
        rows = self.kept[part]["rows"] if part in self.kept else []
        return [row for row in rows if all(row.get(key) == value for key, value in keys.items())]

    def median(self, part, figure, **keys):
        """The median of a figure over the rows that have these values; `None` without any."""
        values = [row[figure] for row in self.rows(part, **keys) if figure in row]
        return statistics.median(values) if values else None

    def values(self, part, key, **keys):
        """What a key has been, in the order of the rows."""
        return list(dict.fromkeys(row[key] for row in self.rows(part, **keys) if key in row))
