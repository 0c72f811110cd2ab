#!/usr/bin/env python3
"""Runs serf programs in turns under the same load and prints their figures and ratios.

  bazel run -c opt //testing/bench:compare                      # ours against Go Serf 0.9.4
  bazel run -c opt //testing/bench:compare -- --other go-0.9.4 --other go-0.10.1
  bazel run -c opt //testing/bench:compare -- --other before=PATH --only 'idle,news-20-*'
  ... -- --rounds 5 --json /tmp/run.json                        # for pictures.py

Machines are noisy: the programs alternate (A B A B ...), each figure is the median over the rounds,
and what counts is the ratio. Everything runs on loopback and ends by itself. One client, this
script, looks at all programs, and each load begins with calls that do not count. In clusters of two
programs, the first of the others is the one among ours.
"""
import argparse
import fnmatch
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import loads  # noqa: E402
import packet_counter  # noqa: E402
import prediction  # noqa: E402
import report  # noqa: E402
from agents import Failure  # noqa: E402


def named(text):
    """NAME=PATH, or a path alone, as a pair."""
    name, equals, path = text.partition("=")
    return (name, path) if equals else (text, text)


def matching(names, patterns):
    """Those of the names that match a pattern, in their order."""
    return [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def chosen(patterns):
    """The names of the loads that match. ValueError if a pattern matches none."""
    patterns = patterns.split(",")
    for pattern in patterns:
        if not matching(loads.LOADS, [pattern]):
            raise ValueError("no load '%s'; there are %s" % (pattern, ", ".join(loads.LOADS)))
    return matching(loads.LOADS, patterns)


def measure(load, binary, go, **how):
    """The figures, or the failure as one."""
    try:
        return loads.run(load, binary, go, **how)
    except (Failure, OSError) as failure:
        return {"failure": str(failure)}


def add_prediction(found, load, rows):
    """Adds what the simulator says about news among agents of ours, as if it were a program."""
    figures = prediction.predicted(rows, load)
    if figures is not None:
        report.add(found, load, prediction.SIMULATED, figures)


def compare(names, programs, rounds, predictions=None, path=None, out=sys.stdout, **how):
    """Prints the table of these loads and returns the report.

    `programs` is {name: path}, ours first. `predictions` are the simulator's rows. `how` goes to
    loads.run().
    """
    simulated = [] if predictions is None else [prediction.SIMULATED]
    found, missed = report.empty([*programs, *simulated]), 0
    go = list(programs.values())[min(1, len(programs) - 1)]
    print(report.heading(found["programs"]), file=out)
    for load in names:
        for _ in range(rounds):
            for name, binary in programs.items():
                report.add(found, load, name, measure(load, binary, go, **how))
        add_prediction(found, load, predictions or [])
        text, missed_now = report.lines(found, load, loads.LOADS[load].aims)
        missed += missed_now
        print("\n".join(text), file=out, flush=True)
        if path is not None:
            report.write(found, path)
    print("%d aim(s) missed" % missed, file=out)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--ours", required=True, help="our serf program")
    parser.add_argument("--known", action="append", default=[], metavar="NAME=PATH",
                        help="a program that --other may name")
    parser.add_argument("--other", action="append", default=[], metavar="NAME|PATH|NAME=PATH",
                        help="a program to compare with; may occur more than once")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each program per load")
    parser.add_argument("--seconds", type=float,
                        help="how long a load lasts that has a time, without start and end")
    parser.add_argument("--only", default="*",
                        help="loads, comma-separated; * and ? match as in a shell")
    parser.add_argument("--json", metavar="FILE", help="also write the figures of all rounds there")
    parser.add_argument("--predicted", metavar="FILE",
                        help="JSON of the simulator's news scenario, for a column of its own")
    options = parser.parse_args()
    try:
        names = chosen(options.only)
    except ValueError as error:
        parser.error(str(error))
    known = dict(map(named, options.known))
    programs = {report.OURS: options.ours}
    for other in options.other or list(known)[:1]:
        name, path = (other, known[other]) if other in known else named(other)
        programs[name] = path
    for path in programs.values():
        if not os.access(path, os.X_OK):
            parser.error("'%s' is no executable" % path)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # stops the agents
    packet_counter.become_able()
    predictions = None if options.predicted is None else prediction.read(options.predicted)
    compare(names, programs, options.rounds, predictions, options.json, seconds=options.seconds)


if __name__ == "__main__":
    main()
