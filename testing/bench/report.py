"""What a comparison found: as a table, and as JSON for pictures.py.

  {"programs": ["ours", "go-0.9.4"], "machine": {"cores": 2},
   "loads": {"idle": {"ours": [{"CPU (ms / s)": 0.1}, ...one for each round], "go-0.9.4": [...]}}}

A round in which a program failed holds {"failure": "the reason"} instead.
"""
import json
import os

import figures

OURS = "ours"


def empty(programs):
    return {"programs": list(programs), "machine": {"cores": os.cpu_count()}, "loads": {}}


def add(report, load, program, found):
    """Adds the figures of one round."""
    report["loads"].setdefault(load, {}).setdefault(program, []).append(found)


def medians(report, load):
    """{program: {figure: median over the rounds}}"""
    return {program: figures.over_rounds([{name: value for name, value in found.items()
                                           if name != "failure"} for found in rounds])
            for program, rounds in report["loads"][load].items()}


def failures(report, load):
    """[(program, reason)]"""
    return [(program, found["failure"]) for program, rounds in report["loads"][load].items()
            for found in rounds if "failure" in found]


def write(report, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")


def read(paths):
    """One report of several files, of which the last one that has a load counts."""
    whole = empty([])
    for path in paths:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        whole["programs"] += [p for p in report["programs"] if p not in whole["programs"]]
        whole["machine"] = report["machine"]
        whole["loads"].update(report["loads"])
    return whole


# --- the table ----------------------------------------------------------------------------------

def text_of(value):
    if value is None:
        return "-"
    return "%.3g" % value if abs(value) < 99.95 else "{:,.0f}".format(value)


def heading(programs):
    _, *others = programs
    return "%-76s %10s" % ("", OURS) + "".join(
        " %10s %7s" % (other[:10], "ratio") for other in others) + " %6s" % "aim"


def rows(report, load, aims):
    """[(figure, {program: value}, {other: ratio}, aim)]"""
    found = medians(report, load)
    names = []
    for values in found.values():
        names += [name for name in values if name not in names]
    return [(name, {program: values.get(name) for program, values in found.items()},
             {program: figures.ratio(found[OURS].get(name), values.get(name))
              for program, values in found.items() if program != OURS}, aims.get(name))
            for name in names]


def lines(report, load, aims):
    """The table's lines of one load, and how many of its aims are missed."""
    _, *others = report["programs"]
    result, missed = [], 0
    for name, values, ratios, aim in rows(report, load, aims):
        line = "%-76s %10s" % (load + ": " + name, text_of(values.get(OURS)))
        for other in others:
            line += " %10s %7s" % (text_of(values.get(other)), text_of(ratios.get(other)))
        line += " %6s" % ("" if aim is None else "%.2f" % aim)
        if any(figures.missed(ratio, aim) for ratio in ratios.values()):
            line += "  missed"
            missed += 1
        result.append(line.rstrip())
    result += ["%s: %s failed: %s" % (load, *failure) for failure in failures(report, load)]
    return result, missed


def cell(values, ratios):
    """Ours, then each other program's figure with the ratio to it: "14 / 364 (0.04)"."""
    others = ["%s (%s)" % (text_of(values.get(other)), text_of(ratio) if ratio is None else
                           "%.2g" % ratio) for other, ratio in ratios.items()]
    return " / ".join([text_of(values.get(OURS)), *others])


def markdown(report, names, columns):
    """The lines of a table with a row for each of these loads and a column for each figure."""
    result = ["| load | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]
    for load in names:
        by_name = {name: cell(values, ratios)
                   for name, values, ratios, _ in rows(report, load, {}) if name in columns}
        if by_name:
            result.append("| `%s` | " % load + " | ".join(
                by_name.get(name, "-") for name in columns) + " |")
    return result
