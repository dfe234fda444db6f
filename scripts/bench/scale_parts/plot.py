"""Draws the plot of `scripts/bench/scale.py`: rates, memory and latency against the number of rows."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple


class Panel(NamedTuple):
    """One picture of the plot: its title, the keys of its figures, and the scale of its y axis.

    `bound` is the value that the figures must stay below, and is drawn as a line; None: there is no bound.
    """

    title: str
    names: Sequence[str]
    bound: float | None
    scale: str


PANELS: Final = (
    Panel("rows a second", ("intake_rows_s", "feed_rows_s", "night_rows_s", "publish_rows_s"), None, "log"),
    Panel("peak memory of a process, MB", ("intake_mb", "feeder_mb", "worker_mb", "publisher_mb"), 400, "linear"),
    Panel("Redis' memory, MB", ("redis_mb", "redis_late_mb", "redis_end_mb"), None, "linear"),
    Panel("a claim, ms", ("claim_p50_ms", "claim_p99_ms"), 10, "log"),
)


STYLES: Final = ("o-", "s--", "^-.", "D:")


def draw(lines: Sequence[Mapping[str, Any]], called: Mapping[str, str], path: Path) -> None:
    """Write the plot to `path`. It has a line for each figure, labelled with the figure's name in `called`.

    Most batches have rows of the same size. A batch whose rows have another size is drawn as a hollow point.
    """
    try:
        import matplotlib.pyplot as plt
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    except ImportError:
        sys.exit("the plot needs matplotlib: pip install matplotlib")
    sizes = [line["row_bytes"] for line in lines]
    usual = max(sizes, key=sizes.count)
    figure, axes = plt.subplots(2, 2, figsize=(13, 9))
    widest = min(line["rows"] for line in lines) / 1.5, max(line["rows"] for line in lines) * 1.5
    for axis, panel in zip(axes.flat, PANELS, strict=True):
        # The styles differ, so that two lines that lie on top of each other are both visible.
        for name, style in zip(panel.names, STYLES, strict=False):
            of = {
                same: [
                    (line["rows"], line[name])
                    for line in lines
                    if name in line and (line["row_bytes"] == usual) == same
                ]
                for same in (True, False)
            }
            (line_,) = axis.plot([x for x, _ in of[True]], [y for _, y in of[True]], style, label=called[name])
            other = {
                "linestyle": "",
                "marker": line_.get_marker(),
                "markerfacecolor": "white",
                "color": line_.get_color(),
            }
            axis.plot([x for x, _ in of[False]], [y for _, y in of[False]], **other)
        if panel.bound is not None:
            axis.axhline(panel.bound, color="grey", linestyle="--", linewidth=1, label="bound")
        axis.set(xscale="log", yscale=panel.scale, xlim=widest, xlabel="rows", title=panel.title)
        if panel.scale == "linear":
            axis.set_ylim(0, None)
        if panel.scale == "log":
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_minor_formatter(NullFormatter())
        for one in (axis.xaxis, axis.yaxis):
            one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
        axis.grid(alpha=0.3)
        axis.legend(fontsize=9)
    others = ", ".join(f"{size:,}" for size in sorted({*sizes} - {usual}))
    figure.suptitle(f"rows of {usual:,} bytes" + (f"; hollow: of {others}" if others else ""))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
