"""Debian's Postfix as the other relay: unpacked, on loopback, its concurrency raised, its syncs its own."""

import contextlib
import tempfile
import time

from harness import Failed, resources
from harness.processes import Load
from harness.relay import relayed

# What lets it use the machine; nothing here touches what it writes or syncs.
SETTINGS = {
    "default_process_limit": 300,
    "smtpd_client_connection_count_limit": 0,
    "smtpd_client_connection_rate_limit": 0,
    "smtpd_peername_lookup": "no",
    "disable_dns_lookups": "yes",
    "in_flow_delay": "0",
    "qmgr_message_active_limit": 50000,
    "qmgr_message_recipient_limit": 50000,
    "default_destination_concurrency_limit": 128,
    "relay_destination_concurrency_limit": 128,
    "initial_destination_concurrency": 64,
    "smtp_connection_cache_on_demand": "yes",
    "relay_domains": "healthy.example",
    "relay_recipient_maps": "",
    "smtpd_recipient_restrictions": "",
    "smtp_tls_security_level": "none",
}


@contextlib.contextmanager
def running_postfix(bench, sink):
    """A Postfix that relays everything to `sink`, with its queue on the disk that is measured."""
    import peers  # tests/interop

    usual = tempfile.tempdir
    tempfile.tempdir = str(bench.new_folder("postfix-queue"))
    try:
        postfix = peers.Postfix("healthy.example", [], {
            **SETTINGS, "relay_transport": f"smtp:[127.0.0.1]:{sink.port}"})
    finally:
        tempfile.tempdir = usual
    try:
        yield postfix
    finally:
        postfix.close()


def relay_through_postfix(postfix, sink, messages):
    master = postfix.process.pid
    before, processor = sink.arrivals(), resources.family_processor_seconds(master)
    sent = Load(postfix.port, messages).result()
    after = sink.wait_for(before.messages + messages, 300)
    wait_until_empty(postfix)
    processor = resources.family_processor_seconds(master) - processor
    return relayed(before, after, sent, messages, processor)


def wait_until_empty(postfix, timeout=30):
    end = time.monotonic() + timeout
    while any(path.is_file() for name in ("incoming", "active", "deferred")
              for path in (postfix.folder / "spool" / name).rglob("*")):
        if time.monotonic() > end:
            raise Failed("Postfix still has mail: " + postfix.log()[-1000:])
        time.sleep(0.05)
