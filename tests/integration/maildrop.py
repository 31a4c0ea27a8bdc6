"""Files of the maildrop as docs/FORMATS.md describes them, written without the code under test."""

import os
import struct

_TABLE = []
for _octet in range(256):
    _value = _octet
    for _ in range(8):
        _value = _value >> 1 ^ (0x82F63B78 if _value & 1 else 0)
    _TABLE.append(_value)


def crc32c(octets, crc=0):
    crc ^= 0xFFFFFFFF
    for octet in octets:
        crc = crc >> 8 ^ _TABLE[(crc ^ octet) & 0xFF]
    return crc ^ 0xFFFFFFFF


def string(text):
    octets = text.encode()
    assert len(octets) < 128
    return bytes([len(octets)]) + octets


def message(sender, recipients, content):
    assert len(recipients) < 128
    head = string(sender) + b"\0\0\0" + string("") + bytes([len(recipients)])
    for recipient in recipients:
        head += string(recipient) + b"\0" + string("")
    prefix = b"MANSIOMD" + struct.pack("<IIQ", 1, len(head), len(content))
    return (prefix + struct.pack("<I", crc32c(head, crc32c(prefix))) + head + content
            + struct.pack("<I", crc32c(content)))


def name(number):
    """A queue id: 26 characters of Crockford's base 32."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    value = (1 << 100) + number
    text = ""
    for _ in range(26):
        text = digits[value & 31] + text
        value >>= 5
    return text


def put(folder, octets, file_name, mode=0o444):
    temporary = folder / f"tmp-{file_name}"
    temporary.write_bytes(octets)
    os.chmod(temporary, mode)
    os.rename(temporary, folder / file_name)
