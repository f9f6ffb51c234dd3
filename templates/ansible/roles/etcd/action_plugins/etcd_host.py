"""Sends a host the programs that it lacks, has the module etcd_programs put them in place, then runs etcd_host there.

The copy module would do as much, in four times the time: it asks and hashes again for each file what we know already.
"""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """One transfer for each program, one module call for all, and the module's own call."""

    def run(self, tmp=None, task_vars=None):
        """As every action plugin's."""
        result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        programs = args.pop("programs", [])
        if programs and not self._play_context.check_mode:
            placed = self._place(programs, task_vars)
            if placed.get("failed"):
                return {**result, **placed}
        answer = self._execute_module(module_args=args, task_vars=task_vars)
        return {**result, **answer, "changed": bool(answer.get("changed") or programs)}

    def _place(self, programs, task_vars):
        self._make_tmp_path()
        folder = self._connection._shell.tmpdir
        sent = []
        for program in programs:
            name = os.path.basename(program["path"])
            remote = self._connection._shell.join_path(folder, name)
            try:
                self._transfer_file(program["source"], remote)
            except AnsibleError as error:
                raise AnsibleActionFail(
                    "%s could not be sent to %s: %s" % (name, remote, str(error).strip())
                ) from error
            sent.append({"sent": remote, "path": program["path"], "sha256": program["sha256"]})
        answer = self._execute_module("etcd_programs", module_args={"programs": sent}, task_vars=task_vars)
        self._remove_tmp_path(folder)
        return answer
