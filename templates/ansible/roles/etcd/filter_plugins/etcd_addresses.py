"""A host's address in the one form in which it is compared, and in URLs."""

from __future__ import annotations

import ipaddress


def etcd_address(found):
    """The first of these texts that is not empty; an IPv6 address in the form of RFC 5952, as etcd lists it."""
    text = next((str(one) for one in found if one), "")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text  # refused by etcd_mistakes


def etcd_url(address, port, scheme="https"):
    """A member's URL: an IPv6 address stands in brackets there."""
    return "%s://%s:%s" % (scheme, "[%s]" % address if ":" in address else address, port)


class FilterModule:
    """The filters of this file."""

    def filters(self):
        """Their names in templates."""
        return {"etcd_address": etcd_address, "etcd_url": etcd_url}
