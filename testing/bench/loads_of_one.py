"""Loads of a lone agent, and of a cluster that has nothing to do. Each returns {figure: value}."""
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time

from agents import Agent, all_see, cpu_seconds, free_ports, start_cluster, stop_all, wait_until
from rpc_client import HERE, alive, compound, costly_query, ping

KILLED = 4  # of a cluster, one after the other


def measure_idle(binary, calm=3, seconds=10):
    agent = Agent(binary, "idle")
    try:
        time.sleep(calm)  # the start-up has ended
        cpu, switches, begin = agent.cpu_seconds(), agent.switches(), time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - begin
        return {"resident memory (MiB)": agent.resident_mib(),
                "context switches / s": agent.switches_since(switches) / passed,
                "CPU (ms / s)": 1e3 * (agent.cpu_seconds() - cpu) / passed}
    finally:
        agent.stop()


def measure_cluster(binary, size=30, calm=5, seconds=15, killed=KILLED, profile="lan"):
    begin = time.monotonic()
    agents = start_cluster([binary] * size, profile)
    try:
        wait_until(lambda: all_see(agents, size, b"alive"), "%s: no convergence" % binary)
        converged = time.monotonic() - begin
        time.sleep(calm)
        cpu, switches = cpu_seconds(agents), [a.switches() for a in agents]
        begin = time.monotonic()
        time.sleep(seconds)
        passed = time.monotonic() - begin
        result = {
            "convergence (s)": converged,
            "idle CPU of all (ms / s)": 1e3 * (cpu_seconds(agents) - cpu) / passed,
            "context switches of all / s":
                sum(a.switches_since(s) for a, s in zip(agents, switches)) / passed,
            "resident memory of one (MiB)": statistics.median(a.resident_mib() for a in agents)}
        # The time of the next probe is random, so this takes the mean of several.
        begin = time.monotonic()
        for count in range(1, killed + 1):
            agents.pop().stop()
            wait_until(lambda: all_see(agents, count, b"failed"), "%s: no detection" % binary)
        result["detection of a killed agent by all (s)"] = (time.monotonic() - begin) / killed
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
                sock.send(ping(seq, "pinged"))
                flying += 1
            try:
                sock.recv(65536)
                answered += 1
                flying -= 1
            except socket.timeout:
                flying = 0  # the other pings were lost
        return {"CPU per answered ping (us)": 1e6 * (agent.cpu_seconds() - cpu) / answered}
    finally:
        sock.close()
        agent.stop()


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
                sock.send(ping(seq, self.agent.name))
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
        return {"longest wait of a ping (ms)": waits[-1],
                "99 % of the pings wait at most (ms)": waits[len(waits) * 99 // 100],
                "CPU (ms / s)": 1e3 * used / seconds}
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
        return {"wall time of `serf members` (ms)": statistics.median(times)}
    finally:
        agent.stop()


def make_members(agent, count):
    """Makes the agent know so many members at a port where nobody listens."""
    port = free_ports(1)[0]
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        for first in range(0, count, 10):
            parts = [alive("made-up-%d" % i, port) for i in range(first, min(first + 10, count))]
            sock.sendto(compound(parts), (HERE, agent.port))
            time.sleep(0.002)
    wait_until(lambda: agent.count() == count + 1, "%s: made-up members" % agent.binary)


def measure_snapshot(binary, members=5000):
    folder = tempfile.mkdtemp()
    agent = Agent(binary, "writer", more=["-snapshot", os.path.join(folder, "snapshot")])
    try:
        cpu = agent.cpu_seconds()
        make_members(agent, members)
        time.sleep(2)  # both write behind
        return {"CPU per member learned and recorded (us)":
                    1e6 * (agent.cpu_seconds() - cpu) / members}
    finally:
        agent.stop()
        shutil.rmtree(folder)
