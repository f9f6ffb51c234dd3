"""What was found on all hosts, put together: certificates and clocks are judged here, on the controller."""

from __future__ import annotations

import datetime
import ipaddress
import os

from cryptography import x509

# Leases and certificates suffer from more; etcd itself warns above one second between peers.
CLOCK_WARNS, CLOCK_STOPS = 1.0, 5.0
# NAME.crt is the peer certificate of the host NAME, beside these.
CERTIFICATES = ("ca", "server", "etcd-client")
SET_CLOCK = "Set the clock right, for example with: timedatectl set-ntp true"


def etcd_inventory_mistake(addresses):
    """What is wrong with the members' names and addresses, as a sentence; '' when nothing is. addresses: host -> private_ipv4."""
    if not addresses:
        return "The inventory group of etcd's members has no host. Name the group in etcd_group."
    taken = {}
    for host, address in addresses.items():
        if host in CERTIFICATES:
            return "A host cannot be named %s: its peer certificate would be the file %s.crt, which is another one. Give it another name in the inventory." % (host, host)
        if not address:
            return "%s has no private_ipv4 in the inventory. Give every member its own address there." % host
        try:
            ipaddress.IPv4Address(address)
        except ValueError:
            return "%s's private_ipv4 in the inventory, %s, is no IPv4 address. Correct it." % (host, address)
        if address in taken:
            return "%s and %s have the same private_ipv4 in the inventory, %s. Give every member its own." % (taken[address], host, address)
        taken[address] = host
    return ""


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
            *look["checks"],
            *reaches.get(host, {}).get("checks", []),
            _clock(host, offsets, {name: reach.get("offsets", {}) for name, reach in reaches.items()}),
            _certificates(pki_directory, host, addresses[host], now),
        ]
        for host, look in looks.items()
    }


def etcd_doctor_complaint(report):
    """What stops the run: a line for each host's first failed check, with its remedy; '' when nothing does."""
    lines = []
    for host, rows in sorted(report.items()):
        failed = [row for row in rows if not row["ok"]]
        if failed:
            lines.append("%s: %s What helps: %s" % (host, failed[0]["detail"], failed[0]["remedy"]))
    return "\n".join(lines)


def _bounds(clock, now):
    """(least, most) seconds that the host's clock is ahead of ours. The way there and back makes it no single number."""
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


def _certificates(folder, host, address, now):
    """Whether the host's certificates are valid and name its address: etcd refuses a peer whose own address is missing."""
    for name in ("server", host):
        path = os.path.join(folder, host, name + ".crt")
        try:
            with open(path, "rb") as file:
                certificate = x509.load_pem_x509_certificate(file.read())
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.IPAddress)
        except (OSError, ValueError, x509.ExtensionNotFound) as error:
            return _row("certificates", False, False, "%s cannot be used: %s." % (path, error), "Issue it again, with %s among its SANs." % address)
        if ipaddress.ip_address(address) not in names:
            return _row("certificates", False, False, "%s does not name %s among its SANs." % (path, address), "Issue it again, or correct private_ipv4 in the inventory.")
        if certificate.not_valid_after < datetime.datetime.utcfromtimestamp(now):
            return _row("certificates", False, False, "%s expired on %s." % (path, certificate.not_valid_after.date()), "Issue it again.")
    return _row("certificates", True, False, "name %s" % address, "")


def _row(check, ok, warning, detail, remedy):
    return {"check": check, "ok": ok, "warning": warning, "detail": detail, "remedy": remedy}


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Their names in templates."""
        return {"etcd_inventory_mistake": etcd_inventory_mistake, "etcd_doctor_targets": etcd_doctor_targets, "etcd_doctor_report": etcd_doctor_report, "etcd_doctor_complaint": etcd_doctor_complaint}
