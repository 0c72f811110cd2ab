"""What the simulator says about a load, from the JSON of its news scenario.

  bazel run -c opt //testing/scenarios:news_main -- --nodes=3,20,100 --rates=0.37,10,100
      --loss=0 --dead=0 --pacing=prompt --senders=one --latency-us=30 --jitter-us=30 --json=FILE
  bazel run -c opt //testing/bench:compare -- --predicted FILE
"""
import json
import re

from loads_of_news import LONE_PAUSE_SECONDS, MEDIAN, NEARLY_ALL

SIMULATED = "simulated"
CLOSE_ENOUGH = 0.1  # of the rate


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def news_of(load):
    """(agents, profile, events a second, senders) by the load's name; nothing for other kinds.

    Encryption does not change when gossip leaves. Go agents do, so their loads have no prediction.
    """
    lone = re.fullmatch(r"lone-(\d+)", load)
    if lone:
        return int(lone.group(1)), "lan", 1 / LONE_PAUSE_SECONDS, "one"
    news = re.fullmatch(r"news-(\d+)-(\w+)-(?:plain|encrypted)-(\d+)(-from-all)?", load)
    if not news:
        return None
    senders = "all" if news.group(4) else "one"
    return int(news.group(1)), news.group(2), int(news.group(3)), senders


def predicted(rows, load):
    """The figures that the simulator gives for a load; nothing if it has no such row."""
    news = news_of(load)
    for row in rows if news else ():
        agents, profile, per_second, senders = news
        if (row["nodes"] == agents and row["profile"] == profile and row["pacing"] == "prompt" and
                row["senders"] == senders and row["loss"] == 0 and row["dead"] == 0 and
                abs(row["per_second"] - per_second) <= CLOSE_ENOUGH * per_second):
            return {MEDIAN: row["median_ms"], NEARLY_ALL: row["p99_ms"]}
    return None
