"""Questions to the cluster, asked with etcdctl from a member's host."""

from __future__ import annotations

import json
import os
import socket
import time
from urllib.parse import urlsplit

from ansible.module_utils.etcd_refusal import Refusal

# How long etcd may be seen down again and again before the wait is given up, in seconds.
STAY_UP = 4
# A member without data first gets all that the others have, and serves nobody before. With more than 5000 entries to
# apply it refuses its own registration as one request too many, and tries again without a pause (publishV3 in etcd's
# server/etcdserver/server.go): it is busy with that besides.
JOINS = 10

# How often a member that seems ill is asked: a single failure may be an election, or a busy disk.
LOOKS = 3

# How many round trips a call takes at most: TCP, TLS and HTTP/2 one each, then a read and a list of alarms, each of
# which the leader and then a quorum must agree to.
TRIPS = 12


def round_trip(url):
    """How long a TCP connection to the URL's host and port takes, in seconds; None where none is accepted.

    A packet that is lost is sent again after a second (RFC 6298).
    """
    parts = urlsplit(url)
    began = time.monotonic()
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=1.5).close()
        return time.monotonic() - began
    except OSError:
        return None


def listens(url):
    """Whether a TCP connection to the URL's host and port is accepted."""
    return round_trip(url) is not None


class Etcdctl:
    """etcdctl with this host's client certificate."""

    def __init__(self, run_command, program, ssl_directory, endpoint, endpoints, timeout, restored=False):
        self.run_command = run_command
        self.program = program
        self.ssl_directory = ssl_directory
        self.endpoint = endpoint
        self.endpoints = endpoints
        self.timeout = timeout
        self.damaged = False
        self.restored = restored
        self.trips = {}

    def way(self, endpoint):
        """What the way to an endpoint adds to the time of a call, in seconds. Measured once it is accepted there."""
        if endpoint not in self.trips:
            took = round_trip(endpoint)
            if took is None:
                return 0
            self.trips[endpoint] = took
        return TRIPS * self.trips[endpoint]

    def call(self, endpoint, *args):
        """(exit code, standard output, standard error) of one call.

        The options go as variables: a flag beside a variable of the person's own is fatal to etcdctl.
        """
        way = self.way(endpoint)
        others = {name: "" for name in os.environ if name.startswith("ETCDCTL_")}
        ours = {
            "ENDPOINTS": endpoint,
            "CACERT": self.ssl_directory + "/ca.crt",
            "CERT": self.ssl_directory + "/etcd-client.crt",
            "KEY": self.ssl_directory + "/etcd-client.key",
            "COMMAND_TIMEOUT": "%dms" % (2000 + 1000 * way),
            "DIAL_TIMEOUT": "%dms" % (1000 + 1000 * way),
            "WRITE_OUT": "json",
        }
        direct = {
            "NO_PROXY": "*",
            "no_proxy": "*",
        }  # etcdctl 3.5 would go through the proxy that the host has for the web
        environment = {**others, **direct, **{"ETCDCTL_" + name: value for name, value in ours.items()}}
        try:
            return self.run_command([self.program, *args], environ_update=environment, handle_exceptions=False)
        except OSError as error:  # not there yet, or made for another machine: whoever asks takes it for no answer
            return 127, "", "%s: %s" % (self.program, error.strerror)

    def healthy(self, endpoint, status):
        """Whether a proposal made through this endpoint, whose status was just asked, is committed; a learner, which
        takes none, has to follow a leader."""
        if status["learner"]:  # asked for a proposal, it would only be asked again and again until the time is up
            return bool(status["leader"])
        code, out, err = self.call(endpoint, "endpoint", "health")
        # Then no data differs, and the alarm was inherited: whoever formed the cluster lowers it.
        inherits = self.restored or len(self.endpoints) == 1
        self.damaged = "CORRUPT" in out + err and not inherits
        return (
            code == 0 or "NOSPACE" in out + err or (inherits and "CORRUPT" in out + err)
        )  # from 3.5 on etcdctl calls a full member unhealthy, though it commits

    def votes(self, endpoint):
        """Whether it is healthy and no learner."""
        status = self.status(endpoint)
        return status is not None and not status["learner"] and self.healthy(endpoint, status)

    def status(self, endpoint):
        """{member_id, leader, learner, raft_index, applied, version} of one endpoint, or None where it does not
        answer."""
        code, out, _err = self.call(endpoint, "endpoint", "status")
        if code != 0:
            return None
        status = json.loads(out)[0]["Status"]
        return {
            "member_id": status["header"]["member_id"],
            "leader": status.get("leader", 0),
            "learner": status.get("isLearner", False),
            "raft_index": status["raftIndex"],
            "applied": status.get("raftAppliedIndex", status["raftIndex"]),
            "version": status.get("version", ""),
        }

    def require_others_healthy(self):
        """Raises unless every other member is healthy and votes: then this one may be taken down.

        A member that does not vote, or is not healthy itself, whenever it is asked, may always be restarted: the
        quorum cannot lose it.
        """

        def is_well(url):
            return any(self.votes(url) for _look in range(LOOKS))

        if not is_well(self.endpoint):
            return
        sick = [url for url in self.endpoints if url != self.endpoint and not is_well(url)]
        if sick:
            raise Refusal(
                "others-ill",
                "Not restarted: %s is not healthy or does not vote yet. Taking another member down would risk the "
                "quorum." % " and ".join(sick),
                "Make it healthy, then run this again.",
            )

    def hand_leadership_over(self):
        """If this member leads, makes another one lead."""
        mine = self.status(self.endpoint)
        if mine is None or mine["leader"] != mine["member_id"] or len(self.endpoints) == 1:
            return
        for url in self.endpoints * LOOKS:
            other = self.status(url) if url != self.endpoint else None
            if (
                other
                and not other["learner"]
                and self.call(self.endpoint, "move-leader", "%x" % other["member_id"])[0] == 0
            ):
                return
        raise Refusal(
            "no-heir",
            "Not restarted: this member leads the cluster and no other took the lead over.",
            "Run this again.",
        )

    def wait_until_healthy(self, service, caught_up=False, joins=False, received=lambda: 0):
        """Waits until this member commits proposals and, if asked or a learner, has applied what the others had when
        the wait began.

        An etcd that does not stay up is given a few seconds, not the whole time; one that joins gets JOINS times as
        long, and so does one that has missed much, as long as it applies or receives more. received: how many bytes.
        """
        target = self.furthest() if caught_up else None
        began = look_at = time.monotonic()
        longest = began + self.timeout * JOINS
        deadline = longest if joins else began + self.timeout
        down_since = got = None
        while True:
            # etcdctl, called before etcd listens, would wait a whole second before it tries again.
            mine = self.status(self.endpoint) if listens(self.endpoint) else None
            if mine and mine["learner"] and target is None:
                target = self.furthest()
            if mine and mine["applied"] >= (target or 0):
                if self.healthy(self.endpoint, mine):
                    return
                if self.damaged:
                    raise Refusal(
                        "not-healthy",
                        "The member at %s runs, but the alarm CORRUPT is raised: no member is healthy until it is "
                        "lowered." % self.endpoint,
                        "Find out which member has damaged data, lower the alarm, and rebuild that member.",
                    )
            now = time.monotonic()
            if now >= look_at:
                look_at = now + 0.5
                last, got = got, (received(), mine and mine["applied"])
                if got != last:
                    deadline = max(deadline, min(now + self.timeout, longest))
                last_words = service.last_words()
                down_since = (down_since or now) if last_words else None
                if down_since and now > down_since + STAY_UP:
                    raise Refusal(
                        "ends",
                        "etcd does not stay up here. The last it said:",
                        "Put right what it says, then run this again.",
                        last_words,
                    )
            if now > deadline:
                raise Refusal(
                    "not-healthy",
                    "The member at %s did not become healthy within %d s." % (self.endpoint, now - began),
                    "Its log says why.",
                )
            time.sleep(0.05)

    def furthest(self):
        """The raft index that the furthest member has reached."""
        return max([status["raft_index"] for status in map(self.status, self.endpoints) if status] or [0])
