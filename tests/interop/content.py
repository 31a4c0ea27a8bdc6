"""Messages that are easy to spoil on the way, and what our server may add to them."""

EIGHT_BIT = "Grüße, 你好, ".encode() + bytes(range(128, 256))
DOTS = b"Subject: dots\r\n\r\n.\r\n..\r\n...\r\n.x\r\n. \r\n .\r\n\t.\r\nx.\r\n.\r\n.\r\n\r\n.\r\n"

NASTY = {
    "empty": b"",
    "one-line-end": b"\r\n",
    "one-dot": b".\r\n",
    "header-alone": b"Subject: no body\r\n",
    "header-and-no-body": b"Subject: no body\r\n\r\n",
    "body-alone": b"\r\nno header\r\n",
    "no-header-field": b"this is no header\r\nnor is this\r\n",
    "dots": DOTS,
    "dots-in-the-header": b".Subject: dot\r\n.\r\n..: x\r\n\r\nbody\r\n",
    "line-ends-at-the-end": b"Subject: blank\r\n\r\nbody\r\n\r\n\r\n\r\n",
    "eight-bit": b"Subject: 8bit\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + EIGHT_BIT + b"\r\n",
    "eight-bit-in-the-header": b"Subject: Gr\xfc\xdfe\r\n\r\nGr\xfc\xdfe\r\n",
    "controls": b"Subject: controls\r\n\r\n\t\x0b\x0c\x1b[2J\x7f\x08\x01\x02\x1f\r\n",
    "long-lines": b"Subject: long\r\n\r\n" + b"x" * 998 + b"\r\n." + b"y" * 997 + b"\r\n",
    "folded-header": b"Subject: folded\r\n\tand\r\n  again\r\n \r\n\r\nbody\r\n",
    "commands": b"Subject: commands\r\n\r\nQUIT\r\nRSET\r\nMAIL FROM:<>\r\n250 ok\r\n",
    "white-space-at-the-end": b"Subject: blanks  \t \r\n\r\nline \t\r\n   \r\n-- \r\n",
    "large": b"Subject: large\r\n\r\n" + b"".join(b".%07d %s\r\n" % (line, EIGHT_BIT[:56])
                                                 for line in range(75000)),
}


def without_our_field(content):
    """The message without the Received field on top, which must be ours."""
    assert content.startswith(b"Received: from "), content[:200]
    at = 0
    while True:
        at = content.index(b"\r\n", at) + 2
        if content[at:at + 1] not in (b" ", b"\t"):
            break
    assert b"by mail.test.example" in content[:at], content[:at]
    return content[at:]


def to_wire(content):
    """Content as DATA carries it, with the end of data."""
    lines = content.split(b"\r\n")
    assert lines.pop() == b""
    return b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines) + b".\r\n"
