# SPDX-License-Identifier: Apache-2.0
"""A STAMP sender for tests: stamp.py MODE ADDRESS PORT KEY PCAP. Writes the answers in the
unauthenticated mode to the end of PCAP, and what a decoder must read there to the output."""
import hashlib
import hmac
import socket
import struct
import sys
import time

mode, address, port, key, pcap = sys.argv[1:]
port, key = int(port), bytes.fromhex(key)
v6 = ":" in address
authenticated = mode == "authenticated"
stateful = mode in ("stateful", "authenticated")
SSID = 0xBEEF
ECN, DSCP, EF = 1, 8, 46
answers = []

sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
sock.connect((address, port))
sock.settimeout(20)
if v6:
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 77)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, DSCP << 2 | ECN)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
else:
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 77)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, DSCP << 2 | ECN)
    sock.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS


def mac(data):
    return hmac.new(key, data, hashlib.sha256).digest()[:16]


def ntp(t):
    return int((t + 2208988800) * 2**32).to_bytes(8, "big")


def tlv(kind, value, flags=0x80):
    return struct.pack("!BBH", flags, kind, len(value)) + value


def exchange(packet):
    """The answer, the DSCP with which it came, and the times between which it was made."""
    before = time.time()
    sock.send(packet)
    data, control, _, _ = sock.recvmsg(2000, 100)
    tos = [c[2][0] for c in control if c[1] in (1, 13, socket.IPV6_TCLASS)]
    return data, (tos[0] if tos else 0) >> 2, before, time.time()


def request(sequence, t1, tlvs=b"", protect=False):
    seq = struct.pack("!I", sequence)
    if protect:
        tlvs += tlv(8, mac(seq + tlvs))
    if authenticated:
        base = seq + bytes(12) + t1 + struct.pack("!HH", 0x8A01, SSID) + bytes(68)
        return base + mac(base) + tlvs
    return seq + t1 + struct.pack("!HH", 0x8A01, SSID) + bytes(28) + tlvs


def check_time(wire, before, after):
    # A second of slack: the kernel's times and Python's are not of one call.
    assert ntp(before - 1) <= wire <= ntp(after + 1), (wire, before, after)


def check_base(data, asked, sequence, t1, before, after, ssid=SSID, error=0x8A01):
    """Every byte of a base answer."""
    number = struct.pack("!I", sequence)
    if authenticated:
        assert mac(data[:96]) == data[96:112]
        assert data[0:4] == number and data[4:16] == bytes(12)
        t3, own_error, t2 = data[16:24], data[24:26], data[32:40]
        rest = data[26:32] + data[40:96]
        assert rest == struct.pack("!H4x8xI12x", ssid, asked) + t1 + struct.pack(
            "!H6xB15x", error, 77)
    else:
        assert data[0:4] == number
        t3, own_error, t2 = data[4:12], data[12:14], data[16:24]
        rest = data[14:16] + data[24:44]
        assert rest == struct.pack("!HI", ssid, asked) + t1 + struct.pack("!H2xB3x", error, 77)
        answers.append(data)
        print(sequence, int.from_bytes(own_error, "big"), asked, error, 77)
    assert own_error[0] & 0x40 == 0 and own_error[1] > 0
    check_time(t2, before, after)
    check_time(t3, before, after)
    assert t2 <= t3


def ip(a):
    if v6:
        return socket.inet_pton(socket.AF_INET6, a)
    return socket.inet_pton(socket.AF_INET, a) + bytes(12)


def check_tlvs():
    """Asks for all there is, and checks all that comes back."""
    hidden = mode == "protected"
    permitted = mode in ("stateful", "authenticated")
    protect = authenticated or hidden
    ours = sock.getsockname()
    ports = struct.pack("!HH", port, ours[1])
    asked_ip = [tlv(4, bytes(16)), tlv(7, bytes(16))]
    told_ip = [tlv(6 if v6 else 5, ip(address), 0), tlv(9 if v6 else 8, ip(ours[0]), 0)]
    if hidden:
        ports, told_ip = bytes(4), [tlv(5, bytes(16), 0), tlv(8, bytes(16), 0)]
    asked = [
        tlv(1, b"padding"),
        tlv(2, bytes(4) + tlv(1, bytes(8)) + b"".join(asked_ip)),
        tlv(3, bytes(4)),
        tlv(4, struct.pack("!HH", EF << 10, 0)),
        tlv(5, struct.pack("!III", 3, 0, 0)),
        tlv(6, bytes([0x10, 1, 0, 0])),
        tlv(99, b"unknown"),
        tlv(7, bytes(16)),
    ]
    t1 = ntp(time.time())
    data, dscp, before, after = exchange(request(2, t1, b"".join(asked), protect))
    check_base(data, 2, 2, t1, before, after)
    source = 1 if data[24 if authenticated else 12] & 0x80 else 5
    refused = 0 if permitted else 1
    told = [
        tlv(1, b"padding", 0),
        tlv(2, ports + tlv(3, bytes(8), 0) + b"".join(told_ip), 0),
        tlv(3, bytes([source, 2, source, 2]), 0),
        tlv(4, struct.pack("!HH", EF << 10 | DSCP << 4 | ECN << 2 | refused, 0), 0),
        tlv(5, struct.pack("!III", 3, *((3, 3) if stateful else (0, 0))), 0 if stateful else 0x80),
        tlv(6, bytes([0x10, 1, 0, 0]), 0),
        tlv(99, b"unknown", 0x80),
    ]
    tlvs = data[112 if authenticated else 44:]
    told = b"".join(told)
    assert tlvs[:len(told)] == told, (tlvs[:len(told)].hex(), told.hex())
    follow_up = tlvs[len(told):len(told) + 20]
    assert follow_up[:4] == bytes([0, 7, 0, 16])
    if stateful:
        assert follow_up[4:8] == struct.pack("!I", 1)
        check_time(follow_up[8:16], before - 600, after)
        assert follow_up[16:] == bytes([2, 0, 0, 0])
    else:
        assert follow_up[4:] == bytes(16)
    rest = tlvs[len(told) + 20:]
    covered = data[:4] + tlvs[:len(told) + 20]
    assert rest == (tlv(8, mac(covered), 0) if protect else b"")
    assert dscp == (EF if permitted else DSCP)


def check_unprotected():
    """TLVs without the HMAC that they need are marked and not used."""
    t1 = ntp(time.time())
    data, dscp, before, after = exchange(request(3, t1, tlv(4, struct.pack("!HH", EF << 10, 0))))
    check_base(data, 3, 3, t1, before, after)
    assert data[-8:] == tlv(4, struct.pack("!HH", EF << 10, 0), 0x20)
    assert dscp == DSCP


def check_light():
    """TWAMP-Light's packets, padded less and more than STAMP's are."""
    for sequence, size in ((3, 14), (4, 27), (5, 41), (6, 44), (7, 1400)):
        t1 = ntp(time.time())
        head = struct.pack("!I", sequence) + t1 + struct.pack("!H", 0x8A01)
        data, _, before, after = exchange(head + bytes(size - len(head)))
        check_base(data, sequence, sequence, t1, before, after, ssid=0)
        assert len(data) == max(size, 44)


def check_refused():
    """What gets no answer: the next one that comes belongs to a good request."""
    t1 = ntp(time.time())
    good = request(4, t1)
    sock.send(good[:-1] + bytes([good[-1] ^ 1]))
    sock.send(good[:44])
    data, _, before, after = exchange(good)
    check_base(data, 4, 4, t1, before, after)


def write_pcap():
    """The answers as a node got them on port 862, in packets without a link layer."""
    with open(pcap, "ab") as f:
        if f.tell() == 0:
            f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for data in answers:
            udp = struct.pack("!HHHH", 862, 862, 8 + len(data), 0) + data
            packet = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                                 b"\x7f\0\0\1", b"\x7f\0\0\1") + udp
            f.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)


for n in range(2):
    start = ntp(time.time())
    reply, _, early, late = exchange(request(n, start))
    assert len(reply) == (112 if authenticated else 44)
    check_base(reply, n, n, start, early, late)
check_tlvs()
if mode in ("authenticated", "protected"):
    check_unprotected()
if mode == "light":
    check_light()
elif mode == "authenticated":
    check_refused()
write_pcap()
sock.close()
