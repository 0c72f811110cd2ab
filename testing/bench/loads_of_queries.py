"""Loads of queries in clusters. Each returns {figure: value}.

Every agent has a client that responds at once: the listening process.
"""
import collections
import time

from agents import cpu_seconds, start_cluster, stop_all
from figures import median, percentile
from listener import Listener
from rpc_client import query_request
from loads_of_news import CALM_SECONDS, QUIET_SECONDS, SEQ
from message_pack import unpack
from sender import connected, send_at_rate, serve


class QueryLog:
    """What an agent told its client about queries: feed it the bytes in their order."""

    def __init__(self):
        self.data, self.last_seq = b"", None
        self.errors = {}  # Seq: the reply's error, empty if the query was accepted
        self.records = collections.defaultdict(list)  # (Seq, type): [(from, instant)]

    def feed(self, instant, data):
        data, at = self.data + data, 0
        while True:
            try:
                value, at = unpack(data, at)
            except IndexError:
                self.data = data[at:]
                return
            if b"Seq" in value:
                self.last_seq = value[b"Seq"]
                self.errors.setdefault(self.last_seq, value[b"Error"])
            elif b"Type" in value:
                self.records[self.last_seq, value[b"Type"]].append((value[b"From"], instant))

    def accepted(self, seq):
        return self.errors.get(seq) == b""

    def instant_of_all(self, seq, kind, agents):
        """When so many agents had sent a record of this kind; nothing if they have not."""
        first = {}
        for name, instant in self.records.get((seq, kind), ()):
            first.setdefault(name, instant)
        return max(first.values()) if len(first) == agents else None

    def complete(self, seq, agents):
        return all(self.instant_of_all(seq, kind, agents) is not None
                   for kind in (b"ack", b"response"))


def figures_of(sent, log, agents):
    """`sent` is {Seq: instant}."""
    result = {}
    for kind, verb in ((b"ack", "acknowledged"), (b"response", "responded")):
        ends = {seq: log.instant_of_all(seq, kind, agents) for seq in sent}
        times = [1e-6 * (end - sent[seq]) for seq, end in ends.items() if end is not None]
        result["until all have %s, median (ms)" % verb] = median(times) if times else None
        result["until all have %s, 99 %% (ms)" % verb] = percentile(times, 0.99) if times else None
    result["accepted (%)"] = 100 * sum(map(log.accepted, sent)) / len(sent)
    result["complete (%)"] = 100 * sum(log.complete(seq, agents) for seq in sent) / len(sent)
    return result


def measure_queries(binary, agents=20, per_second=10, seconds=10, finish_early=False, profile="lan",
                    calm=CALM_SECONDS):
    """Queries at a rate over one connection; at the rate 0, one as soon as the last is complete."""
    cluster = start_cluster([binary] * agents, profile)
    try:
        time.sleep(calm)
        log = QueryLog()
        with connected(cluster[:1]) as (pipeline,), Listener(cluster, "query", answers=True):
            cpu = cpu_seconds(cluster)
            if per_second == 0:
                sent = ask_in_turn(pipeline, log, agents, seconds, finish_early)
            else:
                seqs = range(SEQ, SEQ + int(per_second * seconds))
                requests = [query_request(seq, finish_early=finish_early) for seq in seqs]
                sent = dict(zip(seqs, send_at_rate([pipeline], requests, per_second)))
                wait_until_quiet(pipeline)
                feed(log, pipeline)
            used = cpu_seconds(cluster) - cpu
        result = figures_of(sent, log, agents)
        result["CPU of all per query (ms)"] = 1e3 * used / len(sent)
        return result
    finally:
        stop_all(cluster)


def ask_in_turn(pipeline, log, agents, seconds, finish_early, at_most=3):
    """Asks for so many seconds, and waits for each query `at_most` seconds."""
    end, sent = time.monotonic() + seconds, {}
    while time.monotonic() < end:
        seq = SEQ + len(sent)
        sent[seq] = time.monotonic_ns()
        pipeline.send(query_request(seq, finish_early=finish_early))
        late = time.monotonic() + at_most
        while not log.complete(seq, agents) and time.monotonic() < late:
            pipeline.wait(late)
            feed(log, pipeline)
    return sent


def feed(log, pipeline):
    for instant, data in pipeline.take():
        log.feed(instant, data)


def wait_until_quiet(pipeline, at_most=10):
    """Until nothing has arrived for a while. The ends of the queries arrive late, too."""
    deadline, before = time.monotonic() + at_most, None
    while time.monotonic() < deadline and pipeline.last() != before:
        before = pipeline.last()
        serve([pipeline], time.monotonic() + QUIET_SECONDS)
