"""An SMTP client without a mind of its own."""

import socket


class Dialogue:
    """An SMTP client that sends exactly what it is told."""

    def __init__(self, port, hello="EHLO client.test.example"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        assert self.reply().startswith("220 ")
        self.send(hello + "\r\n")
        assert self.reply().startswith("250 ")

    def send(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def reply(self):
        """The last line of the next reply, "" at the end of the connection."""
        while True:
            try:
                line = self.file.readline()
            except ConnectionResetError:
                return ""
            if not line or line[3:4] == b" ":
                return line.decode().rstrip()

    def replies(self, count):
        return [self.reply()[:3] for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()
