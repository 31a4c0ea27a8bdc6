"""Mail hosts of the tests' internet: aiosmtpd on addresses of loopback, all on one port."""

import contextlib
import socket
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

ADDRESSES = [f"127.0.0.{last}" for last in range(1, 10)] + ["::1"]


def common_port():
    """A port that is free on all addresses of the tests' internet, and a socket that keeps others from
    getting it while it is open: it has 127.0.0.1, where no host of this internet lives."""
    while True:
        with contextlib.ExitStack() as probes:
            keeper = socket.socket()
            keeper.bind(("127.0.0.1", 0))
            port = keeper.getsockname()[1]
            try:
                for address in ADDRESSES[1:]:
                    family = socket.AF_INET6 if ":" in address else socket.AF_INET
                    probes.enter_context(socket.socket(family)).bind((address, port))
                return port, keeper
            except OSError:
                keeper.close()


class MailHost(Controller):
    """Takes everything, unless `replies` has a reply for "greeting" (a whole line, then the end of the
    connection) or for the local part of a recipient."""

    def __init__(self, address, port, **options):
        self.options = options
        self.replies = {}
        self.taken = []  # (sender, recipient, content)
        self.offered = []  # recipients of RCPT
        self.connections = 0
        self.lock = threading.Lock()
        super().__init__(self, hostname=address, port=port)
        self.start()
        self.connections = 0  # aiosmtpd tries itself

    def factory(self):
        host = self
        self.connections += 1

        class Session(SMTP):
            def connection_made(self, transport):
                if "greeting" in host.replies:
                    transport.write(host.replies["greeting"].encode() + b"\r\n")
                    transport.close()
                else:
                    super().connection_made(transport)

            def connection_lost(self, error):
                if self.transport is not None:
                    super().connection_lost(error)

        return Session(self, hostname="host.test.example", **self.options)

    async def handle_RCPT(self, server, session, envelope, address, options):
        with self.lock:
            self.offered.append(address)
        reply = self.replies.get(address.split("@")[0])
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        with self.lock:
            self.taken += [(envelope.mail_from, address, envelope.content) for address in envelope.rcpt_tos]
        return "250 2.0.0 taken"

    def recipients(self):
        with self.lock:
            return [address for _, address, _ in self.taken]
