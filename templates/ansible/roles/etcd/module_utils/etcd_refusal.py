"""How a module ends: with its answer, or with why it has none; a code says so to programs, the rest to a person."""

from __future__ import annotations

from ansible.module_utils import etcd_payloads


class Refusal(Exception):
    """A step cannot be done. detail: what is wrong; remedy: what helps; output: a program's own last words."""

    def __init__(self, code, detail, remedy="", output=""):
        super().__init__("\n".join(part for part in (" ".join(filter(None, (detail, remedy))), output) if part))
        self.finding = {"code": code, "detail": detail, "remedy": remedy, "output": output}


def answer(module, work):
    """Ends the module with what the work returns, or with why it could not be done."""
    try:
        etcd_payloads.clear(etcd_payloads.own_folder())
        module.exit_json(**work())
    except Refusal as error:
        module.fail_json(msg=str(error), finding=error.finding)
    except OSError as error:
        module.fail_json(msg="%s: %s" % (error.filename2 or error.filename or "the host", error.strerror))
