"""What a run is going to do, decided from what every host looks like and who the live members are.

Pure functions, so that each rule can be read and tested on its own. A "look" is what the module
etcd_host returned for a host with action=look.
"""

from __future__ import annotations

import json

DISAGREEMENT = "The running members do not agree on who the members are: one of them belongs to another cluster. See each one's own list with: etcdctl member list."


def etcd_changes(looks):
    """Whether anything is to be done on any host."""
    return any(look.get("drift") or not look.get("running") for look in looks.values())


def etcd_plan(looks, peer_urls, answers):
    """The plan: refusal (a sentence or ''), state, converge, settle and restart.

    looks: host -> look; peer_urls: host -> peer URL of every host in the inventory group;
    answers: the member lists (etcdctl's JSON) of those members that answered.
    """
    views = [_members(answer) for answer in answers]
    members = views[0] if views else None
    refusal = DISAGREEMENT if any(sorted(view) != sorted(members) for view in views) else _refusal(looks, peer_urls, members)
    bootstrapping = not any(look.get("state") == "existing" for look in looks.values()) and not _joins(looks, peer_urls, members)
    state = {host: "new" if bootstrapping else "existing" for host in looks}
    # A cluster that was never formed has nothing to lose: there a restart needs no turn.
    restart = [] if bootstrapping else [host for host, look in looks.items() if look.get("restart") and look.get("running")]
    return {
        "refusal": refusal,
        "state": state,
        "converge": [host for host, look in looks.items() if (look.get("drift") or not look.get("running")) and host not in restart],
        "settle": [host for host, look in looks.items() if host not in restart and (not look.get("running") or look.get("state") == "new")],
        "restart": sorted(restart, key=lambda host: (looks[host].get("healthy", True), looks[host].get("leader", False), host)),
    }


def _members(listed):
    """peer URL -> {id, name, started}."""
    return {
        url: {"id": "%x" % member["ID"], "name": member.get("name", ""), "started": bool(member.get("clientURLs"))}
        for member in json.loads(listed)["members"]
        for url in member.get("peerURLs", [])
    }


def _joins(looks, peer_urls, members):
    """Whether a host without data was added to a live cluster and is awaited there."""
    if members is None:
        return False
    return any(not look.get("has_data") and members.get(peer_urls[host], {}).get("name") == "" for host, look in looks.items())


def _refusal(looks, peer_urls, members):
    """The first reason to touch nothing, with the command that helps; '' where there is none."""
    empty = [host for host in sorted(looks) if not looks[host].get("has_data")]
    settled = [host for host in sorted(looks) if looks[host].get("state") == "existing"]
    if members is not None and set(members) != set(peer_urls.values()):
        strange = sorted(set(members) - set(peer_urls.values()))
        absent = sorted(host for host, url in peer_urls.items() if url not in members)
        parts = []
        if strange:
            parts.append("the cluster has %s, which the inventory lacks" % " and ".join("%s (%s)" % (members[url]["name"] or "an unstarted member", url) for url in strange))
        if absent:
            parts.append("the inventory has %s, which the cluster lacks" % " and ".join(absent))
        return "The inventory and the live members differ: %s. Correct the inventory, or the membership (scripts/scale.ts goes on where it was stopped; by hand: etcdctl member add|remove)." % "; ".join(parts)
    for host in sorted(looks):
        if looks[host].get("strange") and not (members and members[peer_urls[host]]["started"]):
            there = looks[host]["strange"]
            return (
                "%s has a member's data in %s, but nothing says that it is of this cluster. If it is not needed, move it aside: mv %s %s.old. "
                "If it is this cluster's, put the cluster's ca.crt where etcd has its certificates. Then run this again." % (host, there, there, there)
            )
    for host in sorted(looks):
        if looks[host].get("unreadable"):
            return "%s would not start on etcd %s: %s" % (host, looks[host]["version"], looks[host]["unreadable"])
    for host in empty:
        if members is not None:
            member = members[peer_urls[host]]
            if member["started"]:
                lost = [other for other in empty if members[peer_urls[other]]["started"]]
                if len(looks) == len(peer_urls) and len(peer_urls) - len(lost) <= len(peer_urls) // 2:
                    return (
                        "%s are members of the cluster, but their data directories are empty, and the others are no quorum. "
                        "scripts/recover.ts goes on from one that is left, and scripts/restore.ts from a snapshot." % " and ".join(lost)
                    )
                return (
                    "%s is a member of the running cluster (%s), but its data directory is empty: starting it afresh could lose writes. "
                    "Replace it: npx zx scripts/replace.ts %s does; by hand: etcdctl member remove %s, then etcdctl member add %s --peer-urls=%s, then run this again."
                    % (host, member["id"], host, member["id"], host, peer_urls[host])
                )
        elif _strangers(looks, host):
            return (
                "%s has no data, but etcd already answers at %s, and no member could be asked who belongs to the cluster. "
                "Run this for all hosts at once, and make the cluster healthy first." % (host, ", ".join(_strangers(looks, host)))
            )
        elif settled:
            return (
                "%s has no data, but %s belonged to a formed cluster that does not answer now: starting %s afresh could lose writes. "
                "Start the other members first; if they are lost for good, scripts/recover.ts goes on from one that is left, and scripts/restore.ts from a snapshot." % (host, " and ".join(settled), host)
            )
        if looks[host].get("remnants"):
            left = looks[host]["remnants"]
            return "%s would start afresh, but a part of an older member lies in %s. Move it aside: mv %s %s.old, then run this again." % (host, left, left, left)
    return ""


def _strangers(looks, host):
    """Who listens on other hosts, but for the checks' own listeners, and hosts of this very play whose first start was cut short like this one's."""
    begun = [look.get("endpoint") for look in looks.values() if look.get("state") == "new" or look.get("listener")]
    return [url for url in looks[host].get("neighbours", []) if url not in begun]


class FilterModule:
    """The filters of this role."""

    def filters(self):
        """Their names in templates."""
        return {"etcd_changes": etcd_changes, "etcd_plan": etcd_plan}
