"""A small internet on loopback: domains in a zone, mail hosts that they lead to, and a mansiod in it."""

import email
import email.policy
import json

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

    def scripted(self, script, port=0):
        """A name server whose answers are made up, instead of the zone."""
        names = ScriptedNames(script, port)
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

    def settled(self, *ids, timeout=20):
        """Until these messages, or all, are gone from the queue."""
        def settled():
            queued = {message["id"] for message in self.node.get("/v1/messages")["messages"]}
            return not (queued & set(ids) if ids else queued)

        self.node.wait_until(settled, timeout, "everything settled")
        totals(self.node)

    def events(self, id):
        return self.node.json_lines("history", id)

    def tries(self):
        """The most tries that a queued recipient has had."""
        return max((recipient["tries"] for message in self.node.get("/v1/messages")["messages"]
                    for recipient in message["recipients"]), default=0)

    def delivered(self, id, timeout=20):
        """Waits for the end of this message, which must be delivered to all its recipients."""
        self.settled(id, timeout=timeout)
        events = [event["event"] for event in self.events(id)]
        assert events[-1] == "delivered" and "failed" not in events, (events, self.node.log()[-4000:])

    def failed(self, id, timeout=20):
        """Waits for the end of this message and for the notice about it; the fields about its first
        recipient."""
        self.settled(id, timeout=timeout)
        self.node.wait_until(lambda: self.notices.messages, timeout, "the notice")
        self.settled(timeout=timeout)
        (message,) = self.notices.messages
        self.notices.messages.clear()
        assert (message.sender, message.recipients) == ("", [SENDER])
        report = email.message_from_bytes(message.content, policy=email.policy.default)
        return list(report.iter_parts())[1].get_payload()[1]

    def statuses(self, count):
        """The status of each of `count` recipients, which may have notices of their own."""
        def groups():
            found = {}
            for message in list(self.notices.messages):
                report = email.message_from_bytes(message.content, policy=email.policy.default)
                for group in list(report.iter_parts())[1].get_payload()[1:]:
                    assert group["Final-Recipient"] not in found
                    found[group["Final-Recipient"]] = group["Status"]
            return {name.split()[1]: status for name, status in found.items()} if len(found) == count else None

        return self.node.wait_until(groups, what=f"notices about {count} recipients")

    def deferred(self, id, timeout=20):
        """Waits for the first attempt, which must not settle anything; what `mansio why` and the last
        reply say of it."""
        def tried():
            (message,) = [message for message in self.node.get("/v1/messages")["messages"]
                          if message["id"] == id]
            (recipient,) = message["recipients"]
            return recipient if recipient["last_reply"] and recipient["state"] != "in_flight" else None

        recipient = self.node.wait_until(tried, timeout, f"a try of {id}")
        assert self.notices.messages == []

        def waits():  # unless the next try is under way
            (wait,) = self.node.json_lines("why", id)
            return wait if wait["reason"] != "in_flight" else None

        wait = self.node.wait_until(waits, timeout, f"{id} to wait")
        return {**wait, **recipient["last_reply"], "tries": recipient["tries"]}

    def probe(self, destination, *options):
        """What `mansio probe` finds out."""
        result = self.node.command("probe", destination, *options, "--json")
        report = json.loads(result.stdout)
        ready = any(address["ok"] for address in report["addresses"])
        assert result.returncode == (0 if ready else 4), result
        return report

    def release_port(self):
        """For a listener that wants all addresses."""
        self._keeper.close()

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
