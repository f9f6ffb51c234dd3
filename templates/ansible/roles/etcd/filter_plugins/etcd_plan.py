"""What a run is going to do, decided from what every host looks like and who the members are by their word.

Pure functions, so that each rule can be read and tested on its own. A "look" is what the module
etcd_host returned for a host with action=look.
"""

from __future__ import annotations

import json


def etcd_plan(looks, peer_urls, witnesses=(), at_once=True, formed=False, known=None):
    """The plan of a run.

    changes: whether there is anything to do; if not, the rest is not heard; refusals: findings, the first reason to
    touch nothing; state: the initial cluster state of members without data; converge: hosts whose files are put in
    place, and whose etcd is started where it does not run; settle: those of them that are waited for in the same call;
    turns: what comes then, in this order; left: findings of hosts that are left as they are, told once the others are
    done.

    looks: host -> look; peer_urls: host -> peer URL of every host in the inventory group; witnesses: hosts that are
    only asked; at_once: whether all hosts are worked on at once. Members wait for each other as they start for the
    first time: otherwise one call cannot start and wait. formed: whether the cluster has had data. known: who the
    members are by the word of some that are on no host of the play, as _members has them.
    """
    views = [_members(look["members"]) for look in looks.values() if look.get("members")]
    views += [known] if known else []
    members = views[0] if views else None
    agree = all(sorted(view) == sorted(members) for view in views)
    refusal = (
        _refusal(looks, peer_urls, members, witnesses, formed)
        if agree
        else _finding(
            "members-disagree",
            "",
            "The running members do not agree on who the members are: one of them belongs to another cluster.",
            "See each one's own list with: etcdctl member list.",
        )
    )
    waking = _waking(looks, peer_urls, refusal)
    renewing = _renewing(looks, witnesses, refusal)
    if waking or renewing:
        lost = [_lost_meanwhile(host) for host in sorted(looks) if not looks[host].get("has_data")]
        return _steps("existing", waking + renewing, waking, [], at_once, left=lost if waking else [refusal])
    bootstrapping = not any(look.get("state") == "existing" for look in looks.values()) and not _joins(
        looks, peer_urls, members
    )
    touched = {host: look for host, look in looks.items() if host not in witnesses}
    # A cluster that was never formed has nothing to lose: there a restart needs no turn.
    restart = (
        [] if bootstrapping else [host for host, look in touched.items() if look.get("restart") and look.get("running")]
    )
    others = {host: look for host, look in touched.items() if host not in restart}
    settle = [host for host, look in others.items() if not look.get("running") or look.get("state") == "new"]
    return _steps(
        "new" if bootstrapping else "existing",
        [host for host, look in others.items() if look.get("drift") or host in settle],
        settle,
        [_restart(host, looks[host], peer_urls) for host in _in_turn(restart, looks)],
        at_once,
        changes=any(look.get("drift") or not look.get("running") for look in looks.values()),
        refusals=[refusal] if refusal else [],
    )


def _steps(state, converge, settle, restarts, at_once, changes=True, refusals=(), left=()):
    wait = [] if at_once or not settle else [{"tasks": "settle.yml", "hosts": settle}]
    return {
        "changes": changes,
        "refusals": list(refusals),
        "state": state,
        "converge": converge,
        "settle": settle if at_once else [],
        "turns": wait + restarts,
        "left": list(left),
    }


def _in_turn(hosts, looks):
    """Who is ill has nothing to lose, the leader's turn disturbs most; the others in the inventory's order."""
    return sorted(hosts, key=lambda host: (looks[host].get("healthy", True), looks[host].get("leader", False)))


def _restart(host, look, peer_urls):
    return {"tasks": "restart.yml", "host": host, "leads": bool(look.get("leader")) and len(peer_urls) > 1}


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
    return any(
        not look.get("has_data") and members.get(peer_urls[host], {}).get("name") == "" for host, look in looks.items()
    )


def _refusal(looks, peer_urls, members, witnesses, formed):
    """The first reason to touch nothing, with what helps; None where there is none."""
    if members is not None and set(members) != set(peer_urls.values()):
        return _lost_member(looks, peer_urls, members) or _other_members(peer_urls, members)
    for host in sorted(looks):
        there = looks[host].get("strange")
        if there and not (members and members[peer_urls[host]]["started"]):
            return _finding(
                "strange-data",
                host,
                "%s has a member's data in %s, but nothing says that it is of this cluster." % (host, there),
                "If it is not needed, move it aside: mv %s %s.old. If it is this cluster's, put the cluster's ca.crt "
                "where etcd has its certificates. Then run this again." % (there, there),
            )
    for host in sorted(looks):
        why = looks[host].get("unreadable")
        if why and host not in witnesses:
            return _finding(
                why["code"],
                host,
                "%s would not start on etcd %s: %s." % (host, looks[host]["version"], why["detail"]),
                why["remedy"],
            )
    empty = [host for host in sorted(looks) if not looks[host].get("has_data")]
    if formed and members is None and len(empty) == len(peer_urls):
        return _finding(
            "all-data-lost",
            "",
            "No host has any data left. The cluster had data: starting it afresh, it would be empty.",
            "Restore a snapshot on all hosts (playbooks/stage-snapshot.yml).",
        )
    return next(filter(None, (_refusal_of_empty(host, empty, looks, peer_urls, members) for host in empty)), None)


def _waking(looks, peer_urls, refusal):
    """The stopped members that make a quorum with those that run, where only a host without data stands in their way:
    they have all that was acknowledged, and until they run nobody can replace that host. It may never have voted: the
    quorum is that of the others."""
    if not refusal or refusal["code"] not in ("others-unasked", "others-silent"):
        return []
    kept = [host for host, look in looks.items() if look.get("has_data") and look.get("state") == "existing"]
    return [host for host in kept if not looks[host].get("running")] if len(kept) > (len(peer_urls) - 1) // 2 else []


def _renewing(looks, witnesses, refusal):
    """The running members that lack certificates which need no restart, while only other hosts stand in the way: with
    expired ones they hear nobody, and then nobody could mend those hosts."""
    codes = ("data-lost", "members-differ", "others-unasked", "others-silent", "quorum-lost")
    if not refusal or refusal["code"] not in codes:
        return []
    return [
        host
        for host, look in looks.items()
        if host not in witnesses
        and look.get("running")
        and not look.get("restart")
        and any(".crt: " in line for line in look.get("drift", []))
    ]


def _lost_member(looks, peer_urls, members):
    """Members of the running cluster whose data are gone; all are named, since none can be replaced before the others.
    None where there are none."""
    lost = [
        host
        for host in sorted(looks)
        if not looks[host].get("has_data") and members.get(peer_urls[host], {}).get("started")
    ]
    if not lost:
        return None
    first = members[peer_urls[lost[0]]]["id"]
    one = "%s is a member of the running cluster (%s), but its data directory is empty: starting it afresh" % (
        lost[0],
        first,
    )
    more = "%s are members of the running cluster, but their data directories are empty: starting them afresh"
    detail = one if len(lost) == 1 else more % " and ".join(lost)
    remedy = (
        "To make it a new member by hand: etcdctl member remove %s, then etcdctl member add %s --peer-urls=%s, "
        "then run this again." % (first, lost[0], peer_urls[lost[0]])
    )
    return {**_finding("data-lost", lost[0], detail + " could lose writes.", remedy), "hosts": lost}


def _lost_meanwhile(host):
    """A host without data, of which the members could not be asked before."""
    return _finding(
        "data-lost",
        host,
        "%s has no data, and was left as it is; the other members were started." % host,
        "To make it a new member by hand: remove its member, if it has one, then etcdctl member add, then run this "
        "again.",
    )


def _other_members(peer_urls, members):
    """The inventory and the cluster do not name the same members."""
    strange = [
        "%s (%s)" % (members[url]["name"] or "an unstarted member", url)
        for url in sorted(set(members) - set(peer_urls.values()))
    ]
    absent = sorted(host for host, url in peer_urls.items() if url not in members)
    parts = ["the cluster has %s, which the inventory lacks" % " and ".join(strange)] if strange else []
    parts += ["the inventory has %s, which the cluster lacks" % " and ".join(absent)] if absent else []
    return _finding(
        "members-differ",
        "",
        "The inventory and the live members differ: %s." % "; ".join(parts),
        "Correct the inventory, or the membership: etcdctl member add, etcdctl member remove.",
    )


def _refusal_of_empty(host, empty, looks, peer_urls, members):
    """Why a host without data must not be started afresh; None where it may."""
    settled = [other for other in sorted(looks) if looks[other].get("state") == "existing"]
    member = members[peer_urls[host]] if members is not None else None
    if member and member["started"]:
        lost = [other for other in empty if members[peer_urls[other]]["started"]]
        if len(looks) == len(peer_urls) and len(peer_urls) - len(lost) <= len(peer_urls) // 2:
            return _finding(
                "quorum-lost",
                "",
                "%s are members of the cluster, but their data directories are empty, and the others are no quorum."
                % " and ".join(lost),
                "Restore a snapshot on all hosts (playbooks/stage-snapshot.yml).",
            )
        return _lost_member(looks, peer_urls, members)
    if members is None and _strangers(looks, host):
        return _finding(
            "others-unasked",
            host,
            "%s has no data, but etcd already answers at %s, and no member could be asked who belongs to the cluster."
            % (host, ", ".join(_strangers(looks, host))),
            "Run this for all hosts at once, and make the cluster healthy first.",
        )
    if members is None and settled:
        return _finding(
            "others-silent",
            host,
            "%s has no data, but %s belonged to a formed cluster that does not answer now: starting %s afresh could "
            "lose writes." % (host, " and ".join(settled), host),
            "Start the other members first; if they are lost for good, restore a snapshot on all hosts "
            "(playbooks/stage-snapshot.yml).",
        )
    left = looks[host].get("remnants")
    if left:
        return _finding(
            "remnants",
            host,
            "%s would start afresh, but a part of an older member lies in %s." % (host, left),
            "Move it aside: mv %s %s.old, then run this again." % (left, left),
        )
    return None


def _finding(code, host, detail, remedy):
    """What etcd_refuse takes; host is '' where it concerns all."""
    return {"code": code, "host": host, "detail": detail, "remedy": remedy}


def _strangers(looks, host):
    """Who listens on other hosts, but for the checks' own listeners, and hosts of this very play whose first start was
    cut short like this one's."""
    begun = [look.get("endpoint") for look in looks.values() if look.get("state") == "new" or look.get("listener")]
    return [url for url in looks[host].get("neighbours", []) if url not in begun]


class FilterModule:
    """The filters of this role."""

    def filters(self):
        """Their names in templates."""
        return {"etcd_plan": etcd_plan}
