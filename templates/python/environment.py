"""Makes a Python environment of our own with Ansible in it: without root, and nothing outside the folder changes.

Usage: environment.py FOLDER; environment.py --probe only says whether the package index can be reached.

Packages come from PyPI, or from the index that pip is configured with, and are checked by the hashes in
requirements.txt. pip itself is the one that Python brings along; where a distribution has taken that out, the
machine's own; else its wheel is fetched, by its hash, and run as it is.
"""

import base64
import configparser
import glob
import hashlib
import importlib.util
import os
import re
import ssl
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.parse
import urllib.request
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
PIP, PIP_SHA256 = "pip-25.3-py3-none-any.whl", "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"


def setting(name):
    """What pip would take: its variable, else what its configuration files say."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"))
    if value:
        return value
    home = os.path.expanduser("~")
    own = [os.environ.get("XDG_CONFIG_HOME") or home + "/.config", home + "/Library/Application Support"]
    paths = [os.environ.get("PIP_CONFIG_FILE", ""), *("%s/pip/pip.conf" % folder for folder in own)]
    for path in [*paths, home + "/.pip/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/pip.conf"]:
        file = configparser.RawConfigParser()
        try:
            file.read(path)
        except configparser.Error:
            continue
        for section in ("install", "global"):
            if file.has_option(section, name):
                return file.get(section, name)
    return ""


def fetch(url, seconds):
    """What the index has at an address; proxies are those of the environment."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl())
    if parts.username:
        pair = ":".join(urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    trusted = ssl.create_default_context(cafile=setting("cert") or None)
    with urllib.request.urlopen(request, timeout=seconds, context=trusted) as answer:
        return answer.read()


def index(package):
    """The address of a package's page in the index, and that page."""
    url = "%s/%s/" % ((setting("index-url") or "https://pypi.org/simple").rstrip("/"), package)
    return url, fetch(url, 10).decode(errors="replace")


def fetched_pip(folder):
    """pip's wheel, from the index."""
    url, page = index("pip")
    links = [link for link in re.findall(r'href="([^"]+)"', page) if link.split("#")[0].endswith("/" + PIP)]
    if not links:
        raise OSError("%s is not in the index" % PIP)
    wheel = fetch(urllib.parse.urljoin(url, links[0].replace("&amp;", "&")), 120)
    if hashlib.sha256(wheel).hexdigest() != PIP_SHA256:
        raise OSError("%s of the index has another SHA-256 than the pinned one: it was not used" % PIP)
    path = os.path.join(folder, PIP)
    with open(path, "wb") as file:
        file.write(wheel)
    return path


def pip_for(python, folder):
    """The command that is pip for an environment's Python."""
    spec = importlib.util.find_spec("ensurepip")
    bundled = os.path.join(os.path.dirname(spec.origin), "_bundled") if spec and spec.origin else ""
    homes = [home for home in (sysconfig.get_config_var("WHEEL_PKG_DIR"), bundled) if home]
    wheels = [wheel for home in homes for wheel in sorted(glob.glob(os.path.join(home, "pip-*.whl")))]
    if wheels:
        return [python, os.path.join(wheels[-1], "pip")]
    own = [sys.executable, "-m", "pip"]
    asked = subprocess.run([*own, "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    version = re.match(rb"pip (\d+)\.(\d+)", asked.stdout)
    if version and (int(version.group(1)), int(version.group(2))) >= (22, 3):
        return [*own, "--python", python]
    return [python, os.path.join(fetched_pip(folder), "pip")]


def make(folder):
    """Makes FOLDER/env whole, and says which Ansible is in it."""
    target = os.path.join(folder, "env")
    venv.EnvBuilder(symlinks=True, with_pip=False).create(target)
    python = os.path.join(target, "bin", "python3")
    ours = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_NO_BINARY", "PIP_REQUIREMENT", "PIP_CONSTRAINT")
    env = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("PYTHON")}
    # Not compiled: Ansible compiles the little that is used of it.
    flags = ["--require-hashes", "--only-binary=:all:", "--no-input", "--no-compile", "--disable-pip-version-check"]
    flags += ["--no-warn-script-location", "-r", os.path.join(HERE, "requirements.txt")]
    pip = pip_for(python, folder)
    print("pip: %s" % " ".join(pip), flush=True)
    subprocess.run([*pip, "install", *flags], env={**env, "PIP_USER": "0"}, check=True)
    for script in glob.glob(os.path.join(target, "bin", "ansible*")):
        os.unlink(script)  # they name this folder, which is renamed; ours, beside the environment, do not
    for name in ("ansible-playbook", "ansible-inventory", "ansible-config"):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\nexec "${0%%/*}/env/bin/python3" -m ansible %s "$@"\n' % name.partition("-")[2])
        os.chmod(path, 0o755)
    asked = "import ansible.release; print('ansible-core', ansible.release.__version__)"
    subprocess.run([python, "-c", asked], env=env, check=True)


def main(argument):
    """Ends with 1 and a sentence where it fails."""
    try:
        if argument == "--probe":
            index("ansible-core")
        else:
            make(os.path.abspath(argument))
        return 0
    except subprocess.CalledProcessError as error:
        print("%s ended with %d" % (" ".join(error.cmd[:3]), error.returncode), file=sys.stderr)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error) if not isinstance(error, urllib.error.HTTPError) else error
        print("%s" % (getattr(reason, "strerror", None) or reason), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
