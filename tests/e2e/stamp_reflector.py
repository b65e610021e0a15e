# SPDX-License-Identifier: Apache-2.0
"""A device for tests: stamp_reflector.py MODE NODE PORT DEVICE KEY. It registers with a telemetryd and is a
STAMP reflector, made after the RFCs alone, that checks every byte of the probes. MODE: full, authenticated,
protected (all stateful, the last two with HMAC TLVs), plain (answers with base packets), echo (takes TLVs for padding), hostile (gets
everything wrong, in turn)."""
import hashlib
import hmac
import os
import select
import socket
import struct
import sys
import time
import uuid

mode, node, port, device, key = sys.argv[1:]
node, device, key = (node, int(port)), uuid.UUID(device).bytes, bytes.fromhex(key)
authenticated = mode == "authenticated"
protected = mode in ("authenticated", "protected")
stateful = protected or mode == "full"
BASE = 112 if authenticated else 44
EF, CS1, WAIT = 46, 8, 0.04
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((node[0], 0))
sock.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
realm, counter = bytes(8), 0
received = transmitted = 0
last_t3 = None


def mac(data):
    return hmac.new(key, data, hashlib.sha256).digest()[:16]


def ntp(t):
    return int((t + 2208988800) * 2**32).to_bytes(8, "big")


def tlv(kind, value, flags=0):
    return struct.pack("!BBH", flags, kind, len(value)) + value


def register():
    global counter
    counter += 1
    m = struct.pack("!4sBBH", b"TGRG", 1, 1, 0) + device + struct.pack("!Q", counter) + realm
    m += struct.pack("!IQ", 1000, 0)
    sock.sendto(m + hmac.new(key, m, hashlib.sha512).digest()[:32], node)


def registered(data):
    """An ANSWER: with "repeat" it tells the realm to use, and the highest counter."""
    global realm, counter
    assert hmac.new(key, data[:52], hashlib.sha512).digest()[:32] == data[52:]
    realm = data[32:40]
    if data[6:8] == b"\0\1":
        counter = max(counter, int.from_bytes(data[44:52], "big"))
        register()


def check_probe(data, tos):
    """Returns sequence number, time and error of a probe whose every byte is as it has to be."""
    sequence = int.from_bytes(data[:4], "big")
    if authenticated:
        t1, error = data[16:24], data[24:26]
        assert data[4:16] == bytes(12) and data[28:96] == bytes(68)
        assert mac(data[:96]) == data[96:112]
    else:
        t1, error = data[4:12], data[12:14]
        assert data[16:44] == bytes(28)
    assert tos == EF << 2, tos
    asked = [
        tlv(4, struct.pack("!HH", EF << 10, 0), 0x80),
        tlv(3, bytes(4), 0x80),
        tlv(5, struct.pack("!III", sequence + 1, 0, 0), 0x80),
        tlv(2, bytes(4) + tlv(1, bytes(8), 0x80) + tlv(4, bytes(16), 0x80) + tlv(7, bytes(16), 0x80),
            0x80),
        tlv(6, bytes([0x20, 1, 0, 0]), 0x80),
        tlv(7, bytes(16), 0x80),
    ]
    asked = b"".join(asked)
    if protected:
        asked += tlv(8, mac(data[:4] + asked), 0x80)
    asked += struct.pack("!BBH", 0x80, 1, 33)
    assert data[BASE:BASE + len(asked)] == asked, (data[BASE:].hex(), asked.hex())
    assert len(data) == BASE + len(asked) + 33 and data[-33:] != bytes(33)
    return sequence, t1, error


def base(number, sequence, t1, error, t2, t3):
    """A base answer."""
    if not authenticated:
        return struct.pack("!I8sHxx8sI8s2sxxB3x", number, t3, 0x8A01, t2, sequence, t1, error, 64)
    data = struct.pack("!I12x8sHxx4x8s8xI12x8s2s6xB15x", number, t3, 0x8A01, t2, sequence, t1, error, 64)
    return data + mac(data)


def told(number, sequence, peer, padding):
    """The TLVs' answers: it came marked as CS1, say, the clock is a PTP's, the device is behind a NAT."""
    follow_up = struct.pack("!I8sB3x", number - 1, last_t3, 2) if last_t3 else bytes(16)
    tlvs = b"".join([
        tlv(4, struct.pack("!HH", EF << 10 | CS1 << 4, 0)),
        tlv(3, bytes([2, 1, 5, 2])),
        tlv(5, struct.pack("!III", sequence + 1, received, transmitted)),
        tlv(2, struct.pack("!HH", 862, peer[1]) + tlv(3, bytes(8))
            + tlv(5, bytes([10, 0, 0, 7]) + bytes(12)) + tlv(8, socket.inet_aton(peer[0]) + bytes(12))),
        tlv(6, bytes([0x20, 1, 0, 0])),
        tlv(7, follow_up),
    ])
    if protected:
        tlvs += tlv(8, mac(struct.pack("!I", number) + tlvs))
    return tlvs + tlv(1, padding)


def spoilt(sequence, tlvs):
    """What a reflector that is broken or evil may send."""
    ways = [
        lambda t: bytes([0x40]) + t[1:],                                  # malformed
        lambda t: bytes([0x20]) + t[1:],                                  # a wrong HMAC
        lambda t: t[:2] + b"\xff\xff" + t[4:],                            # longer than there is
        lambda t: t[:1] + b"\x63" + t[2:],                                # another type
        lambda t: bytes(len(t)),
        lambda t: os.urandom(len(t)),
    ]
    return ways[sequence % len(ways)](tlvs)


def answer(data, tos, peer):
    global received, transmitted, last_t3
    t2 = ntp(time.time())
    sequence, t1, error = check_probe(data, tos)
    received += 1
    number = transmitted if stateful else sequence
    transmitted += 1
    t3 = ntp(time.time())
    tlvs = {"plain": b"", "echo": data[44:]}.get(mode)
    if tlvs is None:
        tlvs = told(number, sequence, peer, data[-33:])
    if mode == "hostile":
        tlvs = spoilt(sequence, tlvs)
    if stateful:
        time.sleep(WAIT)  # which T3 knows nothing of
    last_t3 = ntp(time.time())
    sock.sendto(base(number, sequence, t1, error, t2, t3) + tlvs, peer)


sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EF << 2)
register()
due = time.monotonic() + 0.5
while True:
    if time.monotonic() >= due:
        register()
        due = time.monotonic() + 0.5
    if not select.select([sock], [], [], max(0, due - time.monotonic()))[0]:
        continue
    packet, control, _, source = sock.recvmsg(2000, 100)
    if packet[:4] == b"TGRG" and len(packet) == 84:
        registered(packet)
    else:
        answer(packet, control[0][2][0] if control else 0, source)
