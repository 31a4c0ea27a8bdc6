"""Domains that take no mail, and answers that must not lead anywhere: failed at once, or never sent."""

import pytest

from internet import QUICK


def test_a_null_mx_fails_at_once_with_556(internet):
    """RFC 7505: without a connection, though there is an address."""
    internet.names("dest MX 0 .", "dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    fields = internet.failed(internet.send("bob@dest.example"))
    assert (fields["Action"], fields["Status"]) == ("failed", "5.1.10")
    assert "556" in fields["Diagnostic-Code"] and "Remote-MTA" not in fields
    assert host.connections == 0


def test_a_null_mx_beside_others_is_no_null_mx(internet):
    internet.names("dest MX 0 .", "dest MX 10 mx.dest", "mx.dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1


def test_a_domain_that_does_not_exist_fails_at_once(internet):
    internet.names("dest A 127.0.0.2")
    internet.daemon()
    fields = internet.failed(internet.send("bob@unknown.example"))
    assert fields["Status"] == "5.1.2"
    assert fields["Final-Recipient"] == "rfc822; bob@unknown.example"
    assert "Remote-MTA" not in fields


def test_a_domain_with_neither_mx_nor_address_fails_at_once(internet):
    internet.names("dest TXT \"no mail here\"")
    internet.daemon()
    assert internet.failed(internet.send("bob@dest.example"))["Status"] == "5.1.2"


def test_mx_hosts_that_all_do_not_exist_fail(internet):
    """RFC 5321 §5.1: records are there, and none is usable."""
    internet.names("dest MX 10 a.dest", "dest MX 20 b.dest", "dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    assert internet.failed(internet.send("bob@dest.example"))["Status"] == "5.4.4"
    assert host.connections == 0


def test_only_addresses_as_mx_fail(internet):
    internet.names("dest MX 10 127.0.0.2.", "dest MX 20 127.0.0.3.")
    host = internet.host("127.0.0.2")
    internet.daemon()
    assert internet.failed(internet.send("bob@dest.example"))["Status"] == "5.4.4"
    assert host.connections == 0


def test_others_of_the_message_are_delivered(internet):
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2", "null MX 0 .")
    host = internet.host("127.0.0.2")
    internet.daemon()
    id = internet.send("bob@dest.example", "bob@null.example", "bob@unknown.example")
    internet.settled(id)
    assert host.recipients() == ["bob@dest.example"]
    assert internet.statuses(2) == {"bob@null.example": "5.1.10", "bob@unknown.example": "5.1.2"}


# ---- ourselves ------------------------------------------------------------------------------------


def test_where_we_are_an_mx_only_better_ones_are_used(internet):
    """RFC 5321 §5.1: our own name, with the preferences that are not better than ours, is dropped."""
    internet.names("dest MX 10 better.dest", "dest MX 20 mail.test.example.", "dest MX 20 equal.dest",
                   "dest MX 30 worse.dest", "mail.test A 127.0.0.9",
                   "better.dest A 127.0.0.2", "equal.dest A 127.0.0.3", "worse.dest A 127.0.0.4")
    equal, worse = internet.host("127.0.0.3"), internet.host("127.0.0.4")
    internet.daemon(retry=QUICK)
    id = internet.send("bob@dest.example")
    internet.deferred(id)
    internet.node.wait_until(lambda: internet.tries() >= 3, what="three tries")
    assert equal.connections == worse.connections == 0
    better = internet.host("127.0.0.2")
    internet.delivered(id)
    assert len(better.taken) == 1


@pytest.mark.parametrize("records", [
    ["dest MX 10 mail.test.example.", "dest MX 20 worse.dest", "mail.test A 127.0.0.2", "worse.dest A 127.0.0.3"],
    ["dest MX 10 other-name", "dest MX 20 worse.dest", "other-name A 127.0.0.9", "worse.dest A 127.0.0.3"],
    ["dest A 127.0.0.9"],
], ids=["our name", "another name of our listener", "address of our listener"])
def test_mail_that_leads_back_to_us_fails(internet, records):
    """5.4.6, and no copy goes around."""
    internet.names(*records)
    worse = internet.host("127.0.0.3")
    internet.daemon(listeners=[{"protocol": "smtp", "address": f"127.0.0.9:{internet.port}",
                                "relay_from": ["127.0.0.0/8"]}])
    fields = internet.failed(internet.send("bob@dest.example"))
    assert (fields["Action"], fields["Status"]) == ("failed", "5.4.6")
    assert worse.connections == 0
    assert internet.node.summary()["accepted"] == 2  # with the notice


def test_a_listener_on_all_addresses_is_us_on_each_of_them(internet):
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.1")
    internet.release_port()
    internet.daemon(listeners=[{"protocol": "smtp", "address": f"0.0.0.0:{internet.port}",
                                "relay_from": ["127.0.0.0/8"]}])
    assert internet.failed(internet.send("bob@dest.example"))["Status"] == "5.4.6"


def test_a_loop_that_the_dns_does_not_show_ends_by_counting_hops(internet):
    """A smart host that is another name of ours: each round adds a Received field."""
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2")
    internet.daemon(tables={'route."dest.example"': {"next_hop": ["127.0.0.1:1"]}})
    node = internet.node
    node.tables['route."dest.example"'] = {"next_hop": [f"127.0.0.1:{node.smtp_port}"]}
    node.reload()
    node.wait_until(lambda: "reload" in node.log(), what="the reload")
    id = internet.send("bob@dest.example")
    node.wait_until(lambda: node.summary()["queued"] == 0 and internet.notices.messages, 60, "the end of the loop")
    (message,) = internet.notices.messages
    assert b"Status: 5.4.6" in message.content
    assert node.summary()["accepted"] <= 110 and id


# ---- addresses that are nobody's business -----------------------------------------------------------


PRIVATE = {"A": ["127.0.0.2", "127.255.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.1.1", "0.0.0.0",
                 "100.64.1.1", "224.0.0.1", "255.255.255.255"],
           "AAAA": ["::1", "::", "::ffff:127.0.0.2", "fe80::1", "fd00::1", "ff02::1", "64:ff9b::7f00:2",
                    "::127.0.0.2", "2002:7f00:2::"]}


@pytest.mark.parametrize("kind", PRIVATE)
def test_private_addresses_are_refused_for_mx_hosts(internet, kind):
    internet.names(*(line for number, address in enumerate(PRIVATE[kind]) for line in
                     (f"d{number} MX 10 mx.d{number}", f"mx.d{number} {kind} {address}")))
    hosts = [internet.host("127.0.0.2"), internet.host("::1")]
    internet.daemon(dns={"allow_private": False})
    ids = {address: internet.send(f"bob@d{number}.example") for number, address in enumerate(PRIVATE[kind])}
    for address, id in ids.items():
        waits = internet.deferred(id)
        assert "allow_private" in waits["text"] and waits["enhanced"] == "4.4.4", (address, waits)
    assert [host.connections for host in hosts] == [0, 0]


def test_a_private_host_beside_a_public_one_is_left_out(internet):
    """The other is unreachable from here; what matters is that the private one is not asked."""
    internet.names("dest MX 10 mx.dest", "dest MX 20 public.dest", "mx.dest A 127.0.0.2", "public.dest A 192.0.2.1")
    host = internet.host("127.0.0.2")
    internet.daemon(dns={"allow_private": False}, tables={"timeouts": {"connect": "500ms"}})
    waits = internet.deferred(internet.send("bob@dest.example"))
    assert waits["host"].startswith("public.dest.example"), waits
    assert host.connections == 0


def test_private_addresses_of_implicit_mx_and_of_literals_are_refused(internet):
    internet.names("dest A 127.0.0.2", "localhost A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon(dns={"allow_private": False})
    for destination in ("dest.example", "[127.0.0.2]", "localhost.example"):
        waits = internet.deferred(internet.send(f"bob@{destination}"))
        assert "allow_private" in waits["text"], waits
    assert host.connections == 0


def test_a_smart_host_may_be_private(internet):
    """The operator wrote it, not a foreign zone."""
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.3")
    smart, mx = internet.host("127.0.0.2"), internet.host("127.0.0.3")
    internet.daemon(dns={"allow_private": False},
                    tables={'route."dest.example"': {"next_hop": [f"127.0.0.2:{internet.port}"]}})
    internet.delivered(internet.send("bob@dest.example"))
    assert len(smart.taken) == 1 and mx.connections == 0


def test_localhost_as_mx_is_refused(internet):
    """The hosts file knows it, and that changes nothing."""
    internet.names("dest MX 10 localhost.")
    host = internet.host("::1")
    internet.daemon(dns={"allow_private": False})
    waits = internet.deferred(internet.send("bob@dest.example"))
    assert "allow_private" in waits["text"], waits
    assert host.connections == 0
