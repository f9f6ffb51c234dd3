"""What was found on all hosts, put together: certificates and clocks are judged here, on the controller."""

from __future__ import annotations

import datetime
import ipaddress
import os

from cryptography import x509

# Leases and certificates suffer from more; etcd itself warns above one second between peers.
CLOCK_WARNS, CLOCK_STOPS = 1.0, 5.0
SET_CLOCK = "Set the clock right, for example with: timedatectl set-ntp true"


def etcd_doctor_targets(looks, addresses, host):
    """Whom a host calls: the others, on each port where something of ours listens."""
    return [
        {"name": other, "address": addresses[other], "port": int(port), "greets": who == "listener"}
        for other, look in looks.items()
        if other != host
        for port, who in look["listens"].items()
    ]


def etcd_doctor_report(looks, reaches, addresses, pki_directory, now):
    """host -> rows of {check, ok, warning, detail, remedy}.

    looks, reaches: host -> what etcd_doctor returned; now: the controller's clock, read after all looks came back.
    """
    offsets = {host: _bounds(look["clock"], now) for host, look in looks.items()}
    return {
        host: [
            *_of_cluster(host, looks),
            *reaches.get(host, {}).get("checks", []),
            _clock(host, offsets, {name: reach.get("offsets", {}) for name, reach in reaches.items()}),
            _certificates(pki_directory, host, addresses[host], reaches.get(host, {}).get("sources", []), now),
        ]
        for host, look in looks.items()
    }


def etcd_doctor_refusals(report):
    """What stops the run: for each host its first failed check, as a finding whose code is the check's name; none when
    nothing does."""
    failed = [(host, next((row for row in rows if not row["ok"]), None)) for host, rows in sorted(report.items())]
    return [
        {"code": row["check"], "host": host, "detail": "%s: %s" % (host, row["detail"]), "remedy": row["remedy"]}
        for host, row in failed
        if row
    ]


def _of_cluster(host, looks):
    """The host's own checks. An etcd that runs with another authority's ca.crt is another cluster's; but where any host
    has ours, that one has the wrong certificates, and gets its own."""
    authorities = [look.get("authority") for look in looks.values()]
    cut_off = looks[host].get("running") and looks[host]["authority"] == "another" and "ours" not in authorities
    return [
        _OTHER_AUTHORITY if cut_off and row["check"] == "cluster" and row["ok"] else row
        for row in looks[host]["checks"]
    ]


def _bounds(clock, now):
    """(least, most) seconds that the host's clock is ahead of ours. The way there and back makes it no single
    number."""
    return clock["ended"] - now, clock["began"] - clock["sent"]


def _clock(host, offsets, measured):
    """The worst that is certain: against the controller, and against each other host."""
    least, most = offsets[host]
    found = [(max(least, -most, 0), "the controller's", least > 0)]
    for other, (other_least, other_most) in offsets.items():
        if other != host:
            found.append((max(least - other_most, other_least - most, 0), "%s's" % other, least > other_most))
            if other in measured.get(host, {}):
                found.append((abs(measured[host][other]), "%s's" % other, measured[host][other] < 0))
    off, whose, ahead = max(found)
    detail = "The clock is %.1f s %s %s." % (off, "ahead of" if ahead else "behind", whose)
    if off >= CLOCK_STOPS:
        return _row("clock", False, False, detail, SET_CLOCK)
    if off > CLOCK_WARNS:
        return _row("clock", True, True, detail, SET_CLOCK)
    return _row("clock", True, False, "within %g s of the others'" % CLOCK_WARNS, "")


def _certificates(folder, host, address, sources, now):
    """Whether the host's certificates are valid and name its address, and those that it calls the others from: etcd
    refuses a peer whose own address is missing."""
    for name in ("server", host):
        path = os.path.join(folder, host, name + ".crt")
        try:
            with open(path, "rb") as file:
                certificate = x509.load_pem_x509_certificate(file.read())
            names = certificate.extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value.get_values_for_type(x509.IPAddress)
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            return _row(
                "certificates",
                False,
                False,
                "%s cannot be used: %s." % (path, error),
                "Issue it again, with %s among its SANs." % address,
            )
        if ipaddress.ip_address(address) not in names:
            return _row(
                "certificates",
                False,
                False,
                "%s does not name %s among its SANs." % (path, address),
                "Issue it again, or correct private_ipv4 (private_ipv6) in the inventory.",
            )
        begins, ends = _utc(certificate, "not_valid_before"), _utc(certificate, "not_valid_after")
        at = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
        if not begins <= at <= ends:
            when = "expired on %s." % ends.date() if at > ends else "is not valid before %s." % begins.date()
            return _row("certificates", False, False, "%s %s" % (path, when), "Issue it again.")
    strange = [source for source in sources if ipaddress.ip_address(source) not in names]
    if strange:
        return _row(
            "certificates",
            True,
            True,
            "This host calls the others from %s, which %s does not name: they may not let it in." % (strange[0], path),
            "Issue it again, with that address among its SANs, or have the host call from %s." % address,
        )
    return _row("certificates", True, False, "name %s" % address, "")


def _utc(certificate, name):
    """A moment that a certificate names; cryptography before 42 gives it without its zone, which is UTC."""
    zoned = getattr(certificate, name + "_utc", None)
    return zoned or getattr(certificate, name).replace(tzinfo=datetime.timezone.utc)


def _row(check, ok, warning, detail, remedy):
    return {"check": check, "ok": ok, "warning": warning, "detail": detail, "remedy": remedy}


_OTHER_AUTHORITY = _row(
    "cluster",
    False,
    False,
    "etcd runs here with another authority's ca.crt: with ours it would be cut off from its peers and clients.",
    "Point etcd_pki_directory at the certificates of the cluster that this host belongs to.",
)


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Their names in templates."""
        return {
            "etcd_doctor_targets": etcd_doctor_targets,
            "etcd_doctor_report": etcd_doctor_report,
            "etcd_doctor_refusals": etcd_doctor_refusals,
        }
