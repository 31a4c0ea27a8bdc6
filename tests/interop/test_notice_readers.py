"""Three programs that read bounces, none of them ours, understand our notices alike: flufl.bounce
(Mailman's), Sisimai, and Mail::DeliveryStatus::BounceParser. Each situation of situations.py is brought
about once; all name who failed, and the last two also why, in their own words.

Where they differ, they read RFC 3464 differently, and say the same of anybody's notices:
- Original-Recipient, where the sender gave an ORCPT, is the recipient for flufl.bounce and BounceParser;
  Sisimai takes Final-Recipient for it, and the original for its alias.
- Status of a recipient that expired is 5.4.7 (RFC 3463 §3.5). Sisimai prefers a code that it finds in the
  Diagnostic-Code, the temporary one of the last reply, since it tells more.
- BounceParser has few reasons: size is over_quota, and what it has no word for is unknown.
"""

import email
import json
import pathlib
import subprocess

import pytest
from flufl.bounce import all_failures

from situations import OTHERS, SITUATIONS, bring_about, report_groups

READERS = pathlib.Path(__file__).resolve().parent / "readers"

# {situation: (Sisimai's reason, BounceParser's)}, for all its recipients, or a list in their order.
REASONS = {
    "unknown": ("userunknown", "user_unknown"),
    "unknown-plain": ("filtered", "user_unknown"),
    "mailbox-full": ("mailboxfull", "over_quota"),
    "mailbox-full-for-good": ("mailboxfull", "over_quota"),
    "host-not-found": ("hostunknown", "domain_error"),
    "null-mx": ("notaccept", "unknown"),
    "tls-required": ("onhold", "unknown"),
    "size": ("mesgtoobig", "over_quota"),
    "size-at-dot": ("mesgtoobig", "over_quota"),
    "seven-bit-signed": ("contenterror", "unknown"),
    "greylisted": ("blocked", "unknown"),
    "several": (["userunknown", "mailboxfull", "hasmoved", "filtered"],
                ["user_unknown", "over_quota", "unknown", "user_disabled"]),
    "partial": ("userunknown", "user_unknown"),
    "long-reply": ("securityerror", "unknown"),
    "non-ascii-reply": ("userunknown", "user_unknown"),
    "multi-line-reply": ("securityerror", "unknown"),
    "spam": ("spamdetected", "spam"),
    "lmtp": ("mailboxfull", "over_quota"),
    "operator": ("securityerror", "unknown"),
    "subject": ("userunknown", "user_unknown"),
    "orcpt": ("userunknown", "user_unknown"),
    "envid": ("userunknown", "user_unknown"),
    "full-content": ("userunknown", "user_unknown"),
    "connection-refused": ("expired", "domain_error"),
    "relaying-denied": ("norelaying", "domain_error"),
    "sender-refused": ("rejected", "unknown"),
}
# What Sisimai finds in the Diagnostic-Code of those that expired.
SISIMAI_STATUS = {"mailbox-full": "4.2.2", "greylisted": "4.7.1", "connection-refused": "4.4.1"}
ORIGINAL = {"orcpt": "ann+list@orig.example"}


def reader(name, folder):
    result = subprocess.run(["/usr/bin/perl", str(READERS / name), str(folder)], capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Read:
    """The notices, and what the two Perl programs make of them."""

    def __init__(self, folder, notices):
        self.notices = notices
        for name, content in notices.items():
            (folder / f"{name}.eml").write_bytes(content.replace(b"\r\n", b"\n"))
        self.sisimai = reader("sisimai.pl", folder)
        self.bounceparser = reader("bounceparser.pl", folder)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notices")
    found = bring_about(folder / "node", SITUATIONS)
    assert {name: len(notices) for name, notices in found.items()} == dict.fromkeys(SITUATIONS, 1)
    return Read(folder, {name: notices[0] for name, notices in found.items()})


@pytest.fixture(params=SITUATIONS)
def situation(request):
    return request.param


def named(situation):
    """What flufl.bounce and BounceParser take for the recipients."""
    if situation in ORIGINAL:
        return {ORIGINAL[situation]}
    return set(SITUATIONS[situation].addresses(situation))


def test_there_are_20_situations():
    assert len(SITUATIONS) >= 20 and SITUATIONS.keys() == REASONS.keys()


def test_the_notice_itself(read, situation):
    groups = report_groups(read.notices[situation])
    assert {group["Final-Recipient"]: group["Status"] for group in groups} == {
        f"rfc822; {address}": status for address, status in SITUATIONS[situation].addresses(situation).items()}
    assert {group["Action"] for group in groups} == {"failed"}


def test_flufl_bounce(read, situation):
    temporary, permanent = all_failures(email.message_from_bytes(read.notices[situation]))
    assert set(temporary) == set()
    assert {address.decode() for address in permanent} == named(situation)


def test_sisimai(read, situation):
    found = read.sisimai[situation]
    addresses = SITUATIONS[situation].addresses(situation)
    assert [result["recipient"] for result in found] == list(addresses)
    assert {result["action"] for result in found} == {"failed"}
    assert {result["from"] for result in found} == {"ann@sender.example"}  # of the message's From field
    reasons = REASONS[situation][0]
    assert [result["reason"] for result in found] == (
        reasons if isinstance(reasons, list) else [reasons] * len(found))
    for result in found:
        assert result["status"] == SISIMAI_STATUS.get(situation, addresses[result["recipient"]])
        assert result["alias"] == ORIGINAL.get(situation, "")


def test_bounceparser(read, situation):
    found = read.bounceparser[situation]
    addresses = SITUATIONS[situation].addresses(situation)
    assert found["is_bounce"] == 1
    assert set(found["addresses"]) == named(situation)
    assert found["message_id"].strip() == "<offer.1@sender.example>"
    assert {report["action"].strip() for report in found["reports"]} == {"failed"}
    assert sorted(report["status"].strip() for report in found["reports"]) == sorted(addresses.values())
    reasons = REASONS[situation][1]
    assert [report["std_reason"] for report in found["reports"]] == (
        reasons if isinstance(reasons, list) else [reasons] * len(found["reports"]))


def test_what_nobody_said_is_not_attributed_to_a_server(read):
    """RFC 3464 §2.3.5, §2.3.6: Remote-MTA and a Diagnostic-Code of type smtp only where a server said so."""
    for situation in ("connection-refused", "host-not-found", "null-mx", "size", "seven-bit-signed", "operator"):
        (group,) = report_groups(read.notices[situation])
        assert "Remote-MTA" not in group, situation
        assert not group.get("Diagnostic-Code", "").startswith("smtp;"), situation


# ---- other notices ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    found = bring_about(folder / "node", OTHERS, tables={"notify": {"delay": ["1s"]}})
    assert {name: len(notices) for name, notices in found.items()} == dict.fromkeys(OTHERS, 1)
    return Read(folder, {name: notices[0] for name, notices in found.items()})


@pytest.mark.parametrize("situation", ["delayed", "relayed", "delivered"])
def test_what_is_no_failure_is_taken_for_none(others, situation):
    """A list manager that took one for a bounce would drop the subscriber. BounceParser leaves a
    delay alone, flufl.bounce calls it temporary; Sisimai tells all, and success only if asked."""
    expected = OTHERS[situation]
    (address, status), = expected.addresses(situation).items()
    (group,) = report_groups(others.notices[situation])
    assert (group["Final-Recipient"], group["Action"], group["Status"]) == (
        f"rfc822; {address}", expected.action, status)
    temporary, permanent = all_failures(email.message_from_bytes(others.notices[situation]))
    assert set(permanent) == set()
    assert set(temporary) == ({address.encode()} if situation == "delayed" else set())
    assert others.bounceparser[situation]["reports"] == []
    (found,) = others.sisimai[situation]
    assert (found["recipient"], found["action"], found["status"]) == (address, expected.action, status)
    assert found["reason"] == ("blocked" if situation == "delayed" else "delivered")


def test_an_international_recipient(others):
    """RFC 6533, to a sender whose own address is ASCII. flufl.bounce and Sisimai, as Debian 12 has them,
    know no address type utf-8 and find nothing; BounceParser keeps the escaped address."""
    (group,) = report_groups(others.notices["international"])
    assert (group["Action"], group["Status"]) == ("failed", "5.6.7")
    assert all_failures(email.message_from_bytes(others.notices["international"])) == (set(), set())
    assert others.sisimai.get("international", []) == []
    (report,) = others.bounceparser["international"]["reports"]
    assert report["status"].strip() == "5.6.7"
    assert report["email"] in ("björn@international.example", r"bj\x{F6}rn@international.example")
