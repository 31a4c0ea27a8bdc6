"""Destinations and routes: international domains, address literals, routes by sender, and what
`mansio probe` says of them."""

import smtplib
import ssl

import pytest

from internet import SENDER


def one_host(internet, *records, address="127.0.0.2", **options):
    internet.names("dest MX 10 mx.dest", f"mx.dest A {address}", *records)
    return internet.host(address, **options)


# ---- destinations ---------------------------------------------------------------------------------


def test_an_international_domain_is_looked_up_by_its_a_labels(internet):
    host = one_host(internet, "xn--bcher-kva MX 10 mx.dest")
    internet.daemon()
    internet.delivered(internet.send("bob@xn--bcher-kva.example"))
    assert host.recipients() == ["bob@xn--bcher-kva.example"]


def test_an_international_address_reaches_its_domain(internet):
    """As U-labels in the envelope, as A-labels in the DNS."""
    host = one_host(internet, "xn--bcher-kva MX 10 mx.dest", enable_SMTPUTF8=True)
    internet.daemon()
    with smtplib.SMTP("127.0.0.1", internet.node.smtp_port, "client.test.example", timeout=20) as client:
        client.sendmail(SENDER, ["björn@bücher.example"], "Subject: Grüße\r\n\r\nhello\r\n".encode(),
                        mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    internet.settled()
    ((sender, recipient, content),) = host.taken
    assert sender == SENDER
    assert recipient in ("björn@bücher.example", "björn@xn--bcher-kva.example")
    assert "Subject: Grüße".encode() in content


def test_the_case_of_a_domain_does_not_matter(internet):
    host = one_host(internet)
    internet.daemon()
    internet.delivered(internet.send("Bob@DEST.Example"))
    assert host.recipients()[0].split("@")[0] == "Bob"


@pytest.mark.parametrize("literal, address", [("[127.0.0.2]", "127.0.0.2"), ("[IPv6:::1]", "::1")])
def test_an_address_literal_is_the_host(internet, literal, address):
    """RFC 5321 §4.1.3: no lookup at all."""
    names = internet.scripted(lambda query, over_tcp: query.answer(code="SERVFAIL"))
    host = internet.host(address)
    internet.daemon(names)
    internet.delivered(internet.send(f"bob@{literal}"))
    assert host.recipients() == [f"bob@{literal}"]
    assert names.queries == []


def test_the_null_sender_is_delivered_too(internet):
    host = one_host(internet)
    internet.daemon()
    internet.delivered(internet.send("bob@dest.example", sender=""))
    assert host.taken[0][:2] in (("", "bob@dest.example"), ("<>", "bob@dest.example"), (None, "bob@dest.example"))


# ---- routes ---------------------------------------------------------------------------------------


def test_a_route_by_sender_leads_elsewhere(internet):
    """Mail of a newsletter goes through its own relay, all other mail to the MX. A route that is only for
    some senders changes nothing for others."""
    mx = one_host(internet)
    relay, special = internet.host("127.0.0.3"), internet.host("127.0.0.4")
    internet.daemon(tables={
        'route."*".sender."*@news.example"': {"next_hop": [f"127.0.0.3:{internet.port}"]},
        'route."dest.example".sender."boss@sender.test"': {"next_hop": [f"127.0.0.4:{internet.port}"]}})
    for sender, host in ((SENDER, mx), ("boss@sender.test", special)):
        internet.delivered(internet.send("bob@dest.example", sender=sender))
        assert [mail[0] for mail in host.taken] == [sender], sender
    internet.delivered(internet.send("bob@elsewhere.example", sender="daily@news.example"))
    assert [mail[:2] for mail in relay.taken] == [("daily@news.example", "bob@elsewhere.example")]
    assert (len(mx.taken), len(special.taken)) == (1, 1)


def test_the_most_specific_destination_wins(internet):
    """Exact, then the longest suffix, then *; a route without next_hop looks the MX up."""
    mx = one_host(internet, "sub.dest MX 10 mx.dest", "deep.sub.dest MX 10 mx.dest")
    exact, suffix, longer = (internet.host(f"127.0.0.{last}") for last in (3, 4, 5))
    internet.daemon(tables={
        'route."exact.dest.example"': {"next_hop": [f"127.0.0.3:{internet.port}"]},
        'route."*.dest.example"': {"next_hop": [f"127.0.0.4:{internet.port}"]},
        'route."*.sub.dest.example"': {"next_hop": [f"127.0.0.5:{internet.port}"]}})
    for destination in ("dest", "exact.dest", "sub.dest", "deep.sub.dest"):
        internet.delivered(internet.send(f"bob@{destination}.example"))
    assert mx.recipients() == ["bob@dest.example"]
    assert exact.recipients() == ["bob@exact.dest.example"]
    assert suffix.recipients() == ["bob@sub.dest.example"]
    assert longer.recipients() == ["bob@deep.sub.dest.example"]


def test_the_name_of_a_smart_host_is_looked_up(internet):
    """Its addresses, not its MX."""
    internet.names("smart A 127.0.0.2", "smart MX 10 other", "other A 127.0.0.3")
    smart, other = internet.host("127.0.0.2"), internet.host("127.0.0.3")
    internet.daemon(dns={"allow_private": False},
                    tables={'route."dest.example"': {"next_hop": [f"smart.example:{internet.port}"]}})
    internet.delivered(internet.send("bob@dest.example"))
    assert len(smart.taken) == 1 and other.connections == 0


def test_a_smart_host_that_does_not_exist_defers(internet):
    """An error of the settings is for the operator to put right; the mail waits for it."""
    internet.names("dest A 127.0.0.2")
    internet.daemon(tables={'route."dest.example"': {"next_hop": ["unknown.example:25"]}})
    waits = internet.deferred(internet.send("bob@dest.example"))
    assert "unknown.example" in waits["text"]


def test_a_reload_that_changes_the_route_holds_for_what_waits(internet):
    internet.names("dest MX 10 down.dest", "down.dest A 127.0.0.2")
    relay = internet.host("127.0.0.3")
    node = internet.daemon()
    id = internet.send("bob@dest.example")
    internet.deferred(id)
    node.tables['route."dest.example"'] = {"next_hop": [f"127.0.0.3:{internet.port}"]}
    node.reload()

    def retried():
        node.command("retry", id)
        return relay.taken

    node.wait_until(retried, what="delivery by the new route")
    internet.settled(id)


# ---- probe ----------------------------------------------------------------------------------------


def test_probe_shows_route_hosts_addresses_and_what_each_says(internet):
    internet.names("dest MX 20 down.dest", "dest MX 10 mx.dest", "dest MX 5 127.0.0.9.", "dest MX 30 nowhere.dest",
                   "mx.dest A 127.0.0.2", "down.dest A 127.0.0.3")
    host = internet.host("127.0.0.2")
    internet.daemon()
    report = internet.probe("dest.example")
    assert (report["destination"], report["route"], report["how"]) == ("dest.example", "*", "mx")
    first, second = report["addresses"]
    assert (first["host"], first["address"], first["preference"]) == (
        "mx.dest.example", f"127.0.0.2:{internet.port}", 10)
    assert first["ok"] and "host.test.example" in first["greeting"]
    assert "8BITMIME" in first["extensions"]
    assert (second["host"], second["ok"]) == ("down.dest.example", False) and "refused" in second["trouble"]
    assert any("127.0.0.9" in line for line in report["left_out"])
    assert any("nowhere.dest.example" in line for line in report["left_out"])
    text = internet.node.command("probe", "dest.example")
    assert text.returncode == 0, text
    for word in ("mx.dest.example", "127.0.0.2", "8BITMIME", "down.dest.example", "refused", "nowhere"):
        assert word in text.stdout, (word, text.stdout)
    # No mail, and nothing remembered.
    assert host.offered == [] and internet.node.summary()["accepted"] == 0
    internet.host("127.0.0.3")
    internet.delivered(internet.send("bob@dest.example"))
    assert len(host.taken) == 1


def test_probe_says_why_there_is_no_host(internet):
    """A null MX, NXDOMAIN, and a name server that refuses."""
    internet.names("null MX 0 .")
    internet.daemon()
    for destination, final in (("null.example", True), ("unknown.example", True), ("dest.outside", False)):
        report = internet.probe(destination)
        assert report["addresses"] == [] and report["failure"], report
        assert report["failure_is_final"] == final, report


def test_probe_of_a_smart_host_and_of_a_literal(internet):
    one_host(internet)
    internet.daemon(tables={'route."smart.example"': {"next_hop": [f"127.0.0.2:{internet.port}"]}})
    assert internet.probe("smart.example")["how"] == "next_hop"
    report = internet.probe("[127.0.0.2]")
    assert report["how"] == "address literal" and report["addresses"][0]["ok"]


def test_probe_shows_tls(internet, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    one_host(internet, tls_context=context)
    internet.daemon()
    (address,) = internet.probe("dest.example")["addresses"]
    assert address["ok"] and address["tls"].startswith("TLSv1.3"), address
    assert not address["tls_verified"] and "STARTTLS" not in address["extensions"]


def test_probe_of_500_hosts_is_bounded(internet):
    """The best come first."""
    internet.names(*(f"dest MX {number} mx{number}.dest" for number in range(500, 0, -1)),
                   *(f"mx{number}.dest A 127.0.1.{number % 250 + 1}" for number in range(1, 501)))
    internet.daemon()
    addresses = internet.probe("dest.example")["addresses"]
    assert 2 <= len(addresses) <= 20
    assert [address["preference"] for address in addresses] == list(range(1, len(addresses) + 1))
