"""A network of hosts on one machine whose links can be made bad.

  network = Network(["a", "b"])      # hosts 10.77.0.1 and 10.77.0.2, each a network namespace
  network.run_in("a", ["serf", "agent", ...])
  network.links(loss=0.2, latency=0.03)
  network.cut([("a", "b")])          # what a sends does not reach b
  network.close()

Each host has a TUN device, and one process, the switch, carries the packets between them, so that
nothing but Linux and Python is needed: no netem, no iproute2. The packets are whole IP packets with
correct checksums, TCP and UDP alike. Needs root, or the right to make user namespaces.
"""
import collections
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_PDEATHSIG = 1
TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 1, 0x1000
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS = 0x8916, 0x891c, 0x8914
IFF_UP, IFF_RUNNING = 1, 0x40

PACKET_MAX = 65536
# Packets that wait behind a slow link; a router's queue is about as long.
QUEUE_MAX = 200

libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def unshare(flags):
    check(libc.unshare(flags))


def setns(fd, kind):
    check(libc.setns(fd, kind))


def mount(source, target, kind, flags=0, data=None):
    check(libc.mount(source.encode(), target.encode(), kind.encode(), flags,
                     data.encode() if data else None))


def become_root():
    """Lets a user who is not root make namespaces. Before the first thread."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        return
    unshare(CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid),
                       ("gid_map", "0 %d 1" % gid)):
        with open("/proc/self/" + name, "w") as file:
            file.write(text)


def configure(name, address, mask):
    """Gives an interface its address and starts it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        def call(request, payload):
            fcntl.ioctl(sock, request, struct.pack("16s", name.encode()) + payload.ljust(24, b"\0"))

        def ip(text):
            return struct.pack("HH4s", socket.AF_INET, 0, socket.inet_aton(text))

        if address:
            call(SIOCSIFADDR, ip(address))
            call(SIOCSIFNETMASK, ip(mask))
        call(SIOCSIFFLAGS, struct.pack("H", IFF_UP | IFF_RUNNING))


def open_tun():
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"net0", IFF_TUN | IFF_NO_PI))
    return fd


class Host:
    """A network namespace and a mount namespace, kept by a process that does nothing."""

    def __init__(self, name, address):
        self.name, self.address = name, address
        ours, theirs = socket.socketpair()
        self.keeper = os.fork()
        if self.keeper == 0:
            try:
                die_with_parent()
                os.setsid()
                unshare(CLONE_NEWNET | CLONE_NEWNS)
                mount("none", "/", "none", MS_REC | MS_PRIVATE)
                configure("lo", None, None)
                fd = open_tun()
                configure("net0", address, "255.255.255.0")
                socket.send_fds(theirs, [b"+"], [fd])
                os.close(fd)
                signal.pause()  # until the parent ends this process, or ends itself
            except OSError as error:
                theirs.send(b"-" + str(error).encode())
            finally:
                os._exit(0)
        theirs.close()
        with ours:
            answer, fds, _, _ = socket.recv_fds(ours, 200, 1)
        if answer[:1] != b"+":
            raise OSError("host %s: %s" % (name, answer[1:].decode()))
        self.tun = fds[0]
        self.namespaces = [(os.open("/proc/%d/ns/%s" % (self.keeper, what), os.O_RDONLY), kind)
                           for what, kind in (("net", CLONE_NEWNET), ("mnt", CLONE_NEWNS))]

    def enter(self):
        """Moves the calling process, which a child's is before it executes a program."""
        die_with_parent()
        for fd, kind in self.namespaces:
            setns(fd, kind)

    def close(self):
        os.kill(self.keeper, signal.SIGKILL)
        os.waitpid(self.keeper, 0)
        for fd, _ in self.namespaces:
            os.close(fd)


class Switch:
    """Carries packets between the hosts' devices. Runs in a process of its own."""

    def __init__(self, hosts, commands, seed):
        self.tuns = [host.tun for host in hosts]
        self.index = {socket.inet_aton(host.address): i for i, host in enumerate(hosts)}
        self.commands = commands
        self.random = random.Random(seed)
        self.rule = {"loss": 0, "duplication": 0, "reordering": 0, "latency": 0, "jitter": 0,
                     "rate": 0}
        self.cuts = set()
        self.waiting = []  # (when, number, to, packet)
        self.number = 0
        self.free_at = [0.0] * len(hosts)  # when a sender's slow link has sent everything
        self.queued = [0] * len(hosts)
        self.last = collections.defaultdict(float)  # (from, to): the arrival of the newest packet
        self.counts = collections.Counter()

    def run(self):
        poll = select.poll()
        for fd in [*self.tuns, self.commands.fileno()]:
            poll.register(fd, select.POLLIN)
        by_fd = {fd: i for i, fd in enumerate(self.tuns)}
        while True:
            timeout = None
            if self.waiting:
                timeout = max(0, 1000 * (self.waiting[0][0] - time.monotonic()))
            for fd, _ in poll.poll(timeout):
                if fd not in by_fd:
                    if not self.obey():
                        return
                    continue
                self.drain(by_fd[fd])
            self.deliver()

    def obey(self):
        data = self.commands.recv(PACKET_MAX)
        if not data:
            return False
        command = json.loads(data)
        if "rule" in command:
            self.rule.update(command["rule"])
        if "cuts" in command:
            self.cuts = {tuple(pair) for pair in command["cuts"]}
        self.commands.send(json.dumps(self.counts).encode())
        return True

    def drain(self, sender):
        for _ in range(64):
            try:
                packet = os.read(self.tuns[sender], PACKET_MAX)
            except OSError:
                return
            # IPv4 only: 16 to 19 are the destination.
            receiver = self.index.get(packet[16:20]) if packet[:1] and packet[0] >> 4 == 4 else None
            if receiver is not None:
                self.carry(sender, receiver, packet)

    def carry(self, sender, receiver, packet):
        rule, chance = self.rule, self.random.random
        if (sender, receiver) in self.cuts:
            self.counts["cut"] += 1
            return
        if chance() < rule["loss"]:
            self.counts["lost"] += 1
            return
        now = time.monotonic()
        at = now
        if rule["rate"]:
            if self.queued[sender] >= QUEUE_MAX:
                self.counts["overflowed"] += 1
                return
            at = max(now, self.free_at[sender]) + len(packet) / rule["rate"]
            self.free_at[sender] = at
            if at - now > 0.001:
                self.counts["slowed"] += 1
        at += rule["latency"] + rule["jitter"] * chance()
        if chance() < rule["reordering"]:
            self.counts["reordered"] += 1
        else:
            # Jitter alone must not let a packet overtake another one.
            at = max(at, self.last[sender, receiver])
            self.last[sender, receiver] = at
        self.counts["carried"] += 1
        copies = 1
        if chance() < rule["duplication"]:
            self.counts["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            self.number += 1
            self.queued[sender] += 1
            heapq.heappush(self.waiting, (at, self.number, sender, receiver, packet))

    def deliver(self):
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= now:
            _, _, sender, receiver, packet = heapq.heappop(self.waiting)
            self.queued[sender] -= 1
            try:
                os.write(self.tuns[receiver], packet)
            except OSError:
                self.counts["refused"] += 1


class Network:
    def __init__(self, names, seed=0):
        self.hosts = {}
        self.process = None
        try:
            for i, name in enumerate(names):
                self.hosts[name] = Host(name, "10.77.0.%d" % (i + 1))
            self._start_switch(seed)
        except BaseException:
            self.close()
            raise
        self.numbers = {name: i for i, name in enumerate(names)}

    def _start_switch(self, seed):
        self.commands, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self.process = os.fork()
        if self.process == 0:
            try:
                die_with_parent()
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                self.commands.close()
                Switch(list(self.hosts.values()), theirs, seed).run()
            finally:
                os._exit(0)
        theirs.close()
        for host in self.hosts.values():
            os.close(host.tun)

    def _tell(self, **command):
        """Commands the switch, and returns what it has counted."""
        self.commands.send(json.dumps(command).encode())
        return collections.Counter(json.loads(self.commands.recv(PACKET_MAX)))

    def links(self, **rule):
        """Sets what all links do from now on.

        loss, duplication, reordering: shares of the packets. latency, jitter: seconds. rate: bytes
        per second of each sender, zero is without limit."""
        self._tell(rule=rule)

    def cut(self, pairs):
        """Cuts these one-way links, and no others any more."""
        self._tell(cuts=[(self.numbers[a], self.numbers[b]) for a, b in pairs])

    def partition(self, groups):
        self.cut([(a, b) for g in groups for h in groups if g is not h for a in g for b in h])

    def heal(self):
        self.links(loss=0, duplication=0, reordering=0, latency=0, jitter=0, rate=0)
        self.cut([])

    def counts(self):
        return self._tell()

    def run_in(self, name, args, **options):
        return subprocess.Popen(args, preexec_fn=self.hosts[name].enter, **options)

    def connect(self, name, port, timeout=5):
        """A TCP connection to a port of the host's loopback, made from within the host."""
        result = []

        def within():
            try:
                setns(self.hosts[name].namespaces[0][0], CLONE_NEWNET)
                result.append(socket.create_connection(("127.0.0.1", port), timeout))
            except OSError as error:
                result.append(error)

        # A thread has its own network namespace, which ends with it.
        thread = threading.Thread(target=within)
        thread.start()
        thread.join()
        if isinstance(result[0], OSError):
            raise result[0]
        return result[0]

    def close(self):
        if self.process:
            self.commands.close()
            os.waitpid(self.process, 0)
        for host in self.hosts.values():
            host.close()
