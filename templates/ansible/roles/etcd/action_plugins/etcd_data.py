"""Sends a snapshot and the tool that restores it to a host, and has the module etcd_data use them. Other actions need
neither."""

from __future__ import annotations

import os

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """One transfer for each of the two, which go again afterwards."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        """As every action plugin's."""
        result = super().run(tmp, task_vars)
        args = dict(self._task.args)
        if args["action"] == "stage" and not self._play_context.check_mode and self._connection.transport != "local":
            sent = ["tool"] if args.get("own") else ["snapshot", "tool"]
            args.update({name: self._send(args[name]) for name in sent})
            self._fixup_perms2([self._connection._shell.tmpdir, *(args[name] for name in sent)])
        result.update(self._execute_module(module_args=args, task_vars=task_vars))
        return result

    def _send(self, path):
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, os.path.basename(path))
        try:
            self._transfer_file(path, remote)
        except AnsibleError as error:
            raise AnsibleActionFail("%s could not be sent to %s: %s" % (path, remote, str(error).strip())) from error
        return remote
