"""aiosmtpd, a server that is not ours, as next hop: an answer for each recipient, over SMTP and LMTP,
with TLS and with authentication."""

import ssl
import threading

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, AuthResult

from content import NASTY, to_wire, without_our_field
from counts import wait_for
from daemon import free_port
from dialogue import Dialogue

SENDER = "ann@sender.example"
WHOLE = b"Subject: test\r\n\r\nhello\r\n"


class NextHop(Controller):
    """`rcpt` and `data` map the local part of a recipient to the reply it gets instead of 250. Over
    LMTP each recipient has its reply to the content; over SMTP the first entry counts for all."""

    def __init__(self, protocol=SMTP, **options):
        self.protocol, self.options = protocol, options
        self.rcpt, self.data = {}, {}
        self.taken = []  # (sender, recipient, content, whether over TLS, login)
        self.offered = []  # recipients of RCPT, also those refused
        self.lock = threading.Lock()
        super().__init__(self, hostname="127.0.0.1", port=free_port())
        self.endpoint = f"127.0.0.1:{self.port}"

    def factory(self):
        return self.protocol(self, hostname="aiosmtpd.test.example", **self.options)

    async def handle_RCPT(self, server, session, envelope, address, options):
        with self.lock:
            self.offered.append(address)
        reply = self.rcpt.get(address.split("@")[0])
        if reply:
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        replies = [self.data.get(address.split("@")[0], "250 2.0.0 taken") for address in envelope.rcpt_tos]
        if self.protocol is SMTP:
            replies = [min(replies, key=lambda reply: reply.startswith("250"))] * len(replies)
        login = session.auth_data.decode() if session.auth_data else None
        with self.lock:
            for address, reply in zip(envelope.rcpt_tos, replies):
                if reply.startswith("250"):
                    self.taken.append((envelope.mail_from, address, envelope.content,
                                       session.ssl is not None, login))
        return "\r\n".join(replies) if self.protocol is LMTP else replies[0]

    def recipients(self):
        with self.lock:
            return [address for _, address, *_ in self.taken]


@pytest.fixture
def make_next_hop():
    started = []

    def make(*arguments, **options):
        started.append(NextHop(*arguments, **options))
        started[-1].start()
        return started[-1]

    yield make
    for next_hop in started:
        next_hop.stop()


def lmtp_route(next_hop):
    return {'route."*"': {"channel": "lmtp", "next_hop": [next_hop.endpoint]}}


def test_each_recipient_has_its_own_fate(make_daemon, make_next_hop):
    next_hop = make_next_hop()
    next_hop.rcpt = {"later": "451 4.7.1 greylisted", "never": "550 5.1.1 no such user"}
    daemon = make_daemon(next_hop=[next_hop.endpoint], tables={"retry": {"min": "500ms", "max": "500ms"}})
    daemon.submit(SENDER, ["now@dest.example", "later@dest.example", "never@dest.example"])
    # The notice about the one that failed comes at once, while another waits.
    wait_for(daemon, accepted=4, delivered=2, failed=1, queued=1)
    assert sorted(next_hop.recipients()) == [SENDER, "now@dest.example"]
    next_hop.rcpt = {}
    wait_for(daemon, accepted=4, delivered=3, failed=1, queued=0)
    assert sorted(next_hop.recipients()) == [SENDER, "later@dest.example", "now@dest.example"]
    assert next_hop.offered.count("never@dest.example") == 1
    assert next_hop.offered.count("now@dest.example") == 1
    daemon.stop()


def test_a_reply_to_the_content_counts_for_all(make_daemon, make_next_hop):
    next_hop = make_next_hop()
    next_hop.data = {"bob": "452 4.2.2 full"}
    daemon = make_daemon(next_hop=[next_hop.endpoint], tables={"retry": {"min": "500ms", "max": "500ms"}})
    daemon.submit(SENDER, ["bob@dest.example", "carol@dest.example"])
    daemon.wait_until(lambda: len(next_hop.offered) >= 4, what="a second try")
    assert next_hop.recipients() == []
    next_hop.data = {}
    wait_for(daemon, accepted=2, delivered=2, queued=0)
    next_hop.data = {"bob": "554 5.7.1 spam"}
    daemon.submit(SENDER, ["bob@dest.example", "carol@dest.example"])
    wait_for(daemon, accepted=5, delivered=3, failed=2, queued=0)
    assert sorted(next_hop.recipients()) == [SENDER, "bob@dest.example", "carol@dest.example"]
    daemon.stop()


def test_lmtp_gives_each_recipient_its_own_reply_to_the_content(make_daemon, make_next_hop):
    next_hop = make_next_hop(LMTP)
    next_hop.rcpt = {"unknown": "550 5.1.1 no such user"}
    next_hop.data = {"full": "452 4.2.2 mailbox full", "spam": "550 5.7.1 not wanted"}
    daemon = make_daemon(tables={**lmtp_route(next_hop), "retry": {"min": "500ms", "max": "500ms"}})
    daemon.submit(SENDER, [f"{name}@dest.example" for name in ("bob", "full", "spam", "unknown", "carol")])
    wait_for(daemon, accepted=6, delivered=3, failed=2, queued=1)  # one notice tells of both failures
    next_hop.data = {}
    wait_for(daemon, accepted=6, delivered=4, failed=2, queued=0)
    assert sorted(next_hop.recipients()) == sorted(
        [SENDER, "bob@dest.example", "carol@dest.example", "full@dest.example"])
    assert next_hop.offered.count("bob@dest.example") == 1
    assert next_hop.offered.count("spam@dest.example") == 1
    daemon.stop()


@pytest.mark.parametrize("protocol", [SMTP, LMTP], ids=["smtp", "lmtp"])
def test_octets_out_are_octets_in(make_daemon, make_next_hop, protocol):
    next_hop = make_next_hop(protocol)
    route = lmtp_route(next_hop) if protocol is LMTP else {}
    daemon = make_daemon(next_hop=[next_hop.endpoint], tables=route)
    for name, content in NASTY.items():
        with Dialogue(daemon.smtp_port) as dialogue:
            dialogue.send(f"MAIL FROM:<{SENDER}> BODY=8BITMIME\r\nRCPT TO:<{name}@dest.example>\r\nDATA\r\n")
            assert dialogue.replies(3) == ["250", "250", "354"]
            dialogue.send(to_wire(content))
            assert dialogue.reply().startswith("250 2.0.0 ")
    wait_for(daemon, delivered=len(NASTY), queued=0)
    received = {address.split("@")[0]: without_our_field(content) for _, address, content, *_ in next_hop.taken}
    assert not [name for name, content in NASTY.items() if received[name] != content]
    daemon.stop()


# ---- TLS and authentication ---------------------------------------------------------------------------


@pytest.fixture
def tls_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    return context


@pytest.mark.parametrize("policy", ["opportunistic", "required"])
def test_starttls_is_used(make_daemon, make_next_hop, tls_context, policy):
    next_hop = make_next_hop(tls_context=tls_context, require_starttls=True)
    daemon = make_daemon(next_hop=[next_hop.endpoint], tables={'route."*"': {"tls": policy}})
    for content in (WHOLE, NASTY["large"]):
        daemon.submit(SENDER, ["bob@dest.example"], content)
    wait_for(daemon, delivered=2, queued=0)
    assert all(tls for *_, tls, _ in next_hop.taken)
    assert sorted(len(without_our_field(content)) for _, _, content, *_ in next_hop.taken) == [
        len(WHOLE), len(NASTY["large"])]
    daemon.stop()


def test_nothing_leaves_without_tls_where_it_is_required(make_daemon, make_next_hop):
    next_hop = make_next_hop()
    daemon = make_daemon(next_hop=[next_hop.endpoint], tables={'route."*"': {"tls": "required"}})
    daemon.submit(SENDER, ["bob@dest.example"])
    daemon.wait_until(lambda: "STARTTLS" in str(daemon.get("/v1/messages")) or "TLS" in daemon.log(),
                      what="a try")
    assert next_hop.offered == []
    wait_for(daemon, accepted=1, queued=1)
    daemon.stop()


def test_a_certificate_that_nobody_signed_is_refused_where_it_is_verified(make_daemon, make_next_hop, tls_context):
    next_hop = make_next_hop(tls_context=tls_context)
    daemon = make_daemon(next_hop=[next_hop.endpoint],
                         tables={'route."*"': {"tls": "required", "tls_verify": True}})
    daemon.submit(SENDER, ["bob@dest.example"])
    daemon.wait_until(lambda: "certificate" in daemon.log(), what="a try")
    assert next_hop.offered == []
    wait_for(daemon, accepted=1, queued=1)
    daemon.stop()


@pytest.mark.parametrize("without", [None, "PLAIN"], ids=["PLAIN", "LOGIN"])
def test_a_smart_host_with_a_password(make_daemon, make_next_hop, tls_context, tmp_path, without):
    logins = []

    def authenticator(server, session, envelope, mechanism, data):
        logins.append((mechanism, data.login.decode(), data.password.decode()))
        good = data.password == b"se cret"
        return AuthResult(success=good, handled=False, auth_data=data.login if good else None)

    next_hop = make_next_hop(tls_context=tls_context, require_starttls=True, auth_required=True,
                             authenticator=authenticator, auth_exclude_mechanism=[without] if without else [])
    password = tmp_path / "password"
    password.write_text("wrong\n")
    password.chmod(0o600)
    daemon = make_daemon(next_hop=[next_hop.endpoint], tables={
        'route."*"': {"tls": "required", "auth.user": "mansio", "auth.password": f"file:{password}"},
        "retry": {"min": "500ms", "max": "500ms"}})
    daemon.submit(SENDER, ["bob@dest.example"])
    daemon.wait_until(lambda: logins, what="a login")
    wait_for(daemon, accepted=1, queued=1)
    assert "wrong" not in daemon.log()
    password.write_text("se cret\n")
    daemon.reload()
    wait_for(daemon, delivered=1, queued=0)
    assert next_hop.taken[0][-1] == "mansio"
    assert {mechanism for mechanism, *_ in logins} == {"LOGIN" if without else "PLAIN"}
    assert "se cret" not in daemon.log()
    daemon.stop()


def test_a_smart_host_that_is_down_is_passed_over(make_daemon, make_next_hop):
    second = make_next_hop()
    daemon = make_daemon(next_hop=[f"127.0.0.1:{free_port()}", second.endpoint])
    daemon.submit(SENDER, ["bob@dest.example"])
    wait_for(daemon, delivered=1, queued=0)
    assert second.recipients() == ["bob@dest.example"]
    daemon.stop()
