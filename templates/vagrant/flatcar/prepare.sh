#!/bin/sh
# The same as flatcar.bu, for a Flatcar host that runs already. Changes nothing where Ignition has done it.
set -eu
systemctl mask --now locksmithd.service update-engine.service
mkdir -p /etc/flatcar
# Flatcar fetches its Python extension at the next boot.
grep -qsx python /etc/flatcar/enabled-sysext.conf || echo python >>/etc/flatcar/enabled-sysext.conf
