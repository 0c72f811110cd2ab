"""Agents on the hosts of a network, and the reports of each over its RPC connection."""
import os
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from message_pack import pack, unpack  # noqa: E402
from network import mount  # noqa: E402

GOSSIP_PORT = 7946
RPC_PORT = 7373
START_SECONDS = 20
# Large enough for a snapshot, a keyring and tags; a filler takes the rest.
DISK = "size=512k"
# Texts that no agent may ever write to its log.
FATAL_WORDS = (b"panic:", b"fatal error:", b"FATAL", b"Check failed", b"Sanitizer", b"goroutine 1")


class Rpc:
    """A connection whose replies and records a thread reads."""

    def __init__(self, sock, on_event):
        self.sock, self.on_event = sock, on_event
        self.seq = 0
        self.waiting = {}  # seq -> [has a body, Event, reply]
        self.queries = {}  # seq -> function of a record
        self.lock = threading.Lock()
        self.closed = False
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._read, daemon=True).start()

    def _send(self, command, body, has_body=None, record=None):
        with self.lock:
            self.seq += 1
            seq = self.seq
            entry = [has_body, threading.Event(), None]
            self.waiting[seq] = entry
            if record:
                self.queries[seq] = record
            data = pack({"Command": command, "Seq": seq})
            try:
                self.sock.sendall(data + (pack(body) if body is not None else b""))
            except OSError:
                entry[1].set()
        return entry

    def call(self, command, body=None, has_body=False, timeout=10, record=None):
        """The reply: (error text, body); None if there is none in time."""
        entry = self._send(command, body, has_body, record)
        entry[1].wait(timeout)
        return entry[2]

    def send(self, command, body):
        """Sends as call() does, and ignores the reply and everything after it."""
        self._send(command, body, record=lambda _: None)

    def _read(self):
        data = b""
        try:
            while True:
                piece = self.sock.recv(1 << 16)
                if not piece:
                    break
                data += piece
                at = 0
                while True:
                    try:
                        at = self._take(data, at)
                    except IndexError:
                        break
                data = data[at:]
        except OSError:
            pass
        self.closed = True
        for entry in list(self.waiting.values()):
            entry[1].set()

    def _take(self, data, at):
        header, at = unpack(data, at)
        seq, error = header[b"Seq"], header[b"Error"].decode(errors="replace")
        entry = self.waiting.get(seq)
        if entry:
            body = None
            # An error reply has its body too, except where nothing was found.
            if entry[0] and (not error or entry[0] == "always"):
                body, at = unpack(data, at)
            del self.waiting[seq]
            entry[2] = (error, body)
            entry[1].set()
            return at
        body, at = unpack(data, at)
        if seq in self.queries:
            self.queries[seq](body)
        else:
            self.on_event(body)
        return at

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Agent:
    """One name, through all its lives."""

    def __init__(self, network, name, binary, directory, key, history):
        self.network, self.name, self.binary, self.history = network, name, binary, history
        self.host = network.hosts[name]
        self.directory = os.path.join(directory, name)
        self.log = os.path.join(directory, name + ".log")
        self.clock = os.path.join(directory, name + ".clock")
        self.key = key
        self.process = self.rpc = None
        self.life = 0
        self.stopped = False
        self.disk_full = False
        self.must_end = False  # the test made it leave, or killed it
        self.preload = None
        os.mkdir(self.directory)
        self._on_host(lambda: mount("tmpfs", self.directory, "tmpfs", data=DISK))
        self.write_file("keyring.json", '["%s"]' % key)
        self.step_clock(0)

    # --- the host's disk and clock ---

    def _on_host(self, action):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                self.host.enter()
                action()
                status = 0
            finally:
                os._exit(status)
        if os.waitpid(child, 0)[1] != 0:
            raise OSError("host %s: preparing it failed" % self.name)

    def _seen_from_here(self, name):
        return "/proc/%d/root%s/%s" % (self.host.keeper, self.directory, name)

    def write_file(self, name, text):
        with open(self._seen_from_here(name), "w") as file:
            file.write(text)

    def fill_disk(self):
        self.disk_full = True
        try:
            with open(self._seen_from_here("filler"), "wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
        except OSError:
            pass

    def empty_disk(self):
        self.disk_full = False
        try:
            os.unlink(self._seen_from_here("filler"))
        except FileNotFoundError:
            pass

    def step_clock(self, seconds):
        """Moves the wall clock of running and later lives; possible for our agents only."""
        # Written in place, because the agents have the file mapped.
        fd = os.open(self.clock, os.O_RDWR | os.O_CREAT, 0o644)
        os.pwrite(fd, int(seconds).to_bytes(8, "little", signed=True), 0)
        os.close(fd)

    # --- its lives ---

    def start(self, others):
        args = [self.binary, "agent", "-node=" + self.name,
                "-bind=%s:%d" % (self.host.address, GOSSIP_PORT),
                "-rpc-addr=127.0.0.1:%d" % RPC_PORT,
                "-snapshot=" + os.path.join(self.directory, "snapshot"),
                "-keyring-file=" + os.path.join(self.directory, "keyring.json"),
                "-tags-file=" + os.path.join(self.directory, "tags.json"),
                "-retry-interval=3s", "-log-level=info", "-rejoin"]
        args += ["-retry-join=" + other.host.address for other in others if other is not self]
        environment = dict(os.environ)
        if self.preload:
            environment.update(LD_PRELOAD=self.preload, CLOCK_STEP_FILE=self.clock)
        self.life += 1
        self.must_end = self.stopped = False
        with open(self.log, "ab") as log:
            log.write(b"--- life %d\n" % self.life)
            log.flush()
            self.process = self.network.run_in(self.name, args, stdin=-3, stdout=log, stderr=log,
                                               env=environment)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.rpc = Rpc(self.network.connect(self.name, RPC_PORT), self._on_event)
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
        self.rpc.call("handshake", {"Version": 1})
        reply = self.rpc.call("stream", {"Type": "*"})
        return reply is not None and not reply[0]

    def _on_event(self, body):
        kind = body[b"Event"].decode()
        if kind == "query" and not body[b"Name"].startswith(b"_"):
            self.rpc.send("respond", {"ID": body[b"ID"], "Payload": self.name})
        self.history.on_record(self, kind, body)

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def answers(self):
        return self.is_up() and not self.stopped and not self.must_end and not self.rpc.closed

    def stop(self):
        self.stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)
        self.stopped = False

    def kill(self):
        self.must_end = True
        self.process.kill()
        self.process.wait()

    def leave(self):
        self.must_end = True
        self.rpc.send("leave", None)

    def end(self):
        if self.is_up():
            self.kill()
        if self.rpc:
            self.rpc.close()

    def members(self):
        """{name: (status, tags)} as it sees them, or None."""
        reply = self.rpc.call("members", None, True)
        if not reply or reply[1] is None:
            return None
        return {m[b"Name"].decode(): (m[b"Status"].decode(), tuple(sorted(m[b"Tags"].items())))
                for m in reply[1][b"Members"]}

    def event_time(self):
        """Its Lamport clock of user events, or None."""
        reply = self.rpc.call("stats", None, True)
        return reply and reply[1] and int(reply[1][b"serf"][b"event_time"])

    def has_joined(self):
        """True if the join of its start has ended.

        From then on it asks for events: earlier ones are old, and may not be delivered."""
        with open(self.log, "rb") as file:
            return b"Join completed" in file.read().rpartition(b"--- life")[2]

    def resident_mib(self):
        with open("/proc/%d/statm" % self.process.pid) as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

    def fatal_lines(self):
        with open(self.log, "rb") as file:
            return [line.decode(errors="replace").strip() for line in file
                    if any(word in line for word in FATAL_WORDS)]
