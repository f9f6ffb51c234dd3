"""What a play does, for programs: one JSON object a line, on file descriptor 3. What Ansible prints for people stays as
it is."""

from __future__ import annotations

import gc
import json
import os
import sys

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import filter_loader, test_loader
from ansible.template import Templar

DOCUMENTATION = """
name: etcd_events
type: aggregate
short_description: Tell a program what a play does
description:
  - Writes an event a line to file descriptor 3, which whoever starts Ansible opens.
  - The events are V(task), V(changed), V(said), V(refused), V(failed), V(unreachable) and V(ended).
  - V(act) is the task's module, with the action that it is told, such as V(etcd_host.restart); it stays when the task's
    name changes.
requirements: [enabled by ANSIBLE_CALLBACKS_ENABLED]
"""

EVENTS = 3
# What a module or a command says of its failure; its arguments, keys among them, stay here.
TOLD = ("msg", "stdout", "stderr", "module_stdout", "module_stderr", "exception")


class CallbackModule(CallbackBase):
    """One method for each kind of event; v2_ is Ansible's interface of callbacks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "etcd_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.name = ""
        self.failed_rows = {}  # of the present task, by host
        os.set_inheritable(EVENTS, False)  # what Ansible starts, and leaves running, must not hold it open

    def v2_playbook_on_play_start(self, play):
        """Does once, before Ansible forks, what each worker would do again: loads filters and tests, the role's among
        them, and readies Jinja by a first template. Nor need a worker's garbage collector look at what is there."""
        for loader in (filter_loader, test_loader):
            list(loader.all())
        Templar(loader=DataLoader(), variables={"some": ["a"]}).template("{{ some | map('upper') | join(',') }}")
        gc.freeze()

    def v2_playbook_on_task_start(self, task, is_conditional):
        """A task has begun on all hosts; its name is templated only now."""
        self.name = task.name or task.get_name()
        self.failed_rows = {}
        _tell("task", act=_act(task), name=self.name)

    def v2_runner_on_ok(self, result):
        """A host is done with a task: what it changed there, or what a debug task says of it."""
        host, task, answer = _parts(result)
        if answer.get("changed"):
            rows = answer.get("results") or [answer]
            diff = "".join(self._get_diff(row["diff"]) for row in rows if row.get("diff")) if task.diff else ""
            _tell("changed", host=host, act=_act(task), name=self.name, diff=diff.strip())
        if _act(task) == "debug":
            _tell("said", host=host, said=answer.get("msg"))

    def v2_runner_item_on_failed(self, result):
        """A row of a loop failed; the loop's own answer need not say which."""
        host, _task, answer = _parts(result)
        self.failed_rows.setdefault(host, answer)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """A host failed, or the role refused to go on; of a loop the first row that failed."""
        if ignore_errors:
            return
        host, _task, answer = _parts(result)
        answer = self.failed_rows.get(host, answer)
        if "refused" in answer:
            _tell("refused", findings=answer["refused"])
        else:
            more = {"finding": answer["finding"]} if "finding" in answer else {}
            _tell("failed", host=host, told=_told(answer), **more)

    def v2_runner_on_unreachable(self, result):
        """A host could not be reached, in the words of whoever tried; of a loop the first row that found so."""
        host, _task, answer = _parts(result)
        answer = next((row for row in answer.get("results") or [] if row.get("unreachable")), answer)
        _tell("unreachable", host=host, told=_told(answer))

    def v2_playbook_on_stats(self, stats):
        """How many tasks changed something on each host."""
        _tell("ended", changed={host: stats.summarize(host)["changed"] for host in sorted(stats.processed)})


def _parts(result):
    """(host's name, task, answer); before ansible-core 2.19 a result had other names for them."""
    new = hasattr(result, "result")
    host, task, answer = (
        (result.host, result.task, result.result) if new else (result._host, result._task, result._result)
    )
    return host.get_name(), task, answer


def _told(answer):
    told = {name: str(answer[name]) for name in TOLD if answer.get(name)}
    if "censored" in answer:
        told.setdefault("msg", str(answer["censored"]))
    return told


def _act(task):
    """The module, without its collection, and the action that it is told."""
    action = task.args.get("action", "")
    return task.action.split(".")[-1] + ("." + action if isinstance(action, str) and action else "")


def _tell(event, **more):
    sys.stdout.flush()  # what Ansible has printed so far belongs before the event
    line = json.dumps({"event": event, **more}, default=str) + "\n"
    rest = line.encode()
    while rest:
        rest = rest[os.write(EVENTS, rest) :]
