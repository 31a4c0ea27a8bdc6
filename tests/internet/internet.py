"""A small internet on loopback: domains in a zone, mail hosts that they lead to, and a mansiod in it."""

import email
import email.policy

from counts import totals
from daemon import Sink
from hosts import MailHost, common_port
from names import NameServer, ScriptedNames
from peers import Postfix

SENDER = "ann@sender.test"
QUICK = {"min": "300ms", "max": "300ms", "jitter": 0.0}
ONCE = {"min": "1h", "max": "1h", "jitter": 0.0}


class Internet:
    """Hosts are on 127.0.0.2 to 127.0.0.9 and ::1, on one port, as port 25 is one. Notices go to
    `notices`, a sink that the DNS has nothing to do with."""

    def __init__(self, folder, make_daemon):
        self._folder, self._make_daemon = folder, make_daemon
        self.port, self._keeper = common_port()
        self.zone = NameServer(folder / "zone", "example")
        self.notices = Sink()
        self._open = [self.zone, self.notices]
        self.node = None

    def names(self, *records, ttl=None):
        """The zone `example` has these records, and no others: "dest MX 10 mx.dest"."""
        self.zone.set(*records, ttl=ttl)

    def scripted(self, script):
        """A name server whose answers are made up, instead of the zone."""
        names = ScriptedNames(script)
        self._open.append(names)
        return names

    def host(self, address, **options):
        host = MailHost(address, self.port, **options)
        self._open.append(_Host(host))
        return host

    def sink(self, address, **options):
        """A host that this test's own code plays."""
        sink = Sink(address=(address, self.port), **options)
        self._open.append(sink)
        return sink

    def postfix(self, address, domain, users, **options):
        postfix = Postfix(domain, users, address=(address, self.port), **options)
        self._open.append(postfix)
        return postfix

    def daemon(self, names=None, retry=ONCE, dns=None, tables=None, name="node", **options):
        """A mansiod that asks `names` (the zone by default) and delivers by MX. More than one attempt
        is made only with another `retry`."""
        tables = {"retry": retry,
                  "dns": {"servers": [(names or self.zone).server], "allow_private": True,
                          "timeout": "3s", **(dns or {})},
                  'route."sender.test"': {"next_hop": [self.notices.endpoint]},
                  'destination."*"': {"messages_per_connection": 1},
                  **(tables or {})}
        self.node = self._make_daemon(name=name, start=False, tables=tables, **options)
        self.node.tables['route."*"'] = {"port": self.port, **(tables.get('route."*"', {}))}
        return self.node.start()

    # -- what a test asks for

    def send(self, *recipients, sender=SENDER, content=b"Subject: test\r\n\r\nhello\r\n"):
        """Queues one message; its id."""
        return self.node.submit(sender, recipients, content)

    def delivered(self, id, timeout=20):
        self._settled(id, timeout)
        events = self.events(id)
        assert events and events[-1]["event"] == "delivered", (events, self.node.log()[-4000:])

    def _settled(self, id, timeout=20):
        def settled():
            return all(message["id"] != id for message in self.node.get("/v1/messages")["messages"])
        self.node.wait_until(settled, timeout, f"{id} settled")
        assert totals(self.node)

    def events(self, id):
        return self.node.json_lines("history", id)

    def failed(self, id, timeout=20):
        """Waits for the notice about this message; its fields of the first recipient."""
        self._settled(id, timeout)
        def notice():
            return [message for message in list(self.notices.messages) if id.encode() in message.content]
        self.node.wait_until(lambda: self.notices.messages, timeout, "the notice")
        (message,) = self.notices.messages
        self.notices.messages.clear()
        report = email.message_from_bytes(message.content, policy=email.policy.default)
        return list(report.iter_parts())[1].get_payload()[1]

    def deferred(self, id, timeout=20):
        """Waits for the first attempt, which must not settle anything; what `mansio why` says of it."""
        def tried():
            (message,) = [message for message in self.node.get("/v1/messages")["messages"]
                          if message["id"] == id]
            (recipient,) = message["recipients"]
            return recipient if recipient["last_reply"] else None

        recipient = self.node.wait_until(tried, timeout, f"a try of {id}")
        assert recipient["state"] == "deferred", recipient
        assert self.notices.messages == []
        (wait,) = self.node.json_lines("why", id)
        return {**wait, **recipient["last_reply"], "tries": recipient["tries"]}

    def close(self):
        if self.node is not None:
            self.node.kill()
        for thing in reversed(self._open):
            thing.close()
        self._keeper.close()


class _Host:
    """aiosmtpd says stop where the others say close."""

    def __init__(self, host):
        self._host = host

    def close(self):
        self._host.stop()
