"""What the daemon says of its mail, checked against promise and expectation."""


def totals(daemon):
    """The totals; accepted must be the sum of all fates at any moment."""
    summary = daemon.summary()
    assert summary["balanced"]
    return {name: summary[name] for name in ("accepted", "delivered", "failed", "queued")}


def wait_for(daemon, timeout=30, **expected):
    """Until the totals are as expected; those not named do not matter."""
    def reached():
        current = totals(daemon)
        return all(current[name] == value for name, value in expected.items())

    daemon.wait_until(reached, timeout, str(expected))


def wait_for_settled(daemon):
    wait_for(daemon, queued=0)
