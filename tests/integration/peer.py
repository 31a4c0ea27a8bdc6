"""An SMTP or LMTP next hop for what Sink does not do: TLS, login, DSN, a reply per recipient, and a
record of every command line and of what was pipelined behind the end of the data."""

import base64
import pathlib
import socket
import ssl
import subprocess
import threading


def make_certificate(folder, name="localhost"):
    """A self-signed certificate: (certificate, key) as paths."""
    folder = pathlib.Path(folder)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True)
    return certificate, key


class Peer:
    """`recipient_reply(address)`: the reply to RCPT, None for 250. `final_reply(address)`: after the dot;
    with LMTP asked for every recipient, else for the first. `login`: (user, password) that are right."""

    def __init__(self, lmtp=False, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"),
                 certificate=None, login=None, recipient_reply=None, final_reply=None, wait_behind_dot=0.0):
        self.lmtp = lmtp
        self.extensions = list(extensions)
        self.login = login
        self.recipient_reply = recipient_reply or (lambda _: None)
        self.final_reply = final_reply or (lambda _: None)
        self.wait_behind_dot = wait_behind_dot
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.commands = []      # every command line, of all connections
        self.behind_dots = []   # the first command that came before the reply to a final dot, or None
        self.sizes = []         # of messages
        self.contents = []      # the first megabyte of each message, dots as they came
        self.delivered = []     # recipients
        self.connections = 0
        self.secure = []        # for each MAIL: was TLS on
        self.may_greet = threading.Event()
        self.may_greet.set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.endpoint = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.may_greet.set()
        self._server.close()

    def verbs(self, verb):
        return [line for line in self.commands if line.upper().startswith(verb)]

    def _accept(self):
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        try:
            _Dialogue(self, connection).run()
        except (OSError, EOFError, ssl.SSLError):
            pass
        finally:
            connection.close()


class _Dialogue:
    def __init__(self, peer, connection):
        self.peer = peer
        self.connection = connection
        self.buffer = b""
        self.secure = self.logged_in = False

    def say(self, line):
        self.connection.sendall(line.encode() + b"\r\n")

    def fill(self):
        octets = self.connection.recv(1 << 18)
        if not octets:
            raise EOFError
        self.buffer += octets

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def data(self):
        """Reads over the content; gives its size. Little of it is kept, so it may be large."""
        size, tail, kept = 0, b"\r\n", b""
        while True:
            end = (tail + self.buffer).find(b"\r\n.\r\n")
            if end >= 0:
                taken = end + 5 - len(tail)
                size += taken
                kept += self.buffer[:taken] if len(kept) < 1 << 20 else b""
                self.peer.contents.append(kept.removesuffix(b".\r\n"))
                self.buffer = self.buffer[taken:]
                return size
            size += len(self.buffer)
            kept += self.buffer if len(kept) < 1 << 20 else b""
            tail = (tail + self.buffer)[-4:]
            self.buffer = b""
            self.fill()

    def behind_dot(self):
        """What the client sent without waiting for the reply to the dot."""
        if self.peer.wait_behind_dot and b"\n" not in self.buffer:
            self.connection.settimeout(self.peer.wait_behind_dot)
            try:
                while b"\n" not in self.buffer:
                    self.fill()
            except TimeoutError:
                pass
            self.connection.settimeout(None)
        first = self.buffer.split(b"\n", 1)[0].rstrip(b"\r").decode() if self.buffer else None
        self.peer.behind_dots.append(first)

    def run(self):
        peer = self.peer
        peer.may_greet.wait(60)
        self.say("220 peer.test.example ready")
        accepted = []
        while True:
            line = self.line()
            peer.commands.append(line)
            verb = line.split(" ")[0].upper()
            if verb == ("LHLO" if peer.lmtp else "EHLO"):
                offered = list(peer.extensions)
                if peer.context and not self.secure:
                    offered.append("STARTTLS")
                if peer.login and self.secure:
                    offered.append("AUTH PLAIN LOGIN")
                lines = ["peer.test.example", *offered]
                for name in lines[:-1]:
                    self.say(f"250-{name}")
                self.say(f"250 {lines[-1]}")
            elif verb == "STARTTLS":
                self.say("220 2.0.0 go on")
                self.connection = peer.context.wrap_socket(self.connection, server_side=True)
                self.buffer, self.secure = b"", True
            elif verb == "AUTH":
                self.auth(line)
            elif verb == "MAIL":
                peer.secure.append(self.secure)
                accepted = []
                self.say("530 5.7.0 log in first" if peer.login and not self.logged_in else "250 2.1.0 ok")
            elif verb == "RCPT":
                address = line.split("<", 1)[1].split(">", 1)[0]
                reply = peer.recipient_reply(address) or "250 2.1.5 ok"
                if reply[0] == "2":
                    accepted.append(address)
                self.say(reply)
            elif verb == "DATA" and not accepted:
                self.say("503 5.5.1 no recipients")
            elif verb == "DATA":
                self.say("354 go on")
                peer.sizes.append(self.data())
                self.behind_dot()
                for address in accepted if peer.lmtp else accepted[:1]:
                    reply = peer.final_reply(address) or "250 2.0.0 taken"
                    if reply[0] == "2":
                        peer.delivered += [address] if peer.lmtp else accepted
                    self.say(reply)
                accepted = []
            elif verb == "QUIT":
                self.say("221 2.0.0 bye")
                return
            else:
                self.say("250 2.0.0 ok" if verb in ("RSET", "NOOP") else "500 5.5.2 unknown")

    def auth(self, line):
        words = line.split(" ")
        right = b"\0" + b"\0".join(word.encode() for word in self.peer.login)
        self.logged_in = (self.secure and words[1].upper() == "PLAIN" and len(words) == 3
                          and base64.b64decode(words[2]) == right)
        self.say("235 2.7.0 welcome" if self.logged_in else "535 5.7.8 wrong")
