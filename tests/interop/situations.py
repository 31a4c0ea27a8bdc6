"""Situations in which a sender gets a notice, each brought about once by one running mansiod."""

import email
import email.policy
import pathlib
import smtplib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "internet"))

from daemon import Daemon, Sink  # noqa: E402
from names import ScriptedNames, table  # noqa: E402
from peer import Peer  # noqa: E402

HEADER = (b"From: Ann <ann@sender.example>\r\nTo: many\r\nSubject: an offer\r\n"
          b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <offer.1@sender.example>\r\n")
PLAIN = HEADER + b"\r\nThe body.\r\n"
EIGHT_BIT = (HEADER.replace(b"an offer", "ein Angebot für Bücher".encode()) +
             b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
             b"\r\n" + "Grüße\r\n".encode())
SIGNED = (b"DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=x; h=from:subject;\r\n bh=abc=; b=def=\r\n" +
          EIGHT_BIT.replace("für Bücher".encode(), b"it is"))
LARGE = PLAIN + b"A line of a large message.\r\n" * 5000
EXTENSIONS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")


class Situation:
    """`recipients`: {local part: (status, reply to RCPT or None)} of those that the notice must name. The
    domain is the situation's name. `route`: of the domain, instead of a next hop with these replies."""

    def __init__(self, recipients, content=PLAIN, others=(), extensions=EXTENSIONS, answers=None, route=None,
                 mail_options=(), recipient_options=(), action="failed", lmtp=None, operator=False, domain=None):
        self.recipients, self.content, self.others = recipients, content, list(others)
        self.extensions, self.answers, self.route = extensions, answers or {}, route
        self.mail_options, self.recipient_options = list(mail_options), list(recipient_options)
        self.action, self.lmtp, self.operator, self.domain = action, lmtp, operator, domain

    def addresses(self, name):
        return {f"{local}@{self.domain or name + '.example'}": status
                for local, (status, _) in self.recipients.items()}


SITUATIONS = {
    "unknown": Situation({"gone": ("5.1.1", "550 5.1.1 <gone@unknown.example>: Recipient address rejected: User unknown")}),
    "unknown-plain": Situation({"gone": ("5.0.0", "550 No such user here")}),
    "mailbox-full": Situation({"full": ("5.4.7", "452 4.2.2 The mailbox is full, over quota")}),
    "mailbox-full-for-good": Situation({"full": ("5.2.2", "552 5.2.2 Mailbox full, over quota")}),
    "host-not-found": Situation({"bob": ("5.1.2", None)}, route={}),
    "null-mx": Situation({"bob": ("5.1.10", None)}, route={}),
    "tls-required": Situation({"bob": ("5.4.7", None)}, route={"tls": "required"}),
    "size": Situation({"bob": ("5.3.4", None)}, content=LARGE, extensions=(*EXTENSIONS, "SIZE 10000")),
    "size-at-dot": Situation({"bob": ("5.3.4", None)}, content=LARGE,
                             answers={"dot": lambda _: "552 5.3.4 Message size exceeds fixed limit"}),
    "seven-bit-signed": Situation({"bob": ("5.6.3", None)}, content=SIGNED, extensions=("PIPELINING",)),
    "greylisted": Situation({"bob": ("5.4.7", "451 4.7.1 Greylisted, please come back later")}),
    "several": Situation({"gone": ("5.1.1", "550 5.1.1 User unknown"), "full": ("5.2.2", "552 5.2.2 Mailbox full"),
                          "moved": ("5.1.6", "551 5.1.6 User has moved"),
                          "shut": ("5.2.1", "550 5.2.1 Mailbox disabled, not accepting messages")}),
    "partial": Situation({"gone": ("5.1.1", "550 5.1.1 User unknown")}, others=["bob", "carol"]),
    "long-reply": Situation({"bob": ("5.7.1", "554 5.7.1 Rejected " + "because of a policy " * 40)}),
    "non-ascii-reply": Situation({"bob": ("5.1.1", "550 5.1.1 Unbekannter Empfänger, 收件人不存在")}),
    "multi-line-reply": Situation({"bob": ("5.7.1", "550-5.7.1 Your mail was blocked\r\n550-5.7.1 as spam; see\r\n"
                                           "550 5.7.1 https://dest.example/why")}),
    "spam": Situation({"bob": ("5.7.1", None)}, answers={"dot": lambda _: "554 5.7.1 Message rejected as spam"}),
    "lmtp": Situation({"full": ("5.2.2", None)}, others=["bob"],
                      lmtp=lambda address: "552 5.2.2 <full> Quota exceeded" if "full" in address else None),
    "operator": Situation({"bob": ("5.7.1", None)}, operator=True),
    "subject": Situation({"gone": ("5.1.1", "550 5.1.1 User unknown")}, content=EIGHT_BIT),
    "orcpt": Situation({"gone": ("5.1.1", "550 5.1.1 User unknown")},
                       recipient_options=["ORCPT=rfc822;ann+2Blist@orig.example"]),
    "envid": Situation({"gone": ("5.1.1", "550 5.1.1 User unknown")}, mail_options=["ENVID=QQ314+2B159"]),
    "full-content": Situation({"gone": ("5.1.1", "550 5.1.1 User unknown")}, mail_options=["RET=FULL"]),
    "connection-refused": Situation({"bob": ("5.4.7", None)}, route={"next_hop": ["127.0.0.1:1"]}),
    "relaying-denied": Situation({"bob": ("5.7.1", "550 5.7.1 Relaying denied")}),
    "sender-refused": Situation({"bob": ("5.1.8", None)},
                                answers={"mail": lambda path: "553 5.1.8 Sender domain does not exist" if path else None}),
}

# What is no failure, and what has no ASCII form.
OTHERS = {
    "delayed": Situation({"bob": ("4.7.1", "451 4.7.1 Greylisted, please come back later")}, action="delayed",
                         recipient_options=["NOTIFY=DELAY"]),
    "relayed": Situation({"bob": ("2.0.0", None)}, action="relayed", recipient_options=["NOTIFY=SUCCESS"]),
    "delivered": Situation({"bob": ("2.0.0", None)}, action="delivered", lmtp=lambda _: None,
                           recipient_options=["NOTIFY=SUCCESS"]),
    "international": Situation({"björn": ("5.6.7", None)}, content=EIGHT_BIT,
                               extensions=("PIPELINING", "8BITMIME"), mail_options=["SMTPUTF8"]),
}


def bring_about(folder, situations, retry=None, tables=None, wait=40):
    """{name: [notice, ...]} as octets; each situation has a sender of its own."""
    home = Sink(extensions=EXTENSIONS)
    servers, routes = [], {}
    names = ScriptedNames(table({"null-mx.example": ["MX 0 ."]}))
    for name, situation in situations.items():
        route = situation.route
        if route is None or "tls" in route:
            server = next_hop(situation)
            servers.append(server)
            route = {"next_hop": [server.endpoint], **(route or {})}
        if situation.lmtp:
            route["channel"] = "lmtp"
        if situation.operator:
            route = {"channel": "hold"}
        routes[f'route."{situation.domain or name + ".example"}"'] = route
    daemon = Daemon(folder, tables={
        'route."sender.example"': {"next_hop": [home.endpoint]}, **routes,
        "dns": {"servers": [names.server]},
        "retry": {"min": "300ms", "max": "300ms", "lifetime": "3s", **(retry or {})}, **(tables or {})})
    try:
        daemon.start()
        for name, situation in situations.items():
            submit(daemon, name, situation)
        for message in daemon.get("/v1/messages")["messages"]:
            if message["reverse_path"] == "operator@sender.example":
                result = daemon.command("bounce", message["id"], "--reason", "closed by the operator")
                assert result.returncode == 0, result
        daemon.wait_until(lambda: daemon.summary()["queued"] == 0, wait, "everything settled")
        daemon.stop()
    finally:
        daemon.kill()
        for server in [home, names, *servers]:
            server.close()
    notices = {name: [] for name in situations}
    for message in home.messages:
        assert message.sender == ""
        (recipient,) = message.recipients
        notices[recipient.split("@")[0]].append(message.content)
    return notices


def next_hop(situation):
    if situation.lmtp:
        return Peer(lmtp=True, final_reply=situation.lmtp)
    sink = Sink(extensions=situation.extensions)
    replies = {local: reply for local, (_, reply) in situation.recipients.items()}
    sink.answers = {"rcpt": lambda address: replies.get(address.split("@")[0]), **situation.answers}
    return sink


def submit(daemon, name, situation):
    recipients = [*situation.addresses(name), *(f"{local}@{name}.example" for local in situation.others)]
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
        client.sendmail(f"{name}@sender.example", recipients, situation.content,
                        mail_options=["BODY=8BITMIME", *situation.mail_options],
                        rcpt_options=situation.recipient_options)


def report_groups(notice):
    """The groups of fields about each recipient."""
    report = email.message_from_bytes(notice, policy=email.policy.default)
    return list(report.iter_parts())[1].get_payload()[1:]
