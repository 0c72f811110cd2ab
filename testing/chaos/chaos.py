#!/usr/bin/env python3
"""Real agents on a bad network: chaos, then calm, over and over, with users' traffic all the time.

  bazel run -c opt //testing/chaos -- --seconds 3600            # 4 of ours, 3 of the original's
  bazel run -c opt //testing/chaos -- --agents ours,ours,ours --seed 7 --seconds 60

Each agent is a process on a host of its own: a network namespace, and a small disk. Chaos is loss,
duplication, reordering, delay, slow links, one-way cuts, partitions, processes that stand still,
kills, leaves, restarts, full disks, and wall clocks that jump (of ours, which the loader can be
told to deceive). Meanwhile users send events, ask queries and change tags. In each calm

- all agents must agree that all are alive, with the same tags, within CALM_SECONDS;
- what each then sends must reach all, and a query of each must be answered by all;
- a rotation of keys must succeed on all.

And at all times no event may be delivered twice, no member may be reported failed or left while no
fault was at work, no process may end by itself, and memory of ours is bounded. A fault that never
happened in a long run is a violation too: the run would prove nothing. The schedule is by seed; the
processes are not, so that a seed names the faults and not the outcome. Linux; needs /dev/net/tun,
and root or user namespaces.
"""
import argparse
import base64
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import network  # noqa: E402
from agent import Agent  # noqa: E402
from history import AFTERMATH_SECONDS, History  # noqa: E402

# The time from the last fault until all agree. A failed member is dialled every 30 s, and Go Serf
# chooses the member at random.
CALM_SECONDS = 240
# The time from sending until all have received, once all agree: several push/pulls, which every
# agent makes each 30 s.
DELIVERY_SECONDS = 90
# Only gossip carries a query: seven agents of 0.9.4 miss one of 170 receivers, without any fault.
QUERY_SECONDS = 5
QUERIES = 3
CHAOS_SECONDS = 25
FAULT_SECONDS = (0.5, 3)
# Every so many rounds, and at the end, calm continues with users' traffic, and no agent may fail.
LONG_CALM_ROUNDS = 5
LONG_CALM_SECONDS = AFTERMATH_SECONDS + 20
USER_SECONDS = 0.2
# The memory limit of our agents: eight times what an idle agent takes.
RESIDENT_MAX_MIB = 16
# A run of this length must have had each fault.
LONG_SECONDS = 600
FAULTS = ("links", "slow", "partition", "cut", "stop", "kill", "leave", "disk", "clock")


class Chaos:
    def __init__(self, kinds, binaries, clock_step, seed, directory):
        self.random = random.Random(seed)
        self.history = History()
        self.faults = dict.fromkeys(FAULTS, 0)
        self.started = time.monotonic()
        self.numbers = 0
        self.agreed_after = []
        self.delivered_after = []
        self.resident = []
        names = ["%s%d" % (kind.replace(".", "-"), i) for i, kind in enumerate(kinds)]
        self.keys = [base64.b64encode(self.random.randbytes(32)).decode()]
        self.network = network.Network(names, seed)
        self.agents = []
        for name, kind in zip(names, kinds):
            agent = Agent(self.network, name, binaries[kind], directory, self.keys[0], self.history)
            agent.is_ours = kind == "ours"
            agent.preload = clock_step if agent.is_ours else None
            self.agents.append(agent)

    def say(self, text, *values):
        print("%7.1f s  " % (time.monotonic() - self.started) + text % values, flush=True)

    # --- faults ---

    def up(self):
        return [agent for agent in self.agents if agent.answers()]

    def disturb(self):
        kind = self.random.choice(FAULTS)
        agent = self.random.choice(self.agents)
        done = getattr(self, "_fault_" + kind)(agent)
        if done:
            self.faults[kind] += 1
            self.say("fault: %s %s", kind, done)

    def _fault_links(self, _):
        r = self.random
        rule = {"loss": r.choice([0, 0.05, 0.2, 0.5]), "duplication": r.choice([0, 0.1, 0.3]),
                "reordering": r.choice([0, 0.1, 0.3]), "latency": r.choice([0, 0.01, 0.1, 0.4]),
                "jitter": r.choice([0, 0.02, 0.2]), "rate": 0}
        self.network.links(**rule)
        return rule

    def _fault_slow(self, _):
        rate = self.random.choice([4000, 20000, 100000])
        self.network.links(rate=rate)
        return "%d bytes/s" % rate

    def _fault_partition(self, _):
        names = [agent.name for agent in self.agents]
        self.random.shuffle(names)
        at = self.random.randrange(1, len(names))
        self.network.partition([names[:at], names[at:]])
        return "%s | %s" % (names[:at], names[at:])

    def _fault_cut(self, agent):
        other = self.random.choice([each for each in self.agents if each is not agent])
        self.network.cut([(agent.name, other.name)])
        return "%s to %s" % (agent.name, other.name)

    def _fault_stop(self, agent):
        if agent.stopped:
            agent.go_on()
            return "of %s ends" % agent.name
        if not agent.answers():
            return None
        agent.stop()
        return agent.name

    def _fault_kill(self, agent):
        if not agent.is_up():
            return self._restart(agent)
        agent.kill()
        self.history.on_end(agent)
        return agent.name

    def _fault_leave(self, agent):
        if not agent.answers():
            return self._restart(agent)
        agent.leave()
        return agent.name

    def _restart(self, agent):
        if agent.is_up():
            return None
        self.start(agent)
        return "over: %s restarts" % agent.name

    def start(self, agent):
        if agent.rpc:
            agent.rpc.close()
        if agent.disk_full:
            self.history.forgetful.add(agent.name)
        if not agent.start(self.agents):
            # With a full disk an agent may refuse to start; it prints the reason.
            if not agent.disk_full:
                self.history.violate("%s did not start", agent.name)

    def _fault_disk(self, agent):
        if agent.disk_full:
            agent.empty_disk()
            return "of %s has room" % agent.name
        agent.fill_disk()
        self.history.forgetful.add(agent.name)
        return "of %s is full" % agent.name

    def _fault_clock(self, _):
        agent = self.random.choice([each for each in self.agents if each.preload] or [None])
        if agent is None:
            return None
        step = self.random.choice([-86400 * 365, -3600, -5, 5, 3600, 86400 * 365])
        agent.step_clock(step)
        return "of %s is off by %d s" % (agent.name, step)

    # --- users ---

    def send_event(self, agent):
        self.numbers += 1
        payload = "%s-%d-%d" % (agent.name, agent.life, self.numbers)
        self.history.on_sent(agent, payload)
        agent.rpc.send("event", {"Name": "chaos", "Payload": payload, "Coalesce": False})
        return payload

    def use(self):
        up = self.up()
        if not up:
            return
        agent = self.random.choice(up)
        action = self.random.randrange(10)
        if action < 7:
            self.send_event(agent)
        elif action < 9:
            self.history.counts["queries asked"] += 1
            agent.rpc.send("query", {"Name": "chaos", "Payload": "x", "Timeout": 2 * 10**9,
                                     "RequestAck": True})
        else:
            self.numbers += 1
            self.history.counts["changes of tags"] += 1
            agent.rpc.send("tags", {"Tags": {"n": str(self.numbers)}, "DeleteTags": []})

    # --- phases ---

    def check_processes(self):
        for agent in self.agents:
            if agent.process and not agent.must_end and not agent.is_up() and not agent.disk_full:
                self.history.violate("%s ended by itself with %d", agent.name,
                                     agent.process.returncode)
                agent.must_end = True
            elif agent.is_ours and agent.answers():
                mib = agent.resident_mib()
                self.resident.append(mib)
                if mib > RESIDENT_MAX_MIB:
                    self.history.violate("%s takes %.1f MiB", agent.name, mib)

    def chaos(self, seconds):
        self.history.fault()
        end = time.monotonic() + seconds
        next_fault = time.monotonic()
        while time.monotonic() < end:
            if time.monotonic() >= next_fault:
                self.disturb()
                next_fault = time.monotonic() + self.random.uniform(*FAULT_SECONDS)
            self.use()
            self.check_processes()
            time.sleep(USER_SECONDS)

    def heal(self):
        self.network.heal()
        for agent in self.agents:
            agent.empty_disk()
            agent.step_clock(0)
            if agent.stopped:
                agent.go_on()
        for agent in self.agents:
            if agent.must_end and agent.is_up():
                try:
                    agent.process.wait(30)
                except Exception:  # subprocess.TimeoutExpired
                    self.history.violate("%s was told to leave and runs on after 30 s", agent.name)
                    agent.kill()
            if not agent.is_up():
                self.start(agent)
        self.history.calm()

    def disagreement(self):
        """The reason why the agents do not agree, or an empty text."""
        for agent in self.agents:
            if not agent.has_joined():
                return "%s has not joined" % agent.name
        views = {agent.name: agent.members() for agent in self.agents}
        own = {name: view and view.get(name) for name, view in views.items()}
        for name, view in views.items():
            if view is None:
                return "%s does not answer" % name
            for other in views:
                seen = view.get(other)
                if seen is None or seen[0] != "alive":
                    return "%s lists %s as %s" % (name, other, seen and seen[0])
                if seen != own[other]:
                    return "%s lists %s with tags %s, its own are %s" % (name, other, seen[1],
                                                                       own[other][1])
        return ""

    def lag(self):
        """Which clocks differ, or an empty text.

        An agent that (re)starts treats earlier events as old. A peer that was cut off has a clock
        that is behind, and sends such events until a push/pull corrects its clock."""
        times = {agent.name: agent.event_time() for agent in self.agents}
        if len(set(times.values())) > 1:
            return "the Lamport clocks of user events differ: %s" % times
        return ""

    def wait(self, seconds, complaint, may_fail=False):
        """Waits until complaint() is empty, and returns the time; None and a violation if it is late."""
        begin = time.monotonic()
        while True:
            text = complaint()
            if not text:
                return time.monotonic() - begin
            if time.monotonic() > begin + seconds:
                if not may_fail:
                    self.history.violate("after %d s of calm: %s", seconds, text)
                return None
            self.check_processes()
            time.sleep(0.1)

    def calm(self):
        self.heal()
        took = self.wait(CALM_SECONDS, lambda: self.disagreement() or self.lag())
        if took is None:
            return
        self.agreed_after.append(took)
        payloads = [self.send_event(agent) for agent in self.agents]

        def undelivered():
            missing = self.history.missing(self.agents, payloads)
            return "events that did not reach: %s" % missing if missing else ""

        delivered = self.wait(DELIVERY_SECONDS, undelivered)
        if delivered is not None:
            self.delivered_after.append(delivered)
        for agent in self.agents:
            self.ask_all(agent)
        self.rotate_keys(self.random.choice(self.agents))
        self.history.forgetful.clear()
        self.say("calm: agreed after %.1f s, events with all after %s s", took,
                 "%.2f" % delivered if delivered is not None else "-")

    def tries(self):
        return 1 if all(agent.is_ours for agent in self.agents) else QUERIES

    def ask_all(self, agent):
        """A query of the agent. All must answer one of three, or the only one if all are ours."""
        names = {each.name for each in self.agents}
        for more in reversed(range(self.tries())):
            acks, answers = set(), set()

            def record(body, acks=acks, answers=answers):
                (acks if body[b"Type"] == b"ack" else answers).add(body[b"From"].decode())

            def unanswered(acks=acks, answers=answers):
                return "" if names <= acks and names <= answers else (
                    "a query of %s: no ack of %s, no answer of %s" % (
                        agent.name, sorted(names - acks), sorted(names - answers)))

            agent.rpc.call("query", {"Name": "chaos", "Payload": "all", "RequestAck": True,
                                     "Timeout": QUERY_SECONDS * 10**9}, record=record)
            self.history.counts["queries of all"] += 1
            if self.wait(QUERY_SECONDS, unanswered, may_fail=more > 0) is not None:
                return
            self.history.counts["queries that missed somebody"] += 1

    def rotate_keys(self, agent):
        new, old = base64.b64encode(self.random.randbytes(32)).decode(), self.keys[-1]
        for command, key in (("install-key", new), ("use-key", new), ("remove-key", old)):
            if not self.change_keys(agent, command, key):
                return
        self.keys.append(new)
        self.history.counts["rotations of keys"] += 1

    def change_keys(self, agent, command, key):
        for _ in range(self.tries()):
            reply = agent.rpc.call(command, {"Key": key}, "always", timeout=60)
            if reply and not reply[0] and reply[1][b"NumResp"] == len(self.agents):
                return True
        self.history.violate("%s of %s: %s", command, agent.name, reply)
        return False

    def run(self, seconds):
        for agent in self.agents:
            self.start(agent)
        self.calm()
        end = time.monotonic() + seconds
        rounds = 0
        while time.monotonic() < end and not self.history.violations:
            self.chaos(CHAOS_SECONDS)
            self.calm()
            rounds += 1
            if rounds % LONG_CALM_ROUNDS == 0 or time.monotonic() >= end:
                self.long_calm()

    def long_calm(self):
        end = time.monotonic() + LONG_CALM_SECONDS
        while time.monotonic() < end:
            self.use()
            self.check_processes()
            time.sleep(USER_SECONDS)
        self.history.counts["long calms"] += 1
        # The last change of tags may be on its way.
        self.wait(DELIVERY_SECONDS, self.disagreement)

    def close(self):
        for agent in self.agents:
            agent.end()
        self.network.close()

    def report(self, seconds):
        for agent in self.agents:
            for line in agent.fatal_lines():
                self.history.violate("log of %s: %s", agent.name, line)
        counts = self.network.counts()
        if seconds >= LONG_SECONDS:
            for fault, count in self.faults.items():
                if count == 0 and not (fault == "clock" and not any(a.preload for a in self.agents)):
                    self.history.violate("the fault %s never happened", fault)
            for what in ("lost", "cut", "duplicated", "reordered", "slowed"):
                if counts[what] == 0:
                    self.history.violate("no packet was %s", what)
        print("\nfaults:  " + ", ".join("%s %d" % item for item in self.faults.items()))
        print("packets: " + ", ".join("%s %d" % item for item in sorted(counts.items())))
        print("told:    " + ", ".join("%s %d" % i for i in sorted(self.history.counts.items())))
        for what, values in (("calm until all agreed (s)", self.agreed_after),
                             ("events with all (s)", self.delivered_after),
                             ("resident memory of ours (MiB)", self.resident)):
            if values:
                print("%s: median %.2f, longest %.2f of %d" % (
                    what, statistics.median(values), max(values), len(values)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ours", required=True, help="our serf")
    parser.add_argument("--go-0.9.4", dest="go_0_9_4", help="the original's 0.9.4")
    parser.add_argument("--go-0.10.1", dest="go_0_10_1", help="the original's 0.10.1")
    parser.add_argument("--clock-step", help="libclock_step.so")
    parser.add_argument("--agents", default="ours,ours,ours,go-0.9.4,go-0.10.1,ours,go-0.9.4",
                        help="3 to 10 kinds, separated by commas")
    parser.add_argument("--seconds", type=float, default=60, help="of chaos and calm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", help="a folder that keeps the logs")
    args = parser.parse_args()
    binaries = {"ours": args.ours, "go-0.9.4": args.go_0_9_4, "go-0.10.1": args.go_0_10_1}
    kinds = args.agents.split(",")
    for kind in kinds:
        if not binaries.get(kind):
            parser.error("--agents: no program for %r" % kind)
    if not 3 <= len(kinds) <= 10:
        parser.error("--agents: %d agents; 3 to 10 are wanted" % len(kinds))
    binaries = {kind: os.path.abspath(path) for kind, path in binaries.items() if path}
    clock_step = args.clock_step and os.path.abspath(args.clock_step)
    network.become_root()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    directory = tempfile.mkdtemp(prefix="serf-chaos-")
    chaos = Chaos(kinds, binaries, clock_step, args.seed, directory)
    try:
        chaos.run(args.seconds)
        chaos.report(args.seconds)
    finally:
        chaos.close()
        if args.keep:
            shutil.copytree(directory, args.keep, dirs_exist_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
    violations = chaos.history.violations
    print("%d violations" % len(violations))
    for violation in violations[:20]:
        print("  " + violation)
    sys.exit(1 if violations else 0)


if __name__ == "__main__":
    main()
