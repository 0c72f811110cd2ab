#!/usr/bin/env python3
"""Runs two serf binaries in turns under the same load and prints their figures and ratios.

  bazel run -c opt //testing/bench:compare                      # ours against Debian's Go serf
  bazel run -c opt //testing/bench:compare -- --other PATH ...  # against another binary
  ... -- --only idle,ping --rounds 3

Machines are noisy: the two binaries alternate (A B A B ...), each figure is the median over the
rounds, and what counts is the ratio. Everything runs on loopback and ends by itself. Figures are
the kernel's: the process's CPU clock, resident memory and context switches of all threads from
/proc/PID. One client, this script, looks at both binaries, and each load begins with calls that do
not count.
"""
import argparse
import os
import re
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from message_pack import pack, unpack, unpack_list  # noqa: E402

HERE = "127.0.0.1"
DEADLINE_SECONDS = 120
KILLED = 4  # of a cluster, one after the other

# Figure -> the highest ratio ours/other that the project aims at. None: the figure is only shown.
TARGETS = {
    "idle: resident memory (MiB)": 1 / 4,
    "idle: context switches / s": 1 / 4,
    "idle: CPU (ms / s)": None,
    "cluster of 30: idle CPU of all (ms / s)": 1 / 5,
    "cluster of 30: context switches of all / s": 1 / 4,
    "cluster of 30: resident memory of one (MiB)": 1 / 4,
    "cluster of 30: convergence (s)": 1,
    "cluster of 30: detection of a killed agent by all (s)": 1,
    "ping: CPU per answered ping (us)": 1 / 10,
    "rpc: CPU per `members` call, 1 member (us)": 2 / 3,
    "rpc: CPU per `members` call, 50 members (us)": 1 / 3,
    "rpc: `members` calls / s, 1 member": None,
    "rpc: `members` calls / s, 50 members": None,
    "rpc: CPU per `members` call, 10,000 members (ms)": 1 / 3,
    "rpc: time of a `members` call, 10,000 members (ms)": None,
    "rpc: CPU per `stats` call, 1 member (us)": 2 / 3,
    "rpc: CPU per `stats` call, 50 members (us)": 2 / 3,
    "pipelined: longest wait of a ping (ms)": None,
    "pipelined: longest wait of another client (ms)": None,
    "pipelined: CPU of all 100 requests (ms)": None,
    "monitors: thrown out, of 500": None,
    "monitors: queries refused, of 2,500": None,
    "monitors: CPU per query (us)": None,
    "filter: longest wait of a ping (ms)": None,
    "filter: 99 % of the pings wait at most (ms)": None,
    "filter: CPU (ms / s)": None,
    "cli: wall time of `serf members` (ms)": None,
    "event: until 2 neighbours have it (ms)": 1 / 2,
    "event: until 20 agents have it (ms)": 1 / 2,
    "event: CPU of all per event, 3 agents (us)": None,
    "event: lost of 3,000 at 1,000 / s (%)": 1 / 10,
    "query: until 3 agents have acknowledged (ms)": 1 / 2,
    "snapshot: CPU per member learned and recorded (us)": 1 / 2,
}


# --- an agent under test ------------------------------------------------------------------------

def free_ports(count):
    """Ports that are free for TCP and UDP. All stay bound during the search."""
    held, ports = [], []
    while len(ports) < count:
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        tcp.bind((HERE, 0))
        port = tcp.getsockname()[1]
        try:
            udp.bind((HERE, port))
            ports.append(port)
        except OSError:
            pass
        held += [tcp, udp]
    for sock in held:
        sock.close()
    return ports


class Agent:
    def __init__(self, binary, name, join=None, profile="lan", more=()):
        self.binary = binary
        self.port, self.rpc_port = free_ports(2)
        self.name = name
        args = [binary, "agent", "-node", name, "-bind", "%s:%d" % (HERE, self.port), "-rpc-addr",
                "%s:%d" % (HERE, self.rpc_port), "-profile", profile, "-log-level", "err"]
        if join is not None:
            args += ["-retry-join", "%s:%d" % (HERE, join.port), "-retry-interval", "1s"]
        args += more
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        stdin=subprocess.DEVNULL)
        self.rpc = None
        wait_until(self._listens, "agent %s of %s did not start" % (name, binary))

    def _listens(self):
        if self.process.poll() is not None:
            sys.exit("%s agent ended at once with %d" % (self.binary, self.process.returncode))
        try:
            self.rpc = Rpc(self)
            return True
        except OSError:
            return False

    def stop(self):
        if self.rpc is not None:
            self.rpc.sock.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def resident_mib(self):
        with open("/proc/%d/statm" % self.process.pid) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    def cpu_seconds(self):
        """User and system time of all threads, also of those that ended, to the nanosecond."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # clock_getcpuclockid()

    def switches(self):
        total = 0
        for task in os.listdir("/proc/%d/task" % self.process.pid):
            with open("/proc/%d/task/%s/status" % (self.process.pid, task)) as file:
                total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return total

    def statuses(self):
        """The states of the members as this agent sees them."""
        _, body = self.rpc.call("members", None, 2)
        return [member[b"Status"] for member in body[b"Members"]]

    def count(self):
        """The number of members that it knows, which costs the agent less than a list."""
        _, body = self.rpc.call("stats", None, 2)
        return int(body[b"serf"][b"members"])


def all_see(agents, count, status):
    """True if each agent lists so many members in that state."""
    return all(a.statuses().count(status) == count for a in agents)


def start_cluster(binary, size):
    """Starts so many agents that all know each other."""
    agents = []
    try:
        for i in range(size):
            agents.append(Agent(binary, "node%d" % i, agents[0] if agents else None))
        wait_until(lambda: all_see(agents, size, b"alive"), "%s: no convergence" % binary)
        return agents
    except BaseException:
        stop_all(agents)
        raise


def stop_all(agents):
    for agent in agents:
        agent.stop()


def wait_until(condition, complaint):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(complaint)
        time.sleep(0.02)


class Rpc:
    def __init__(self, agent):
        self.sock = socket.create_connection((HERE, agent.rpc_port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data, self.seq = b"", 0
        self.call("handshake", {"Version": 1}, 1)

    def send(self, command, body, seq):
        request = pack({"Command": command, "Seq": seq})
        self.sock.sendall(request + (pack(body) if body is not None else b""))

    def receive(self):
        piece = self.sock.recv(1 << 20)
        if not piece:
            sys.exit("the agent closed an RPC connection")
        return piece

    def call(self, command, body, objects):
        """Sends one request, if any, and reads so many objects, which it returns."""
        if command is not None:
            self.seq += 1
            self.send(command, body, self.seq)
        while True:
            try:
                values, end = unpack_list(self.data, 0, objects)
                self.data = self.data[end:]
                return values
            except IndexError:
                self.data += self.receive()

    def call_members(self, count):
        """A `members` call whose reply is only looked at for its end.

        Else a large reply would take this script longer than the agent."""
        self.send("members", None, 1)
        data = b""
        while data.count(LAST_KEY) < count or data.endswith(LAST_KEY):
            data += self.receive()


# Bytes for each member, in the order of both binaries. Nobody has tags here: one byte.
LAST_KEY = b"\xa4Tags"


# --- the loads: each returns {figure: value} ----------------------------------------------------

def measure_idle(binary):
    agent = Agent(binary, "idle")
    try:
        time.sleep(3)  # the start-up has ended
        cpu, switches, begin = agent.cpu_seconds(), agent.switches(), time.monotonic()
        time.sleep(10)
        seconds = time.monotonic() - begin
        return {"idle: resident memory (MiB)": agent.resident_mib(),
                "idle: context switches / s": (agent.switches() - switches) / seconds,
                "idle: CPU (ms / s)": 1e3 * (agent.cpu_seconds() - cpu) / seconds}
    finally:
        agent.stop()


def measure_cluster(binary, size=30):
    begin = time.monotonic()
    agents = start_cluster(binary, size)
    converged = time.monotonic() - begin
    try:
        time.sleep(5)
        cpu = sum(a.cpu_seconds() for a in agents)
        switches = sum(a.switches() for a in agents)
        begin = time.monotonic()
        time.sleep(15)
        seconds = time.monotonic() - begin
        result = {
            "cluster of 30: convergence (s)": converged,
            "cluster of 30: idle CPU of all (ms / s)":
                1e3 * (sum(a.cpu_seconds() for a in agents) - cpu) / seconds,
            "cluster of 30: context switches of all / s":
                (sum(a.switches() for a in agents) - switches) / seconds,
            "cluster of 30: resident memory of one (MiB)":
                statistics.median(a.resident_mib() for a in agents)}
        # The time of the next probe is random, so this takes the mean of several.
        begin = time.monotonic()
        for killed in range(1, KILLED + 1):
            agents.pop().stop()
            wait_until(lambda: all_see(agents, killed, b"failed"), "%s: no detection" % binary)
        result["cluster of 30: detection of a killed agent by all (s)"] = (
            (time.monotonic() - begin) / KILLED)
        return result
    finally:
        stop_all(agents)


def measure_ping(binary, pings=60000, window=64):
    agent = Agent(binary, "pinged")
    sock = socket.socket(type=socket.SOCK_DGRAM)
    try:
        sock.bind((HERE, 0))
        sock.connect((HERE, agent.port))
        sock.settimeout(1)
        answered, flying, seq, cpu = -pings // 10, 0, 1000, None
        while answered < pings:
            if answered >= 0 and cpu is None:
                cpu = agent.cpu_seconds()
            while flying < window:
                seq += 1
                sock.send(b"\x00" + pack({"SeqNo": seq, "Node": "pinged"}))
                flying += 1
            try:
                sock.recv(65536)
                answered += 1
                flying -= 1
            except socket.timeout:
                flying = 0  # the other pings were lost
        return {"ping: CPU per answered ping (us)": 1e6 * (agent.cpu_seconds() - cpu) / answered}
    finally:
        sock.close()
        agent.stop()


def alive(name, port):
    return b"\x04" + pack({"Incarnation": 1, "Node": name, "Addr": socket.inet_aton(HERE),
                           "Port": port, "Meta": b"\xff\x80", "Vsn": bytes([1, 5, 2, 2, 5, 5])})


def compound(parts):
    return b"\x07" + bytes([len(parts)]) + b"".join(struct.pack(">H", len(p)) for p in parts) + \
        b"".join(parts)


def make_members(agent, count):
    """Makes the agent know so many members at a port where nobody listens."""
    port = free_ports(1)[0]
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        for first in range(0, count, 10):
            parts = [alive("made-up-%d" % i, port) for i in range(first, min(first + 10, count))]
            sock.sendto(compound(parts), (HERE, agent.port))
            time.sleep(0.002)
    wait_until(lambda: agent.count() == count + 1, "%s: made-up members" % agent.binary)


def time_calls(binary, members, calls, call):
    """Seconds per call(rpc) of an agent that knows so many: its CPU's, and the wall's."""
    agent = Agent(binary, "self")
    try:
        make_members(agent, members - 1)
        rpc = Rpc(agent)
        for _ in range(calls // 10):
            call(rpc)
        cpu, begin = agent.cpu_seconds(), time.monotonic()
        for _ in range(calls):
            call(rpc)
        wall = time.monotonic() - begin
        return (agent.cpu_seconds() - cpu) / calls, wall / calls
    finally:
        agent.stop()


def time_members_calls(binary, members, calls):
    return time_calls(binary, members, calls, lambda rpc: rpc.call_members(members))


def measure_rpc(binary):
    result = {}
    for members, what in ((1, "1 member"), (50, "50 members")):
        cpu, wall = time_members_calls(binary, members, calls=3000)
        result["rpc: CPU per `members` call, %s (us)" % what] = 1e6 * cpu
        result["rpc: `members` calls / s, %s" % what] = 1 / wall
    return result


def measure_members(binary):
    cpu, wall = time_members_calls(binary, 10000, calls=30)
    return {"rpc: CPU per `members` call, 10,000 members (ms)": 1e3 * cpu,
            "rpc: time of a `members` call, 10,000 members (ms)": 1e3 * wall}


def measure_stats(binary):
    result = {}
    for members, what in ((1, "1 member"), (50, "50 members")):
        cpu, _ = time_calls(binary, members, 3000, lambda rpc: rpc.call("stats", None, 2))
        result["rpc: CPU per `stats` call, %s (us)" % what] = 1e6 * cpu
    return result


class Pings:
    """The time that an agent takes to answer pings, which a thread sends one after the other."""

    def __init__(self, agent, interval=0.0005):
        self.agent, self.interval, self.waits, self.ending = agent, interval, [], False
        self.thread = threading.Thread(target=self._ping)
        self.thread.start()

    def _ping(self):
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.connect((HERE, self.agent.port))
            sock.settimeout(5)
            seq = 0
            while not self.ending:
                seq += 1
                begin = time.monotonic()
                sock.send(b"\x00" + pack({"SeqNo": seq, "Node": self.agent.name}))
                try:
                    sock.recv(65536)
                except socket.timeout:
                    pass  # counts as five seconds
                self.waits.append(1e3 * (time.monotonic() - begin))
                time.sleep(self.interval)

    def end(self):
        """All waits, in milliseconds, sorted."""
        self.ending = True
        self.thread.join()
        return sorted(self.waits)


def measure_pipelined(binary, members=1000, requests=100):
    """One client sends many requests at once; another one asks meanwhile."""
    agent = Agent(binary, "self")
    try:
        make_members(agent, members - 1)
        rpc, other = Rpc(agent), Rpc(agent)
        for _ in range(10):
            rpc.call_members(members)
        request = {"Name": ".*", "Status": "", "Tags": {}}
        cpu, pings = agent.cpu_seconds(), Pings(agent)
        sender = threading.Thread(target=lambda: [
            rpc.send("members-filtered", request, seq) for seq in range(1, requests + 1)])
        sender.start()
        reader = threading.Thread(target=lambda: read_members(rpc, members * requests))
        reader.start()
        waits = []
        while reader.is_alive():
            begin = time.monotonic()
            other.call("get-coordinate", {"Node": "nobody"}, 2)
            waits.append(1e3 * (time.monotonic() - begin))
            time.sleep(0.0005)
        sender.join()
        return {"pipelined: longest wait of a ping (ms)": pings.end()[-1],
                "pipelined: longest wait of another client (ms)": max(waits),
                "pipelined: CPU of all 100 requests (ms)": 1e3 * (agent.cpu_seconds() - cpu)}
    finally:
        agent.stop()


def read_members(rpc, count):
    """Reads replies with so many members in total, and ignores everything else."""
    left, tail = count, b""
    while left > 0:
        data = tail + rpc.receive()
        left -= data.count(LAST_KEY)
        tail = data[-len(LAST_KEY) + 1:]


def measure_monitors(binary, monitors=500, queries=2500, per_second=500):
    agent = Agent(binary, "asked")
    asking, rpcs, thrown_out = Rpc(agent), [], 0
    try:
        for _ in range(monitors):
            try:
                rpcs.append(Rpc(agent))
                rpcs[-1].call("monitor", {"LogLevel": "ERR"}, 1)
            except (OSError, SystemExit):  # closed at once
                thrown_out += 1
        cpu = agent.cpu_seconds()
        accepted = count_accepted(asking, queries, per_second)
        used = agent.cpu_seconds() - cpu
        thrown_out += sum(ended(rpc.sock) for rpc in rpcs)
        return {"monitors: thrown out, of 500": thrown_out,
                "monitors: queries refused, of 2,500": queries - accepted,
                "monitors: CPU per query (us)": 1e6 * used / queries}
    finally:
        for rpc in rpcs + [asking]:
            rpc.sock.close()
        agent.stop()


def count_accepted(rpc, queries, per_second):
    """Asks so many queries at this rate. None is accepted after the end of the connection."""
    begin, replies, accepted, data = time.monotonic(), set(), 0, b""
    try:
        for seq in range(1, queries + 1):
            rpc.send("query", {"Name": "bench", "RequestAck": False, "Timeout": 0,
                               "Payload": b"x", "FilterNodes": None, "FilterTags": None,
                               "RelayFactor": 0}, seq)
            while seq not in replies or time.monotonic() < begin + seq / per_second:
                left = max(0, begin + seq / per_second - time.monotonic())
                if not select.select([rpc.sock], [], [], left if seq in replies else 10)[0]:
                    continue
                headers, data = headers_of(data + rpc.receive())
                for header in headers:
                    if header[b"Seq"] not in replies:
                        replies.add(header[b"Seq"])
                        accepted += header[b"Error"] == b""
    except (OSError, SystemExit):
        pass
    return accepted


def headers_of(data):
    """The headers among the objects that are there, and the rest."""
    headers, at = [], 0
    while True:
        try:
            value, at = unpack(data, at)
        except IndexError:
            return headers, data[at:]
        if b"Seq" in value:
            headers.append(value)


def ended(sock):
    """Whether the peer has closed the connection."""
    sock.setblocking(False)
    try:
        while sock.recv(1 << 16):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def costly_query(number):
    """A query whose filter takes some milliseconds to judge, each time another one."""
    unit = "".join(("a", "?", "b", "?"))
    expression = "(%s){%d}c" % (unit, 60 + number % 100)
    tag_filter = b"\x01" + pack({"Tag": "role", "Expr": expression})
    return b"\x08\x04" + pack({
        "LTime": 100 + number, "ID": number, "Addr": socket.inet_aton(HERE), "Port": 1,
        "SourceNode": "", "Filters": [tag_filter] * 10, "Flags": 0, "RelayFactor": 0,
        "Timeout": 15 * 10**9, "Name": "bench", "Payload": b""})


def measure_filter(binary, seconds=12):
    agent = Agent(binary, "pinged", more=["-tag", "role=" + "a" * 400])
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            cpu, pings, begin = agent.cpu_seconds(), Pings(agent, 0.005), time.monotonic()
            for number in range(seconds):
                sock.sendto(costly_query(number), (HERE, agent.port))
                time.sleep(max(0, begin + number + 1 - time.monotonic()))
            used = agent.cpu_seconds() - cpu
            waits = pings.end()
        return {"filter: longest wait of a ping (ms)": waits[-1],
                "filter: 99 % of the pings wait at most (ms)": waits[len(waits) * 99 // 100],
                "filter: CPU (ms / s)": 1e3 * used / seconds}
    finally:
        agent.stop()


def measure_cli(binary, runs=40):
    agent = Agent(binary, "asked")
    try:
        times = []
        for _ in range(runs):
            begin = time.monotonic()
            subprocess.run([binary, "members", "-rpc-addr", "%s:%d" % (HERE, agent.rpc_port)],
                           stdout=subprocess.DEVNULL, check=True)
            times.append(1e3 * (time.monotonic() - begin))
        return {"cli: wall time of `serf members` (ms)": statistics.median(times)}
    finally:
        agent.stop()


class EventStreams:
    """The user events that agents report, by the number in their payload."""

    def __init__(self, agents):
        self.rpcs = [Rpc(agent) for agent in agents]
        for rpc in self.rpcs:
            rpc.call("stream", {"Type": "user"}, 1)
        self.seen = [set() for _ in agents]

    def read(self, seconds):
        """Waits for data, but no longer than that."""
        ready, _, _ = select.select([rpc.sock for rpc in self.rpcs], [], [], seconds)
        for rpc, seen in zip(self.rpcs, self.seen):
            if rpc.sock not in ready:
                continue
            rpc.data += rpc.sock.recv(1 << 20)
            found = list(re.finditer(rb"<(\d+)>", rpc.data))
            seen.update(int(match.group(1)) for match in found)
            if found:
                rpc.data = rpc.data[found[-1].end():]


def send_event(rpc, number):
    rpc.call("event", {"Name": "bench", "Payload": b"<%d>" % number, "Coalesce": False}, 1)


def event_latency(agents, rounds=20):
    """Milliseconds until all agents have an event of the first one: the median."""
    rpc, streams, times = Rpc(agents[0]), EventStreams(agents), []
    for number in range(rounds):
        begin = time.monotonic()
        send_event(rpc, number)
        while not all(number in seen for seen in streams.seen):
            if time.monotonic() > begin + DEADLINE_SECONDS:
                sys.exit("%s: an event did not arrive" % agents[0].binary)
            streams.read(1)
        times.append(1e3 * (time.monotonic() - begin))
        time.sleep(0.5)  # the gossip about them has ended
    return statistics.median(times)


def measure_event(binary, events=3000, per_second=1000):
    result = {}
    agents = start_cluster(binary, 3)
    try:
        result["event: until 2 neighbours have it (ms)"] = event_latency(agents)
        rpc, streams = Rpc(agents[0]), EventStreams(agents[1:])
        cpu, begin = sum(a.cpu_seconds() for a in agents), time.monotonic()
        for i in range(events):
            send_event(rpc, 1000 + i)
            while time.monotonic() < begin + i / per_second:
                streams.read(max(0, begin + i / per_second - time.monotonic()))
        quiet = 0
        while quiet < 3 and not all(len(seen) == events for seen in streams.seen):
            before = [len(seen) for seen in streams.seen]
            streams.read(1)
            quiet = 0 if [len(seen) for seen in streams.seen] != before else quiet + 1
        lost = sum(events - len(seen) for seen in streams.seen)
        result["event: lost of 3,000 at 1,000 / s (%)"] = 100 * lost / events / len(streams.seen)
        result["event: CPU of all per event, 3 agents (us)"] = \
            1e6 * (sum(a.cpu_seconds() for a in agents) - cpu) / events
    finally:
        stop_all(agents)
    agents = start_cluster(binary, 20)
    try:
        result["event: until 20 agents have it (ms)"] = event_latency(agents)
    finally:
        stop_all(agents)
    return result


def measure_query(binary, queries=10):
    agents = start_cluster(binary, 3)
    try:
        times = []
        for _ in range(queries):
            rpc = Rpc(agents[0])
            begin = time.monotonic()
            rpc.call("query", {"Name": "bench", "RequestAck": True, "Timeout": 3000000000,
                               "Payload": None, "FilterNodes": None, "FilterTags": None,
                               "RelayFactor": 0}, 1)
            for _ in agents:
                rpc.call(None, None, 2)
            times.append(1e3 * (time.monotonic() - begin))
            rpc.sock.close()
        return {"query: until 3 agents have acknowledged (ms)": statistics.median(times)}
    finally:
        stop_all(agents)


def measure_snapshot(binary, members=5000):
    folder = tempfile.mkdtemp()
    agent = Agent(binary, "writer", more=["-snapshot", os.path.join(folder, "snapshot")])
    try:
        cpu = agent.cpu_seconds()
        make_members(agent, members)
        time.sleep(2)  # both write behind
        return {"snapshot: CPU per member learned and recorded (us)":
                    1e6 * (agent.cpu_seconds() - cpu) / members}
    finally:
        agent.stop()
        shutil.rmtree(folder)


LOADS = {"idle": measure_idle, "cluster": measure_cluster, "ping": measure_ping,
         "rpc": measure_rpc, "members": measure_members, "stats": measure_stats,
         "pipelined": measure_pipelined, "monitors": measure_monitors, "filter": measure_filter,
         "cli": measure_cli,
         "event": measure_event, "query": measure_query, "snapshot": measure_snapshot}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--ours", required=True, help="our serf binary")
    parser.add_argument("--other", required=True, help="the serf binary to compare with")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each binary per load")
    parser.add_argument("--only", default=",".join(LOADS), help="loads, comma-separated")
    options = parser.parse_args()
    for load in options.only.split(","):
        if load not in LOADS:
            parser.error("no load '%s'; there are %s" % (load, ", ".join(LOADS)))
    for binary in (options.ours, options.other):
        if not os.access(binary, os.X_OK):
            parser.error("'%s' is no executable" % binary)

    print("%-56s %10s %10s %8s %8s" % ("", "ours", "other", "ratio", "aim"))
    missed = 0
    for load in options.only.split(","):
        runs = [(LOADS[load](options.ours), LOADS[load](options.other))
                for _ in range(options.rounds)]
        for name in runs[0][0]:
            ours, other = (statistics.median(run[side][name] for run in runs) for side in (0, 1))
            ratio = ours / other if other else float("inf")
            aim = TARGETS[name]
            verdict = ""
            if aim is not None:
                verdict = "%8.2f" % aim + ("" if ratio <= aim else "  missed")
                missed += ratio > aim
            print("%-56s %10.3f %10.3f %8.3f %s" % (name, ours, other, ratio, verdict), flush=True)
    print("%d aim(s) missed" % missed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
