#!/usr/bin/env bash
# Inside a bare root (run.sh): the README's commands as written, then a cluster's whole life, then the same as a user.
set -euo pipefail

# Debian 12's own Node is older than what is supported: one from npm, as the README says.
if [ "$FRESH_SUITE" = bookworm ]; then
  npm install --global --silent --no-fund --no-audit node@22
  hash -r
fi
echo "$FRESH_SUITE: Node $(node --version), $(python3 --version 2>&1 || echo no Python)"

say() { printf '%s: %-58s %s\n' "$FRESH_SUITE" "$1" "$2"; }
# Runs a command and says how long it took; where it fails, what it said. STDOUT holds its output.
step() { # NAME COMMAND...
  local name=$1 begun=$SECONDS
  shift
  if STDOUT=$("$@" 2>&1); then say "$name" "ok, $((SECONDS - begun)) s"; else
    say "$name" FAILED
    printf '%s\n' "$STDOUT" | tail -n 25
    exit 1
  fi
}
expect() { # TEXT
  case $STDOUT in *"$1"*) ;; *) say "it says: $1" FAILED && printf '%s\n' "$STDOUT" | tail -n 25 && exit 1 ;; esac
}
verb() { npx zx "scripts/$1.ts" "${@:2}"; }

life() {
  step 'up: the first cluster' verb up --yes
  expect 'The cluster is up and verified'
  printf '%s\n' "$STDOUT" | grep -E 'Check (Ansible|etcd):|up and verified' || true
  step 'up, again' verb up --yes
  expect 'nothing had to be changed'
  step backup verb backup --yes
  step restore verb restore "$(ls -d .cluster/etcd-cluster-1/backups/* | head -n 1)" --yes
  step 'scale to 5' verb scale --masters 5 --yes
  step 'scale to 3' verb scale --masters 3 --yes
  step 'replace master02' verb replace master02 --yes
  step rotate-ca verb rotate-ca --yes
  step restart verb restart --yes
  step verify verb verify
  step 'down --purge' verb down --yes --purge
  if [ -e .cluster ] || grep -qs ETCD_DATA_DIR /proc/[0-9]*/environ; then say 'down leaves nothing' FAILED && exit 1; fi
  say 'down leaves nothing' ok
}

cd /root/ha-etcd
begun=$SECONDS
step 'npm ci' npm ci
life
say 'as root, from npm ci to the end' "$((SECONDS - begun)) s"
if [ -n "$FRESH_TESTS" ]; then
  step "npm ci && npm test -- $FRESH_TESTS" bash -c 'npm ci && npm test -- $FRESH_TESTS'
  printf '%s\n' "$STDOUT" | tail -n 1
fi

# An ordinary user without sudo: first with what the suite brings along, then with a mirror of the release.
command -v useradd >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends passwd >/dev/null
useradd --create-home user
programs=$(ls -d .tools/etcd-* | head -n 1)
version=$("$programs/etcd" --version | sed -n 's/^etcd Version: //p')
node --import ha-etcd/loader test/fresh/mirror.ts "$programs" "$version" >/tmp/mirror.out &
mirror=$!
trap 'kill $mirror' EXIT
for _ in $(seq 100); do if [ -s /tmp/mirror.out ]; then break; fi; sleep 0.1; done
read -r base authority version </tmp/mirror.out
cat /etc/ssl/certs/ca-certificates.crt "$authority" >/tmp/authorities.pem
git clone --quiet --no-hardlinks /root/ha-etcd /home/user/ha-etcd
cp -r node_modules /home/user/ha-etcd/
if [ -e /root/.npmrc ]; then cp /root/.npmrc /home/user/; fi
chown -R user /home/user
cat >/tmp/user.sh <<'USER'
set -euo pipefail
cd ~/ha-etcd
verb() { npx zx "scripts/$1.ts" "${@:2}"; }
printf 'etcd: { source: release }\n' >cluster.yaml
if env -u HA_ETCD_MIRROR npx zx scripts/doctor.ts >/tmp/user.out 2>&1; then
  echo 'doctor finds nothing missing, without etcd' && exit 1
fi
grep -A2 Error: /tmp/user.out
printf 'etcd: { source: release, version: %s }\n' "$VERSION" >cluster.yaml
verb up
verb up | grep 'nothing had to be changed'
verb down --yes --purge
USER
step 'the same as an ordinary user without sudo' su user -c "PATH=$PATH VERSION=$version HA_ETCD_MIRROR=$base \
  NODE_EXTRA_CA_CERTS=/tmp/authorities.pem bash /tmp/user.sh" </dev/null
printf '%s\n' "$STDOUT" | grep -E 'Error:|Check etcd:|up and verified' || true
