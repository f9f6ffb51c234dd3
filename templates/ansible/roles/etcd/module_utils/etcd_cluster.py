"""Questions to the cluster, asked with etcdctl from a member's host."""

from __future__ import annotations

import json
import time


class ClusterError(Exception):
    """The cluster is not in the state that the step needs; the text is for a person."""


class Etcdctl:
    """etcdctl with this host's client certificate."""

    def __init__(self, run_command, program, ssl_directory, endpoint, endpoints, timeout):
        self.run_command = run_command
        self.program = program
        self.ssl_directory = ssl_directory
        self.endpoint = endpoint
        self.endpoints = endpoints
        self.timeout = timeout

    def call(self, endpoint, *args):
        """(exit code, standard output, standard error) of one call."""
        ssl = self.ssl_directory
        return self.run_command(
            [self.program, "--command-timeout=2s", "--dial-timeout=1s", "--endpoints=" + endpoint, "--cacert=" + ssl + "/ca.crt", "--cert=" + ssl + "/etcd-client.crt", "--key=" + ssl + "/etcd-client.key", *args],
            environ_update={"ETCDCTL_API": "3"},
        )

    def healthy(self, endpoint):
        """Whether a proposal made through this endpoint is committed."""
        return self.call(endpoint, "endpoint", "health")[0] == 0

    def status(self, endpoint):
        """{member_id, leader, raft_index} of one endpoint, or None where it does not answer."""
        code, out, _err = self.call(endpoint, "endpoint", "status", "--write-out=json")
        if code != 0:
            return None
        status = json.loads(out)[0]["Status"]
        return {"member_id": status["header"]["member_id"], "leader": status.get("leader", 0), "raft_index": status["raftIndex"]}

    def require_others_healthy(self):
        """Raises unless every other member is healthy: then this one may be taken down."""
        sick = [url for url in self.endpoints if url != self.endpoint and not self.healthy(url)]
        if sick:
            raise ClusterError("Not restarted: %s is not healthy, and taking another member down would risk the quorum. Make it healthy, then run this again." % " and ".join(sick))

    def hand_leadership_over(self):
        """If this member leads, makes another one lead."""
        mine = self.status(self.endpoint)
        if mine is None or mine["leader"] != mine["member_id"] or len(self.endpoints) == 1:
            return
        for url in self.endpoints:
            other = self.status(url) if url != self.endpoint else None
            if other and self.call(self.endpoint, "move-leader", "%x" % other["member_id"])[0] == 0:
                return
        raise ClusterError("Not restarted: this member leads the cluster and no other took the lead over.")

    def wait_until_healthy(self, caught_up=False):
        """Waits until this member commits proposals and, if asked, has caught up with the rest."""
        target = max([status["raft_index"] for status in map(self.status, self.endpoints) if status] or [0]) if caught_up else 0
        deadline = time.monotonic() + self.timeout
        while True:
            if self.healthy(self.endpoint):
                mine = self.status(self.endpoint)
                if mine and mine["raft_index"] >= target:
                    return
            if time.monotonic() > deadline:
                raise ClusterError("The member at %s did not become healthy within %d s. Its log says why." % (self.endpoint, self.timeout))
            time.sleep(0.05)
