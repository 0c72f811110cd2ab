"""The reports of every agent, and the rules for them.

Each rule is checked as the records come, or over a calm time. A violation is a sentence. The rules
are the same for our agents and for Go Serf's.
"""
import collections
import threading
import time

# A suspicion may still end so long after the last fault: 8 times the suspicion of a cluster of ten.
AFTERMATH_SECONDS = 40
# A snapshot is flushed every 500 ms. An event that was delivered later may be delivered again after
# a kill.
SNAPSHOT_SECONDS = 2


class History:
    def __init__(self):
        self.lock = threading.RLock()
        self.violations = []
        self.counts = collections.Counter()
        self.sent = {}  # payload -> (sender, when)
        self.told = collections.defaultdict(dict)  # (agent, life) -> payload -> when
        self.ended = {}  # (agent, life) -> when it was killed
        self.calm_since = None
        self.forgetful = set()  # agents whose disk was full in this life or the one before

    def violate(self, text, *values):
        with self.lock:
            self.violations.append(text % values)
            print("VIOLATION: " + text % values, flush=True)

    # --- what the chaos does ---

    def fault(self):
        self.calm_since = None

    def calm(self):
        self.calm_since = time.monotonic()

    def on_sent(self, sender, payload):
        with self.lock:
            self.sent[payload] = (sender.name, time.monotonic())
            self.counts["events sent"] += 1

    def on_end(self, agent):
        with self.lock:
            self.ended[agent.name, agent.life] = time.monotonic()

    # --- reports of agents ---

    def on_record(self, agent, kind, body):
        with self.lock:
            self.counts[kind] += 1
            if kind == "user":
                self._on_user_event(agent, body[b"Payload"].decode(errors="replace"))
            elif kind in ("member-failed", "member-leave"):
                for member in body[b"Members"]:
                    self._on_departure(agent, kind, member[b"Name"].decode())

    def _on_user_event(self, agent, payload):
        if payload not in self.sent:
            return self.violate("%s told an event that nobody sent: %s", agent.name, payload)
        mine = self.told[agent.name, agent.life]
        if payload in mine:
            return self.violate("%s told %s twice in one life", agent.name, payload)
        mine[payload] = time.monotonic()
        before = self.told.get((agent.name, agent.life - 1), {}).get(payload)
        end = self.ended.get((agent.name, agent.life - 1))
        if (before is not None and end is not None and agent.name not in self.forgetful
                and before < end - SNAPSHOT_SECONDS):
            self.violate("%s told %s again after its restart, %.1f s after its snapshot had it",
                         agent.name, payload, end - before)

    def _on_departure(self, agent, kind, name):
        if self.calm_since is None:
            return
        calm = time.monotonic() - self.calm_since
        if calm > AFTERMATH_SECONDS and agent.answers():
            self.violate("%s told %s of %s, %.0f s after the last fault", agent.name, kind, name,
                         calm)

    def missing(self, agents, payloads):
        """{agent: payloads that it did not deliver}"""
        with self.lock:
            result = {}
            for agent in agents:
                lacks = [p for p in payloads if p not in self.told[agent.name, agent.life]]
                if lacks:
                    result[agent.name] = lacks
            return result
