"""Where Ansible unpacks the role's modules: what a run that was killed has left there is removed by the next one."""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import tempfile
import time

NOTE = "pid"
# In seconds: no module of ours works so long; none takes so long until it notes whose its folder is.
LONGEST, UNNOTED = 24 * 3600, 600


def own_folder():
    """The one that this runs from; None where Ansible did not unpack it."""
    found = re.match(r"(.*/ansible_etcd_[^/]*_payload_[^/]*)/", __file__)
    return found and found.group(1)


def clear(own=None):
    """Notes whose our folder is, and removes those whose process is gone."""
    if own:
        with open(os.path.join(own, NOTE), "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
    # By the file system's own clock, where there is one: it may go otherwise than ours.
    now = os.lstat(own).st_mtime if own else time.time()
    for folder in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()), "ansible_etcd_*_payload_*")):
        if folder != own and _is_left(folder, now):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left(folder, now):
    try:
        there = os.lstat(folder)
        if there.st_uid != os.geteuid() or not stat.S_ISDIR(there.st_mode):
            return False
        age = now - there.st_mtime
        if age > LONGEST or (age > UNNOTED and not os.path.exists(os.path.join(folder, NOTE))):
            return True
        with open(os.path.join(folder, NOTE), encoding="ascii") as file:
            os.kill(int(file.read()), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False  # it has just been made or removed
    return False
