"""What cannot be meant, in the inventory and among the variables; found before any host is looked at."""

from __future__ import annotations

import ipaddress
import re

# NAME.crt is the peer certificate of the host NAME, beside these.
CERTIFICATES = ("ca", "server", "etcd-client")
CONTROL = re.compile(r"[\x00-\x1f]")


def etcd_mistakes(addresses, environment, derived, refused):
    """Findings, none where there is no mistake. addresses: host -> private_ipv4; environment: etcd_environment;
    derived: the variables that the role sets; refused: those that nobody may set, with the reasons."""
    broken = [name for name, value in environment.items() if CONTROL.search("%s=%s" % (name, value))]
    overruled = [name for name in environment if name in derived]
    mistakes = _mistakes_of_inventory(addresses)
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
                    "%s has no private_ipv4 in the inventory." % host,
                    "Give every member its own address there.",
                )
            )
        elif not _is_address(address):
            mistakes.append(
                _finding(
                    "inventory",
                    "%s's private_ipv4 in the inventory, %s, is no IPv4 address." % (host, address),
                    "Correct it.",
                )
            )
        elif address in taken:
            mistakes.append(
                _finding(
                    "inventory",
                    "%s and %s have the same private_ipv4 in the inventory, %s." % (taken[address], host, address),
                    "Give every member its own.",
                )
            )
        taken.setdefault(address, host)
    return mistakes


def _is_address(text):
    try:
        ipaddress.IPv4Address(text)
        return True
    except ValueError:
        return False


def _finding(code, detail, remedy=""):
    return {"code": code, "detail": detail, "remedy": remedy}


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Their names in templates."""
        return {"etcd_mistakes": etcd_mistakes}
