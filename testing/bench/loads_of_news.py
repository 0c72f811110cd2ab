"""Loads of user events in clusters. Each returns {figure: value}.

The time of an event runs from just before the request of the RPC client until the last agent has
reported it to a process that only listens (listener.py).
"""
import random
import time

from agents import cpu_seconds, start_cluster, stop_all
from figures import delays, median, out_of_order, percentile, share_delivered
from listener import Listener
from packet_counter import PacketCounter
from rpc_client import event_request
from sender import connected, flood, send_at_rate
from watcher import Watcher

# A join has been gossiped to the end, and what gossip saves up is there again.
CALM_SECONDS = 3
QUIET_SECONDS = 1.0
# Longer than any gossip about an event.
LONE_PAUSE_SECONDS = 2.7
MEDIAN, NEARLY_ALL = "until all have it, median (ms)", "until all have it, 99 % (ms)"
SEQ = 1000  # of a client's first request after the handshake's


def until_all(sent, deliveries):
    """The figures of single events. What never arrived everywhere counts as not delivered only."""
    times = [1e-6 * delay for delay in delays(sent, deliveries)]
    return {MEDIAN: median(times) if times else None,
            NEARLY_ALL: percentile(times, 0.99) if times else None,
            "delivered (%)": share_delivered(sent, deliveries)}




def measure_lone(binary, agents=20, events=8, pause=LONE_PAUSE_SECONDS, calm=CALM_SECONDS,
                 profile="lan"):
    """One event after a pause in which all gossip about the last one has ended."""
    cluster = start_cluster([binary] * agents, profile)
    try:
        time.sleep(calm)
        with connected(cluster[:1]) as (pipeline,), Listener(cluster, "user") as listener:
            sent, draw = {}, random.Random(1)
            for number in range(events):
                sent[number] = time.monotonic_ns()
                pipeline.send(event_request(SEQ + number, number))
                time.sleep(pause * draw.uniform(0.9, 1.1))  # no tick fits it
            return until_all(sent, listener.end())
    finally:
        stop_all(cluster)


def mixture(binary, go, agents, members):
    """The programs of a cluster: "alike", "one-go" (the last agent), "half-go" (every second)."""
    if members == "one-go":
        return [binary] * (agents - 1) + [go]
    if members == "half-go":
        return [binary if i % 2 == 0 else go for i in range(agents)]
    return [binary] * agents


def measure_steady(binary, go, agents=20, per_second=10, seconds=10, profile="lan", encrypted=False,
                   members="alike", senders="first", calm=CALM_SECONDS):
    """Events at a rate. `senders`: the "first" agent, the "last", or "all" of them in turns."""
    cluster = start_cluster(mixture(binary, go, agents, members), profile, encrypted)
    try:
        time.sleep(calm)
        count = int(per_second * seconds)
        requests = [event_request(SEQ + number, number) for number in range(count)]
        sending = {"first": cluster[:1], "last": cluster[-1:], "all": cluster}[senders]
        with connected(sending) as pipelines, Listener(cluster, "user") as listener:
            cpu, begin = cpu_seconds(cluster), time.monotonic()
            instants = send_at_rate(pipelines, requests, per_second)
            used, passed = cpu_seconds(cluster) - cpu, time.monotonic() - begin
            listener.wait_until_quiet(QUIET_SECONDS)
            result = until_all(dict(enumerate(instants)), listener.end())
        result["CPU of all (ms / s)"] = 1e3 * used / passed
        return result
    finally:
        stop_all(cluster)


def measure_guest(binary, go, agents=20, per_second=10, seconds=10, profile="lan",
                  calm=CALM_SECONDS):
    """What the last agent, a Go agent, receives while the others have news."""
    cluster = start_cluster(mixture(binary, go, agents, "one-go"), profile)
    guest = cluster[-1]
    try:
        time.sleep(calm)
        count = int(per_second * seconds)
        requests = [event_request(SEQ + number, number) for number in range(count)]
        with connected(cluster[:1]) as pipelines, Listener([guest], "user") as listener, \
                PacketCounter(guest.port) as counter:
            cpu, begin = guest.cpu_seconds(), time.monotonic()
            counter.take()
            instants = send_at_rate(pipelines, requests, per_second)
            packets, passed = counter.take(), time.monotonic() - begin
            used = guest.cpu_seconds() - cpu
            listener.wait_until_quiet(QUIET_SECONDS)
            delivered = share_delivered(dict(enumerate(instants)), listener.end())
        return {"packets that it receives / s": packets / passed,
                "its CPU (ms / s)": 1e3 * used / passed,
                "delivered to it (%)": delivered}
    finally:
        stop_all(cluster)


def measure_flood(binary, agents=3, per_second=10000, seconds=4, size=32, profile="lan",
                  calm=CALM_SECONDS):
    """Events of `size` bytes from one client of the first agent."""
    cluster = start_cluster([binary] * agents, profile)
    try:
        time.sleep(calm)
        count = int(per_second * seconds)
        requests = [event_request(SEQ + number, number, size) for number in range(count)]
        with connected(cluster[:1]) as pipelines, Listener(cluster, "user") as listener:
            cpu = cpu_seconds(cluster)
            took = flood(pipelines, requests, per_second)
            listener.wait_until_quiet(QUIET_SECONDS)
            used = cpu_seconds(cluster) - cpu
            own, *others = listener.end()
        sent = dict.fromkeys(range(count))
        share = share_delivered(sent, others)
        return {"sent / s": count / took,
                "delivered to the others (%)": share,
                "delivered to the others / s": share / 100 * count / took,
                "out of order (%)":
                    100 * sum(out_of_order(d, own) for d in others) / count / len(others),
                "CPU of all per event sent (us)": 1e6 * used / count,
                "CPU of all per event delivered (us)":
                    1e6 * used / (share / 100 * count) if share else None}
    finally:
        stop_all(cluster)


def measure_departure(binary, how, agents=4, per_second=0, at_most=20, size=32, profile="lan",
                      calm=CALM_SECONDS, before=1.5):
    """Until all others count the last agent as "failed" (it was killed) or "left".

    Meanwhile the first agent has `per_second` events to send, for `before` seconds in advance.
    """
    cluster = start_cluster([binary] * agents, profile)
    *others, victim = cluster
    try:
        time.sleep(calm)
        requests = [event_request(SEQ + number, number, size)
                    for number in range(int(per_second * (before + at_most)))]
        with connected(cluster[:1]) as pipelines, Watcher(others, how) as watcher:
            act = Departure(victim, how, before, watcher)
            flood(pipelines, requests, per_second, on_tick=act)
            begin = time.monotonic()
            while not act(before + time.monotonic() - begin) and \
                    time.monotonic() - begin < at_most:
                time.sleep(0.02)
            instants = watcher.end()
        known = [instant for instant in instants if instant is not None]
        everyone = len(known) == len(others)
        return {"until all others know (ms)": 1e-6 * (max(known) - act.done) if everyone else None,
                "others that know (%)": 100 * len(known) / len(others)}
    finally:
        stop_all(cluster)


class Departure:
    """Ends an agent when it is time. True when all others know."""

    def __init__(self, victim, how, when, watcher):
        self.victim, self.how, self.when, self.watcher = victim, how, when, watcher
        self.done = None

    def __call__(self, now):
        if self.done is not None:
            return self.watcher.done()
        if now >= self.when:
            self.done = time.monotonic_ns()
            if self.how == "left":
                self.victim.rpc.send("leave", None, SEQ)
            else:
                self.victim.process.kill()
        return False
