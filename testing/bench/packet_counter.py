"""How many packets reach a UDP port of the loopback device, counted by the kernel.

  with PacketCounter(port) as counter:
      ...
      counter.take()   # since the last call

The filter counts, and nobody reads the packets: whoever looks on costs the receiver nothing. Needs
root, or the right to make user namespaces; then the script calls become_able() first.
"""
import ctypes
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../chaos"))
import network  # noqa: E402

SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_ATTACH_FILTER = 26
ETH_P_IP = 0x0800
PACKET_TYPE = 0xfffff004  # SKF_AD_OFF + SKF_AD_PKTTYPE
RECEIVED = 0  # PACKET_HOST; on loopback each packet is also seen as one that is sent
LOAD_BYTE, LOAD_HALF, LOAD_HALF_INDEXED, IP_HEADER_LENGTH = 0x30, 0x28, 0x48, 0xb1
JUMP_IF_EQUAL, RETURN = 0x15, 0x06


def filter_of(port):
    """A classic BPF program that accepts received UDP packets to this port."""
    return b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (LOAD_HALF, 0, 0, PACKET_TYPE), (JUMP_IF_EQUAL, 0, 6, RECEIVED),
        (LOAD_BYTE, 0, 0, 9), (JUMP_IF_EQUAL, 0, 4, socket.IPPROTO_UDP),
        (IP_HEADER_LENGTH, 0, 0, 0), (LOAD_HALF_INDEXED, 0, 0, 2), (JUMP_IF_EQUAL, 0, 1, port),
        (RETURN, 0, 0, 0xffff), (RETURN, 0, 0, 0)))


class PacketCounter:
    def __init__(self, port):
        program = ctypes.create_string_buffer(filter_of(port))
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack(
            "HL", len(program) // 8, ctypes.addressof(program)))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
        self.sock.bind(("lo", 0))
        self.take()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def take(self):
        """The packets since the last call, those that found the socket's buffer full included."""
        packets, _ = struct.unpack("II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return packets


def become_able():
    """If the process may not count, moves it to a network of its own. Before the first thread."""
    try:
        PacketCounter(0).sock.close()
    except PermissionError:
        network.become_root()
        network.unshare(network.CLONE_NEWNET)
        network.configure("lo", None, None)
