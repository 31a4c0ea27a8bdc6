"""Name servers on loopback: NSD with zones that a test writes, and one whose answers a test makes up."""

import os
import pathlib
import socketserver
import subprocess
import threading

from dnslib import QTYPE, RCODE, RR, DNSRecord

from daemon import free_port, wait_until
from peers import peers_environment


def ask(port, name, kind, timeout=5):
    """What a name server on loopback says, parsed."""
    return DNSRecord.parse(DNSRecord.question(name, kind).send("127.0.0.1", port, timeout=timeout))


class NameServer:
    """NSD, a name server for one zone. It knows nothing of other names: REFUSED.

        names = NameServer(folder, "example")
        names.set("dest MX 10 mx.dest", "mx.dest A 127.0.0.2")      # again: the zone changes
    """

    def __init__(self, folder, zone, ttl=60):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.zone, self.ttl, self.serial = zone, ttl, 0
        self.port = free_port()
        self.server = f"127.0.0.1@{self.port}"
        self.log_path = self.folder / "log"
        self.process = None
        (self.folder / "nsd.conf").write_text(f"""
server:
  server-count: 1
  ip-address: {self.server}
  username: ""
  database: ""
  zonesdir: "{self.folder}"
  pidfile: "{self.folder}/pid"
  xfrdfile: "{self.folder}/xfrd"
  xfrdir: "{self.folder}"
  zonelistfile: "{self.folder}/zones"
  cookie-secret-file: ""
  zonefiles-check: yes
remote-control:
  control-enable: no
zone:
  name: "{self.zone}"
  zonefile: "zone"
""")

    def set(self, *records, ttl=None):
        """The zone has these records, lines of a zone file, and no others, from now on."""
        self.serial += 1
        lines = [f"$ORIGIN {self.zone}.", f"$TTL {self.ttl if ttl is None else ttl}",
                 f"@ SOA @ hostmaster {self.serial} 3600 600 86400 {self.ttl if ttl is None else ttl}",
                 "@ NS @", "@ A 127.0.0.1", *records]
        path = self.folder / "zone"
        new = self.folder / f"zone.{self.serial}"
        new.write_text("\n".join(lines) + "\n")
        # NSD looks at the time of the change, in whole seconds.
        os.utime(new, (self.serial, self.serial))
        new.replace(path)
        if self.process is None:
            self._start()
        else:
            self.process.send_signal(1)
        wait_until(self._is_current, what=f"NSD with zone {self.serial}: {self.log()}")

    def _start(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["nsd", "-d", "-c", str(self.folder / "nsd.conf")], env=peers_environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)

    def _is_current(self):
        assert self.process.poll() is None, self.log()
        try:
            answer = ask(self.port, self.zone, "SOA", timeout=0.2)
        except OSError:
            return False
        return answer.rr and answer.rr[0].rdata.times[0] == self.serial

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def close(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class ScriptedNames:
    """A name server that answers as `script(query, over_tcp)` says: a DNSRecord, octets, or None for no
    answer. `query` is a Query. Over UDP and TCP, on one port."""

    class Query:
        def __init__(self, record):
            self.record = record
            self.name = str(record.q.qname).rstrip(".").lower()
            self.kind = QTYPE[record.q.qtype]

        def answer(self, *lines, code="NOERROR"):
            """A reply with these lines of a zone file as its answer section, names in full."""
            reply = self.record.reply(ra=1, aa=1)
            reply.header.rcode = getattr(RCODE, code)
            for line in lines:
                for record in RR.fromZone(line):
                    reply.add_answer(record)
            return reply

    def __init__(self, script, port=0):
        self.script = script
        self.queries = []  # (name, type, over TCP)
        self._lock = threading.Lock()
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                reply = outer._reply(self.request[0], over_tcp=False)
                if reply is not None:
                    self.request[1].sendto(reply, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while size := self.rfile.read(2):
                    reply = outer._reply(self.rfile.read(int.from_bytes(size, "big")), over_tcp=True)
                    if reply is None:
                        return
                    self.wfile.write(len(reply).to_bytes(2, "big") + reply)

        class UdpServer(socketserver.ThreadingUDPServer):
            daemon_threads = True
            block_on_close = False
            max_packet_size = 65535

        class TcpServer(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True

        while True:
            udp = UdpServer(("127.0.0.1", port), Udp)
            try:
                tcp = TcpServer(udp.server_address, Tcp)
                break
            except OSError:  # taken for TCP
                udp.server_close()
        self._servers = [udp, tcp]
        self.port = udp.server_address[1]
        self.server = f"127.0.0.1@{self.port}"
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _reply(self, packet, over_tcp):
        query = self.Query(DNSRecord.parse(packet))
        with self._lock:
            self.queries.append((query.name, query.kind, over_tcp))
        reply = self.script(query, over_tcp)
        return reply.pack() if isinstance(reply, DNSRecord) else reply

    def asked(self, name, kind):
        """How often this was asked."""
        with self._lock:
            return sum(query[:2] == (name, kind) for query in self.queries)

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()




def table(records, missing="NXDOMAIN"):
    """A script that answers from {"name": ["TYPE data", ...]}; other names have `missing`. A name's
    CNAME is its answer to every question, and what it leads to follows."""
    def script(query, _):
        if query.name not in records:
            return query.answer(code=missing)
        lines, name, seen = [], query.name, set()
        while name not in seen:
            seen.add(name)
            of_name = records.get(name, [])
            alias = [data.split()[1] for data in of_name if data.startswith("CNAME ")]
            lines += [f"{name}. 0 IN {data}" for data in of_name
                      if data.split()[0] in (query.kind, "CNAME")]
            if not alias:
                break
            name = alias[0].rstrip(".")
        return query.answer(*lines)

    return script
