#!/bin/sh
# Makes a bare Debian 12 a host as Vagrant and Ansible expect one. Run as root inside the image that is being
# made: by the Dockerfile, or by mmdebstrap where no registry can be reached.
set -eu
export DEBIAN_FRONTEND=noninteractive

apt-get update
apt-get install --yes --no-install-recommends systemd-sysv dbus openssh-server python3 iproute2 udev sudo
apt-get clean
rm -rf /var/lib/apt/lists/*

useradd --create-home --shell /bin/bash vagrant
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/vagrant
chmod 0440 /etc/sudoers.d/vagrant

# Vagrant's well-known public key opens the first session; Vagrant then puts a key of the host's own in its place.
install -d -m 0700 -o vagrant -g vagrant /home/vagrant/.ssh
cat >/home/vagrant/.ssh/authorized_keys <<'KEY'
ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key
KEY
chown vagrant:vagrant /home/vagrant/.ssh/authorized_keys
chmod 0600 /home/vagrant/.ssh/authorized_keys

# Every host makes SSH keys of its own at its first start; those of the image would be the same for all. None for RSA,
# which takes a second of a core.
rm -f /etc/ssh/ssh_host_*
cat >/etc/systemd/system/ssh-host-keys.service <<'UNIT'
[Unit]
Description=Make this host's own SSH keys
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=ssh.service
UNIT
systemctl enable ssh-host-keys.service ssh.service

# systemd must write to its control groups. With cgroup v2, which most systems have now, Docker mounts them read-only.
cat >/usr/local/sbin/boot <<'BOOT'
#!/bin/sh
if [ "$(stat --file-system --format %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -o remount,bind,rw /sys/fs/cgroup
fi
exec /lib/systemd/systemd
BOOT
chmod 0755 /usr/local/sbin/boot

# A container has no consoles to log in at, no clock and no disks of its own, and needs no upgrades by itself.
systemctl mask console-getty.service getty.target apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer
