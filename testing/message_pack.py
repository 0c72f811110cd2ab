"""MessagePack, as much as the requests and replies of Serf's RPC need.

  pack({"Command": "event", "Seq": 1})
  value, end = unpack(data, 0)   # strings as bytes; IndexError if it is not all there yet
"""
import struct


def pack(value):
    if isinstance(value, dict):
        return bytes([0x80 | len(value)]) + b"".join(
            pack(k) + pack(v) for k, v in sorted(value.items()))
    if isinstance(value, (list, tuple)):
        assert len(value) < 16, value
        return bytes([0x90 | len(value)]) + b"".join(map(pack, value))
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        if len(value) < 32:
            return bytes([0xa0 | len(value)]) + value
        return b"\xda" + struct.pack(">H", len(value)) + value
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if value < 128:
            return bytes([value])
        if value < 65536:
            return b"\xcd" + struct.pack(">H", value)
        if value < 1 << 32:
            return b"\xce" + struct.pack(">I", value)
        return b"\xcf" + struct.pack(">Q", value)
    raise TypeError(value)


def unpack(data, at=0):
    """The value at `at`, strings as bytes, and its end; IndexError if it is not all there."""
    kind = data[at]
    at += 1
    if kind <= 0x7f:
        return kind, at
    if kind >= 0xe0:
        return kind - 256, at
    if kind in CONSTANTS:
        return CONSTANTS[kind], at
    if kind <= 0x8f:
        return unpack_map(data, at, kind & 15)
    if kind <= 0x9f:
        return unpack_list(data, at, kind & 15)
    if kind <= 0xbf:
        return unpack_bytes(data, at, kind & 31)
    if kind not in NUMBERS:
        raise ValueError("unexpected MessagePack byte %02x" % kind)
    layout, use = NUMBERS[kind]
    end = at + struct.calcsize(layout)
    if end > len(data):
        raise IndexError
    number, = struct.unpack_from(layout, data, at)
    return use(data, end, number) if use else (number, end)


def unpack_bytes(data, at, size):
    if at + size > len(data):
        raise IndexError
    return data[at:at + size], at + size


def unpack_list(data, at, size):
    values = []
    for _ in range(size):
        value, at = unpack(data, at)
        values.append(value)
    return values, at


def unpack_map(data, at, size):
    values, at = unpack_list(data, at, 2 * size)
    return dict(zip(values[::2], values[1::2])), at


CONSTANTS = {0xc0: None, 0xc2: False, 0xc3: True}
# First byte -> how the number behind it is stored, and what is of that size.
NUMBERS = {0xc4: (">B", unpack_bytes), 0xc5: (">H", unpack_bytes), 0xc6: (">I", unpack_bytes),
           0xca: (">f", None), 0xcb: (">d", None),
           0xcc: (">B", None), 0xcd: (">H", None), 0xce: (">I", None), 0xcf: (">Q", None),
           0xd0: (">b", None), 0xd1: (">h", None), 0xd2: (">i", None), 0xd3: (">q", None),
           0xd9: (">B", unpack_bytes), 0xda: (">H", unpack_bytes), 0xdb: (">I", unpack_bytes),
           0xdc: (">H", unpack_list), 0xdd: (">I", unpack_list),
           0xde: (">H", unpack_map), 0xdf: (">I", unpack_map)}
