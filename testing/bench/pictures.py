#!/usr/bin/env python3
"""Draws the pictures of docs/performance.md from the JSON files of compare.py.

  testing/bench/pictures.py FILE... --into docs/pictures

With --table it also prints the tables as Markdown. It needs Debian's python3-matplotlib to draw;
what is drawn is computed without that. Of several files with the same load, the last one counts. A
load in which no program has a figure is left out.
"""
import argparse
import collections
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import compare  # noqa: E402
import loads  # noqa: E402
import report  # noqa: E402
from loads_of_news import MEDIAN, NEARLY_ALL  # noqa: E402

# `figure` becomes a bar, `up_to` a thin line from its end; `up_to` may be None.
Picture = collections.namedtuple("Picture", "file title unit loads figure up_to logarithmic")

PICTURES = [
    Picture("news.svg", "User events: until all agents have one (line: 99 %)", "ms",
            "lone-*,news-*", MEDIAN, NEARLY_ALL, True),
    Picture("news-cpu.svg", "User events: CPU of all agents together", "ms per second", "news-*",
            "CPU of all (ms / s)", None, True),
    Picture("queries.svg", "Queries: until all agents have responded (line: 99 %)", "ms",
            "queries-*", "until all have responded, median (ms)",
            "until all have responded, 99 % (ms)", True),
    Picture("floods.svg", "Floods: delivered to the others", "%", "flood-*",
            "delivered to the others (%)", None, False),
    Picture("departures.svg", "Until all others know that an agent failed or left", "ms",
            "failed-*,left-*", "until all others know (ms)", None, True),
]

# (loads, figures): a table each.
TABLES = [
    ("lone-*,news-*", [MEDIAN, NEARLY_ALL, "delivered (%)", "CPU of all (ms / s)"]),
    ("guest-*", ["packets that it receives / s", "its CPU (ms / s)", "delivered to it (%)"]),
    ("queries-*", ["until all have acknowledged, median (ms)",
                   "until all have responded, median (ms)", "until all have responded, 99 % (ms)",
                   "accepted (%)", "complete (%)", "CPU of all per query (ms)"]),
    ("flood-*", ["delivered to the others (%)", "delivered to the others / s", "out of order (%)",
                 "CPU of all per event sent (us)", "CPU of all per event delivered (us)"]),
    ("failed-*,left-*", ["until all others know (ms)"]),
]

# Ours, then the others in their order.
COLOURS = ["#1f6fb4", "#9a9a9a", "#d98c3f", "#7a9a4f", "#b05f9a"]


def bars(found, picture):
    """[(load, {program: (figure, up to which)})]: what the picture shows, from top to bottom."""
    result = []
    for load in compare.matching(found["loads"], picture.loads.split(",")):
        medians = report.medians(found, load)
        values = {program: (figures[picture.figure], figures.get(picture.up_to))
                  for program, figures in medians.items() if picture.figure in figures}
        if values:
            result.append((load, values))
    return result


def draw(found, picture, path):
    import matplotlib
    matplotlib.use("svg")
    # Text stays text, and the same figures give the same bytes.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "serf", "font.size": 8,
                                "font.family": "sans-serif"})
    from matplotlib import pyplot

    rows, programs = bars(found, picture), found["programs"]
    if not rows:
        return False
    height = 0.8 / len(programs)
    figure, axes = pyplot.subplots(figsize=(7, 0.9 + 0.19 * len(rows) * len(programs)))
    for i, program in enumerate(programs):
        colour = COLOURS[i % len(COLOURS)]
        for row, (_, values) in enumerate(rows):
            if program not in values:
                continue
            value, up_to = values[program]
            at = row + (i - (len(programs) - 1) / 2) * height
            axes.barh(at, value, height * 0.9, color=colour,
                      label=program if row == first_row(rows, program) else None)
            if up_to is not None and up_to > value:
                axes.plot([value, up_to], [at, at], color=colour, linewidth=1)
            axes.annotate(" " + report.text_of(value), (max(value, up_to or 0), at), va="center",
                          fontsize=6.5)
    axes.set_yticks(range(len(rows)), [load for load, _ in rows])
    axes.invert_yaxis()
    axes.set_title(picture.title, fontsize=9, loc="left")
    axes.set_xlabel(picture.unit)
    axes.margins(x=0.12)
    if picture.logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(left=decade_below(rows))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return True


def decade_below(rows):
    """The power of ten below all bars, where a logarithmic axis begins."""
    least = min(value for _, values in rows for value, _ in values.values() if value > 0)
    return 10 ** (math.ceil(math.log10(least)) - 1)


def first_row(rows, program):
    """The first row that shows the program, which carries its entry of the legend."""
    return next(i for i, (_, values) in enumerate(rows) if program in values)


def in_order(found):
    """The report with its loads in the order of loads.py; others come last."""
    place = {name: i for i, name in enumerate(loads.LOADS)}
    by_place = sorted(found["loads"].items(), key=lambda item: place.get(item[0], len(place)))
    return dict(found, loads=dict(by_place))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE", help="JSON of compare.py --json")
    parser.add_argument("--into", required=True, metavar="FOLDER", help="where the pictures go")
    parser.add_argument("--table", action="store_true", help="print the tables as Markdown")
    options = parser.parse_args()
    found = in_order(report.read(options.files))
    if options.table:
        for names, columns in TABLES:
            print("\n".join(report.markdown(
                found, compare.matching(found["loads"], names.split(",")), columns)), end="\n\n")
    os.makedirs(options.into, exist_ok=True)
    for picture in PICTURES:
        path = os.path.join(options.into, picture.file)
        if draw(found, picture, path):
            print(path)


if __name__ == "__main__":
    main()
