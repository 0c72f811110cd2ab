"""Serf's RPC, as a client that is quicker than the agents that it measures.

  rpc = Rpc(port)
  header, body = rpc.call("stats", None, 2)
  rpc.sock.sendall(event_request(seq, number))   # packed before, sent when it is time
"""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from message_pack import pack, unpack, unpack_list  # noqa: E402

HERE = "127.0.0.1"
# The bytes before the end of each member, in the order of all programs. Nobody has tags: one byte.
LAST_KEY = b"\xa4Tags"


class Closed(OSError):
    """The agent closed the connection."""


class Rpc:
    def __init__(self, port):
        self.sock = socket.create_connection((HERE, port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data, self.seq = b"", 0
        self.call("handshake", {"Version": 1}, 1)

    def close(self):
        self.sock.close()

    def send(self, command, body, seq):
        self.sock.sendall(request(command, body, seq))

    def receive(self):
        piece = self.sock.recv(1 << 20)
        if not piece:
            raise Closed("the agent closed an RPC connection")
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


def request(command, body, seq):
    return pack({"Command": command, "Seq": seq}) + (pack(body) if body is not None else b"")


def marked(number, size=0):
    """The payload of event `number`: "<number>", filled up to `size` bytes."""
    digits = b"%d" % number
    return b"<" + digits.rjust(max(0, size - 2), b"0") + b">"


def event_request(seq, number, size=0):
    return request("event", {"Name": "bench", "Payload": marked(number, size), "Coalesce": False},
                   seq)


def query_request(seq, acks=True, timeout_seconds=0.0, finish_early=False):
    """Go Serf skips the field FinishEarly."""
    body = {"Name": "bench", "RequestAck": acks, "Timeout": int(timeout_seconds * 1e9),
            "Payload": b"x", "FilterNodes": None, "FilterTags": None, "RelayFactor": 0}
    if finish_early:
        body["FinishEarly"] = True
    return request("query", body, seq)


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


# --- gossip that the script itself sends --------------------------------------------------------

def ping(seq, name):
    return b"\x00" + pack({"SeqNo": seq, "Node": name})


def alive(name, port):
    return b"\x04" + pack({"Incarnation": 1, "Node": name, "Addr": socket.inet_aton(HERE),
                           "Port": port, "Meta": b"\xff\x80", "Vsn": bytes([1, 5, 2, 2, 5, 5])})


def compound(parts):
    return b"\x07" + bytes([len(parts)]) + b"".join(struct.pack(">H", len(p)) for p in parts) + \
        b"".join(parts)


def costly_query(number):
    """A query whose filter takes some milliseconds to judge, each time another one."""
    unit = "".join(("a", "?", "b", "?"))
    expression = "(%s){%d}c" % (unit, 60 + number % 100)
    tag_filter = b"\x01" + pack({"Tag": "role", "Expr": expression})
    return b"\x08\x04" + pack({
        "LTime": 100 + number, "ID": number, "Addr": socket.inet_aton(HERE), "Port": 1,
        "SourceNode": "", "Filters": [tag_filter] * 10, "Flags": 0, "RelayFactor": 0,
        "Timeout": 15 * 10**9, "Name": "bench", "Payload": b""})
