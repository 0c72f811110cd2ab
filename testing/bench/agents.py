"""Agents under test, alone and as clusters, and what the kernel says of them.

  agents = start_cluster([binary] * 3)
  used = cpu_seconds(agents)
  stop_all(agents)

Everything is on loopback. Figures are the kernel's: the processor's time, resident memory and
context switches of all threads of a process, from its CPU clock and /proc/PID.
"""
import os
import signal
import socket
import subprocess
import time

from rpc_client import HERE, Rpc

DEADLINE_SECONDS = 120
ATTEMPTS = 3  # to start an agent
# AES with 32 bytes, as the documentation of Go Serf asks for.
KEY = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="


class Failure(Exception):
    """A load could not be measured with this program."""


class EndedAtOnce(Failure):
    """The agent ended before it listened."""


def wait_until(condition, complaint, seconds=DEADLINE_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(complaint)
        time.sleep(0.02)


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
        self.binary, self.name = binary, name
        for attempt in range(ATTEMPTS):
            try:
                self._start(join, profile, more)
                return
            except EndedAtOnce:  # perhaps another process has got one of its ports meanwhile
                if attempt + 1 == ATTEMPTS:
                    raise

    def _start(self, join, profile, more):
        binary, name = self.binary, self.name
        self.port, self.rpc_port = free_ports(2)
        args = [binary, "agent", "-node", name, "-bind", "%s:%d" % (HERE, self.port), "-rpc-addr",
                "%s:%d" % (HERE, self.rpc_port), "-profile", profile, "-log-level", "err"]
        if join is not None:
            args += ["-retry-join", "%s:%d" % (HERE, join.port), "-retry-interval", "1s"]
        args += more
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        stdin=subprocess.DEVNULL)
        self.rpc = None
        try:
            wait_until(self._listens, "agent %s of %s did not start" % (name, binary))
        except BaseException:
            self.stop()
            raise

    def _listens(self):
        if self.process.poll() is not None:
            raise EndedAtOnce("%s agent ended at once with %d" %
                              (self.binary, self.process.returncode))
        try:
            self.rpc = Rpc(self.rpc_port)
            return True
        except OSError:
            return False

    def stop(self):
        if self.rpc is not None:
            self.rpc.close()
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
        """The context switches of each thread that runs."""
        counts = {}
        for task in os.listdir("/proc/%d/task" % self.process.pid):
            with open("/proc/%d/task/%s/status" % (self.process.pid, task)) as file:
                counts[task] = sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        return counts

    def switches_since(self, earlier):
        """The switches since switches() gave `earlier`, without those of threads that ended."""
        return sum(count - earlier.get(task, 0) for task, count in self.switches().items())

    def statuses(self):
        """The states of the members as this agent sees them."""
        _, body = self.rpc.call("members", None, 2)
        return [member[b"Status"] for member in body[b"Members"]]

    def count(self):
        """The number of members that it knows, which costs the agent less than a list."""
        _, body = self.rpc.call("stats", None, 2)
        return int(body[b"serf"][b"members"])


def cpu_seconds(agents):
    return sum(agent.cpu_seconds() for agent in agents)


def all_see(agents, count, status):
    """True if each agent lists so many members in that state."""
    return all(a.statuses().count(status) == count for a in agents)


def start_cluster(binaries, profile="lan", encrypted=False):
    """Starts an agent of each of these programs, until they all know each other."""
    more = ["-encrypt", KEY] if encrypted else []
    agents = []
    try:
        for i, binary in enumerate(binaries):
            agents.append(Agent(binary, "node%d" % i, agents[0] if agents else None, profile, more))
        for agent in agents:
            wait_until(lambda: agent.count() == len(binaries),
                       "%s: no convergence" % agent.binary)
        return agents
    except BaseException:
        stop_all(agents)
        raise


def stop_all(agents):
    for agent in agents:
        agent.stop()
