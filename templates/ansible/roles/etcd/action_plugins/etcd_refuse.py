"""Ends the play before anything is done: in words for whoever reads Ansible's output, and with a code for a program.

A finding has code, detail, remedy ('' where nothing helps) and, where it concerns one, host.
"""

from __future__ import annotations

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """As ansible.builtin.fail, with findings in place of a message."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        """As every action plugin's."""
        findings = self._task.args["findings"]
        words = [" ".join(filter(None, (finding["detail"], finding["remedy"]))) for finding in findings]
        return {**super().run(tmp, task_vars), "failed": True, "msg": "\n".join(words), "refused": findings}
