"""Name servers that do not answer, answer nonsense, or change their mind. What is not known is not held
against a recipient: the mail waits, no try is counted, and `mansio why` says that it is the DNS."""

import time

import pytest

from internet import QUICK
from names import table

MX = {"dest.example": ["MX 10 mx.dest.example."], "mx.dest.example": ["A 127.0.0.2"]}
good = table(MX)


def servfail(query, over_tcp):
    return query.answer(code="SERVFAIL")


def refused(query, over_tcp):
    return query.answer(code="REFUSED")


def not_implemented(query, over_tcp):
    return query.answer(code="NOTIMP")


def format_error(query, over_tcp):
    return query.answer(code="FORMERR")


def silence(query, over_tcp):
    return None


def truncated_and_no_tcp(query, over_tcp):
    if over_tcp:
        return None
    reply = query.answer()
    reply.header.tc = 1
    return reply


def garbage(query, over_tcp):
    return query.record.pack()[:2] + b"\x81\x80" + b"\xff" * 200


def cut_short(query, over_tcp):
    return good(query, over_tcp).pack()[:-3]


def answer_to_another_question(query, over_tcp):
    query.record.q.qname = "other.example"
    return good(query, over_tcp)


def loop_of_cnames(query, over_tcp):
    name = query.name.split(".")[0]
    other = {"dest": "a", "a": "b", "b": "a"}.get(name, "a")
    return query.answer(f"{query.name}. 0 IN CNAME {other}.example.")


def endless_cnames(query, over_tcp):
    name = query.name.split(".")[0]
    number = int(name[1:]) if name[1:].isdigit() else 0
    return query.answer(f"{query.name}. 0 IN CNAME c{number + 1}.example.")


TROUBLE = [servfail, refused, not_implemented, format_error, silence, truncated_and_no_tcp, garbage, cut_short,
           answer_to_another_question, loop_of_cnames, endless_cnames]


@pytest.mark.parametrize("script", TROUBLE, ids=lambda script: script.__name__)
def test_mail_waits_where_the_dns(internet, script):
    names = internet.scripted(script)
    host = internet.host("127.0.0.2")
    internet.daemon(names, retry=QUICK)
    id = internet.send("bob@dest.example")
    waits = internet.deferred(id)
    assert waits["reason"] == "dns", waits
    assert waits["enhanced"] == "4.4.3" and waits["code"] == 451
    assert waits["tries"] == 0
    (line,) = internet.node.command("why", id).stdout.splitlines()
    assert "DNS" in line, line
    # And when the DNS is well again, so is the mail.
    names.script = good
    internet.delivered(id)
    assert host.recipients() == ["bob@dest.example"]


def test_trouble_with_the_addresses_of_mx_hosts_defers(internet):
    """The MX record is known, and its host is not."""
    def script(query, over_tcp):
        return good(query, over_tcp) if query.kind == "MX" else servfail(query, over_tcp)

    names = internet.scripted(script)
    internet.daemon(names, retry=QUICK)
    id = internet.send("bob@dest.example")
    waits = internet.deferred(id)
    assert (waits["reason"], waits["enhanced"], waits["tries"]) == ("dns", "4.4.3", 0)
    internet.host("127.0.0.2")
    names.script = good
    internet.delivered(id)


def test_trouble_with_one_mx_host_leaves_the_others(internet):
    records = table({"dest.example": ["MX 10 a.dest.example.", "MX 20 b.dest.example."],
                     "b.dest.example": ["A 127.0.0.2"]})
    names = internet.scripted(lambda query, over_tcp: (
        servfail if query.name.startswith("a.") else records)(query, over_tcp))
    host = internet.host("127.0.0.2")
    internet.daemon(names)
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1


def test_an_aaaa_that_fails_does_not_hide_the_a(internet):
    """Old name servers say SERVFAIL or nothing to AAAA."""
    names = internet.scripted(lambda query, over_tcp: (
        servfail if query.kind == "AAAA" else good)(query, over_tcp))
    host = internet.host("127.0.0.2")
    internet.daemon(names)
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1


def test_an_mx_that_does_not_exist_beside_one_left_open_defers(internet):
    """Unknown is not final."""
    records = table({"dest.example": ["MX 10 a.dest.example.", "MX 20 b.dest.example."]})
    names = internet.scripted(lambda query, over_tcp: (
        servfail if query.name.startswith("b.") else records)(query, over_tcp))
    internet.daemon(names)
    assert internet.deferred(internet.send("bob@dest.example"))["reason"] == "dns"


def test_a_dead_name_server_delays_nobody_else(internet):
    """Mail of other routes, and of domains whose answers are known, goes on."""
    names = internet.scripted(lambda query, over_tcp: (
        good if "dest" in query.name else silence)(query, over_tcp))
    host = internet.host("127.0.0.2")
    internet.daemon(names, dns={"timeout": "20s"})
    slow = [internet.send(f"bob@slow{number}.example") for number in range(50)]
    started = time.monotonic()
    for number in range(5):
        internet.delivered(internet.send(f"user{number}@dest.example"))
    assert time.monotonic() - started < 10
    assert len(host.taken) == 5
    assert len(internet.node.get("/v1/messages")["messages"]) == len(slow)
    internet.node.kill()


def test_lookups_of_one_name_are_shared(internet):
    names = internet.scripted(good)
    host = internet.host("127.0.0.2")
    names.script = lambda query, over_tcp: (time.sleep(0.3), good(query, over_tcp))[1]
    internet.daemon(names)
    for number in range(30):
        internet.send(f"user{number}@dest.example")
    internet.settled()
    assert len(host.taken) == 30
    # TTL 0: nothing may be kept, but who asks meanwhile gets the same answer.
    assert names.asked("dest.example", "MX") <= 15


def test_a_ttl_is_kept(internet):
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2", ttl=600)
    first, second = internet.host("127.0.0.2"), internet.host("127.0.0.3")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.3", ttl=600)
    internet.delivered(internet.send("bob@dest.example"))
    assert (len(first.taken), len(second.taken)) == (2, 0)


def test_ttl_0_is_asked_again_each_time(internet):
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2", ttl=0)
    first, second = internet.host("127.0.0.2"), internet.host("127.0.0.3")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.3", ttl=0)
    internet.delivered(internet.send("bob@dest.example"))
    assert (len(first.taken), len(second.taken)) == (1, 1)


def test_a_zone_that_changes_between_tries_is_followed(internet):
    internet.names("dest MX 10 old.dest", "old.dest A 127.0.0.2", ttl=1)
    new = internet.host("127.0.0.3")
    internet.daemon(retry=QUICK)
    id = internet.send("bob@dest.example")
    internet.deferred(id)
    internet.names("dest MX 10 new.dest", "new.dest A 127.0.0.3", ttl=1)
    internet.delivered(id)
    assert new.recipients() == ["bob@dest.example"]


def test_a_domain_that_goes_away_between_tries_fails(internet):
    internet.names("dest MX 10 down.dest", "down.dest A 127.0.0.2", ttl=1)
    internet.daemon(retry=QUICK)
    id = internet.send("bob@dest.example")
    internet.deferred(id)
    internet.names("other A 127.0.0.2", ttl=1)
    assert internet.failed(id)["Status"] == "5.1.2"


def test_a_domain_that_closes_between_tries_fails(internet):
    internet.names("dest MX 10 down.dest", "down.dest A 127.0.0.2", ttl=1)
    internet.daemon(retry=QUICK)
    id = internet.send("bob@dest.example")
    internet.deferred(id)
    internet.names("dest MX 0 .", ttl=1)
    assert internet.failed(id)["Status"] == "5.1.10"


def test_many_records_arrive_over_tcp(internet):
    """More than fits into a datagram: truncated, then asked again."""
    def script(query, over_tcp):
        if query.kind != "MX":
            return good(query, over_tcp)
        if over_tcp:
            return good(query, over_tcp)
        reply = query.answer()
        reply.header.tc = 1
        return reply

    names = internet.scripted(script)
    host = internet.host("127.0.0.2")
    internet.daemon(names)
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1
    assert ("dest.example", "MX", True) in names.queries


def test_the_second_name_server_answers_where_the_first_is_dead(internet):
    dead, alive = internet.scripted(silence), internet.scripted(good)
    host = internet.host("127.0.0.2")
    internet.daemon(dns={"servers": [dead.server, alive.server], "timeout": "20s"})
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1


def test_a_name_server_that_starts_late_is_enough(internet):
    """Mansiod starts before the network is there, and nothing is lost by it."""
    names = internet.scripted(good)
    names.close()
    host = internet.host("127.0.0.2")
    internet.daemon(retry=QUICK, dns={"servers": [names.server]})
    id = internet.send("bob@dest.example")
    assert internet.deferred(id)["reason"] == "dns"
    internet.scripted(good, names.port)
    internet.delivered(id, timeout=40)
    assert len(host.taken) == 1


def test_answers_of_hostile_zones_do_no_harm(internet):
    """Host names with control characters, spaces, dots and non-ASCII octets are left out, and what a log
    or a notice says of them is plain text."""
    def script(query, over_tcp):
        if query.kind != "MX":
            return query.answer(code="NXDOMAIN")
        def record(label):
            rdata = b"\0\x0a" + bytes([len(label)]) + label + b"\0"
            return b"\xc0\x0c\0\x0f\0\1\0\0\0\0" + len(rdata).to_bytes(2, "big") + rdata
        labels = [b"a\r\nX-Evil: 1", b"\x1b[2J", b"<b>", b"sp ace", b"\xff\xfe", b"do.t", b"\0", b"%n%s", b"'; drop"]
        question = query.record.reply(ra=1, aa=1).pack()
        return question[:6] + len(labels).to_bytes(2, "big") + question[8:] + b"".join(map(record, labels))

    internet.daemon(internet.scripted(script))
    id = internet.send("bob@dest.example")
    fields = internet.failed(id)
    assert fields["Status"] == "5.4.4"
    probed = internet.node.command("probe", "dest.example")
    for text in (internet.node.log(), probed.stdout, internet.node.command("history", id).stdout):
        assert "\x1b" not in text and "\nX-Evil" not in text
