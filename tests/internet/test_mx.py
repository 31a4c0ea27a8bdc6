"""Which host gets the mail: MX records, their preferences, hosts that are down, address records."""

import time

from internet import QUICK


def test_the_best_preference_gets_it(internet):
    internet.names("dest MX 20 second.dest", "dest MX 10 first.dest", "dest MX 30 third.dest",
                   "first.dest A 127.0.0.2", "second.dest A 127.0.0.3", "third.dest A 127.0.0.4")
    hosts = [internet.host(f"127.0.0.{last}") for last in (2, 3, 4)]
    internet.daemon()
    for _ in range(5):
        internet.delivered(internet.send("bob@dest.example"))
    assert [len(host.taken) for host in hosts] == [5, 0, 0]


def test_equal_preferences_share_the_mail(internet):
    internet.names("dest MX 10 a.dest", "dest MX 10 b.dest", "dest MX 20 c.dest",
                   "a.dest A 127.0.0.2", "b.dest A 127.0.0.3", "c.dest A 127.0.0.4")
    a, b, c = (internet.host(f"127.0.0.{last}") for last in (2, 3, 4))
    internet.daemon()
    for number in range(40):
        internet.send(f"user{number}@dest.example")
    internet.settled()
    # With a fair coin, less than 5 of 40 happens once in a million.
    assert len(a.taken) >= 5 and len(b.taken) >= 5 and c.taken == []
    assert sorted(a.recipients() + b.recipients()) == sorted(f"user{n}@dest.example" for n in range(40))


def test_a_host_that_is_down_is_followed_by_the_next_in_the_same_attempt(internet):
    internet.names("dest MX 10 down.dest", "dest MX 20 full.dest", "dest MX 30 up.dest", "dest A 127.0.0.5",
                   "down.dest A 127.0.0.2", "full.dest A 127.0.0.3", "up.dest A 127.0.0.4")
    full, up, other = (internet.host(f"127.0.0.{last}") for last in (3, 4, 5))
    full.replies["greeting"] = "421 4.3.2 too many connections"
    internet.daemon()
    id = internet.send("bob@dest.example")
    internet.delivered(id)
    assert (len(full.taken), up.recipients(), other.taken) == (0, ["bob@dest.example"], [])
    assert full.connections == 1
    # One attempt, and its record names the host that took it.
    attempts = [event for event in internet.events(id) if event["event"] in ("deferred", "delivered")]
    assert [event["event"] for event in attempts] == ["delivered"]
    assert attempts[0]["attempt"] == 1


def test_all_addresses_of_a_host_are_tried(internet):
    """RFC 5321 §5.1: at least two."""
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2", "mx.dest A 127.0.0.3", "mx.dest A 127.0.0.4")
    host = internet.host("127.0.0.4")
    internet.daemon()
    for _ in range(3):
        internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 3


def test_all_hosts_down_defers_and_their_return_is_enough(internet):
    internet.names("dest MX 10 a.dest", "dest MX 20 b.dest", "a.dest A 127.0.0.2", "b.dest A 127.0.0.3")
    internet.daemon()
    id = internet.send("bob@dest.example")
    waits = internet.deferred(id)
    assert waits["reason"] in ("backoff", "host_down") and "refused" in waits["text"], waits
    host = internet.host("127.0.0.3")
    assert internet.node.command("retry", id).returncode == 0
    internet.delivered(id)
    assert host.recipients() == ["bob@dest.example"]


def test_without_mx_the_address_record_is_the_mx(internet):
    internet.names("dest A 127.0.0.2", "dest TXT \"v=spf1 -all\"")
    host = internet.host("127.0.0.2")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert host.recipients() == ["bob@dest.example"]


def test_without_mx_and_a_the_aaaa_record_is_the_mx(internet):
    internet.names("dest AAAA ::1")
    host = internet.host("::1")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert host.recipients() == ["bob@dest.example"]


def test_with_an_mx_the_address_record_is_never_used(internet):
    """RFC 5321 §5.1: whatever becomes of the MX hosts."""
    internet.names("dest MX 10 down.dest", "dest A 127.0.0.3", "down.dest A 127.0.0.2")
    other = internet.host("127.0.0.3")
    internet.daemon(retry=QUICK)
    internet.deferred(internet.send("bob@dest.example"))
    internet.node.wait_until(lambda: internet.tries() >= 3, what="three tries")
    assert other.connections == 0


def test_aaaa_before_a_by_default(internet):
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2", "mx.dest AAAA ::1")
    v4, v6 = internet.host("127.0.0.2"), internet.host("::1")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert (len(v4.taken), len(v6.taken)) == (0, 1)


def test_a_before_aaaa_where_ipv4_is_preferred(internet):
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2", "mx.dest AAAA ::1")
    v4, v6 = internet.host("127.0.0.2"), internet.host("::1")
    internet.daemon(dns={"prefer": "ipv4"})
    internet.delivered(internet.send("bob@dest.example"))
    assert (len(v4.taken), len(v6.taken)) == (1, 0)


def test_the_other_family_is_tried_where_the_preferred_one_does_not_answer(internet):
    internet.names("dest MX 10 mx.dest", "mx.dest A 127.0.0.2", "mx.dest AAAA ::1")
    v4 = internet.host("127.0.0.2")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert len(v4.taken) == 1


def test_a_family_that_is_switched_off_is_never_used(internet):
    internet.names("dest MX 10 both.dest", "both.dest A 127.0.0.2", "both.dest AAAA ::1",
                   "six MX 10 only.six", "only.six AAAA ::1")
    v4, v6 = internet.host("127.0.0.2"), internet.host("::1")
    v4.replies["greeting"] = "421 4.3.2 not now"
    internet.daemon(dns={"prefer": "ipv4-only"})
    waits = internet.deferred(internet.send("bob@dest.example"))
    assert waits["code"] == 421
    # The host may well be there for others: not for good.
    waits = internet.deferred(internet.send("bob@six.example"))
    assert waits["enhanced"] == "4.4.4" and "prefer" in waits["text"], waits
    assert v6.connections == 0


def test_the_domain_may_be_a_cname(internet):
    """RFC 5321 §5.1: the MX records are those of the name that it stands for."""
    internet.names("alias CNAME dest", "dest MX 10 mx.dest", "mx.dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    internet.delivered(internet.send("bob@alias.example"))
    # The address is not rewritten.
    assert host.recipients() == ["bob@alias.example"]


def test_a_cname_without_mx_leads_to_the_address(internet):
    internet.names("alias CNAME dest", "dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    internet.delivered(internet.send("bob@alias.example"))
    assert host.recipients() == ["bob@alias.example"]


def test_an_mx_may_name_a_cname(internet):
    """RFC 5321 §5.1 forbids it, much mail would not arrive without it."""
    internet.names("dest MX 10 alias.dest", "alias.dest CNAME mx.dest", "mx.dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1


def test_an_mx_that_is_an_address_is_left_out(internet):
    internet.names("dest MX 10 127.0.0.3.", "dest MX 20 mx.dest", "mx.dest A 127.0.0.2")
    host, other = internet.host("127.0.0.2"), internet.host("127.0.0.3")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1 and other.connections == 0


def test_an_mx_without_an_address_is_left_out(internet):
    internet.names("dest MX 10 nowhere.dest", "dest MX 10 empty.dest", "dest MX 20 mx.dest", "empty.dest TXT \"\"",
                   "mx.dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1


def test_500_mx_are_bounded(internet):
    """The best come first; no more lookups and connections than a few in an attempt."""
    order = [(number * 7) % 500 + 1 for number in range(500)]  # the best is not where one would look first
    internet.names(*(f"dest MX {number} mx{number}.dest" for number in order),
                   *(f"mx{number}.dest A 127.0.0.{2 if number == 1 else 3}" for number in order),
                   *(f"far MX {number} down{number}.far" for number in order),
                   *(f"down{number}.far A 127.0.1.{number % 250 + 1}" for number in order))
    best, other = internet.host("127.0.0.2"), internet.host("127.0.0.3")
    internet.daemon()
    started = time.monotonic()
    internet.delivered(internet.send("bob@dest.example"))
    assert (len(best.taken), len(other.taken)) == (1, 0)
    internet.deferred(internet.send("bob@far.example"))
    assert time.monotonic() - started < 15


def test_500_addresses_are_bounded(internet):
    internet.names("dest MX 10 mx.dest", *(f"mx.dest A 127.0.{number // 250 + 1}.{number % 250 + 1}"
                                           for number in range(500)))
    internet.daemon()
    internet.deferred(internet.send("bob@dest.example"))
    connects = internet.node.log().count("refused")
    assert connects <= 20, connects


def test_names_of_all_lengths_and_characters(internet):
    """63 octets per label, as many in all as fit into an address, digits, hyphens, underscores."""
    label = "a" * 63
    longest = ".".join([label, label, label, "b" * 52])
    assert len(longest + ".example") == 252
    names = [longest, "1.2.3", "_under-score", "x--y"]
    internet.names(*(f"{name} MX 10 _mx.dest" for name in names), "_mx.dest A 127.0.0.2")
    host = internet.host("127.0.0.2")
    internet.daemon()
    for name in names:
        internet.delivered(internet.send(f"b@{name}.example"))
    assert host.recipients() == [f"b@{name}.example" for name in names]


def test_postfix_and_aiosmtpd_are_hosts_of_one_domain(internet):
    """Each recipient's domain has its own hosts, also within one message."""
    internet.names("dest MX 10 down.dest", "dest MX 20 mx.dest", "other MX 0 mx.other",
                   "down.dest A 127.0.0.2", "mx.dest A 127.0.0.3", "mx.other A 127.0.0.4")
    postfix = internet.postfix("127.0.0.3", "dest.example", ["bob", "carol"])
    other = internet.host("127.0.0.4")
    internet.daemon()
    id = internet.send("bob@dest.example", "dave@other.example", "carol@dest.example")
    internet.delivered(id)
    assert other.recipients() == ["dave@other.example"]
    internet.node.wait_until(lambda: len(postfix.discarded()) == 2, what="delivery in Postfix")
    assert {recipient for _, recipient in postfix.discarded()} == {"bob@dest.example", "carol@dest.example"}
    id = internet.send("nobody@dest.example")
    assert internet.failed(id)["Status"] == "5.1.1"
