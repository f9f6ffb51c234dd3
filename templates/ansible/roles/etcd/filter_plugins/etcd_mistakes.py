"""What cannot be meant, in the inventory and among the variables; found before any host is looked at."""

from __future__ import annotations

import ipaddress
import re

# NAME.crt is the peer certificate of the host NAME, beside these.
CERTIFICATES = ("ca", "server", "etcd-client")
CONTROL = re.compile(r"[\x00-\x1f]")


def etcd_mistakes(addresses, environment, derived, refused, ports):
    """Findings, none where there is no mistake. addresses: host -> its address; environment: etcd_environment;
    derived: the variables that the role sets; refused: those that nobody may set, with the reasons; ports: name ->
    port, 0 for none."""
    broken = [name for name, value in environment.items() if CONTROL.search("%s=%s" % (name, value))]
    overruled = [name for name in environment if name in derived]
    mistakes = _mistakes_of_inventory(addresses) + _mistakes_of_ports(ports)
    if broken:
        mistakes.append(
            _finding(
                "environment",
                "etcd_environment: %s must be on one line, without control characters." % ", ".join(broken),
            )
        )
    if overruled:
        mistakes.append(
            _finding("environment", "etcd_environment: %s is derived and cannot be set." % ", ".join(overruled))
        )
    mistakes += [
        _finding("environment", "etcd_environment: %s cannot be set: %s." % (name, refused[name]))
        for name in environment
        if name in refused
    ]
    return mistakes


def _mistakes_of_inventory(addresses):
    if not addresses:
        return [
            _finding("inventory", "The inventory group of etcd's members has no host.", "Name the group in etcd_group.")
        ]
    mistakes, taken = [], {}
    for host, address in addresses.items():
        if host in CERTIFICATES:
            mistakes.append(
                _finding(
                    "inventory",
                    "A host cannot be named %s: its peer certificate would be the file %s.crt, which is another one."
                    % (host, host),
                    "Give it another name in the inventory.",
                )
            )
        elif not address:
            mistakes.append(
                _finding(
                    "inventory",
                    "%s has no private_ipv4 or private_ipv6 in the inventory." % host,
                    "Give every member its own address there.",
                )
            )
        elif why_no_hosts(address):
            mistakes.append(
                _finding(
                    "inventory",
                    "%s's address in the inventory, %s, %s." % (host, address, why_no_hosts(address)),
                    "Correct it.",
                )
            )
        elif address in taken:
            mistakes.append(
                _finding(
                    "inventory",
                    "%s and %s have the same address in the inventory, %s." % (taken[address], host, address),
                    "Give every member its own.",
                )
            )
        taken.setdefault(address, host)
    return mistakes


def _mistakes_of_ports(ports):
    found, taken = [], {}
    for name, port in ports.items():
        if int(port) and int(port) in taken:
            found.append(
                _finding(
                    "inventory", "%s and %s are the same port, %s." % (taken[int(port)], name, port), "Choose others."
                )
            )
        taken.setdefault(int(port), name)
    return found


def why_no_hosts(text):
    """Why an address cannot be one host's, as a clause; None where it can."""
    plain, _percent, zone = text.partition("%")
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return "is no IP address"
    mapped = address.version == 6 and address.ipv4_mapped
    reasons = {
        "is link-local: on each interface it is another host": address.version == 6 and address.is_link_local,
        "has a zone: give the address without it": zone,
        "is multicast": address.is_multicast,
        "is an IPv4 address in the form of IPv6: give it as %s" % mapped: mapped,
        "is one that no host can have": _is_nobodys(address),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _is_nobodys(address):
    """RFC 6890, and RFC 4291, 2.5.5.1: the old form ::10.0.0.1."""
    if address.version == 4:
        return not 0 < int(address) >> 24 < 224
    return int(address) != 1 and int(address) >> 32 == 0


def _finding(code, detail, remedy=""):
    return {"code": code, "detail": detail, "remedy": remedy}


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Their names in templates."""
        return {"etcd_mistakes": etcd_mistakes}
