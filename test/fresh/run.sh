#!/usr/bin/env bash
# The README's commands on bare machines: for each suite of Debian a root that holds ca-certificates, git, Node and npm
# alone, entered with chroot. Usage, as root on Debian: npm run test:fresh [-- SUITE...]; default: all three.
# Packages come from this machine's own mirror. FRESH_TESTS: which tests are run there (default: unit); FRESH_CACHE: a
# folder that keeps the bare roots for the next time.
set -euo pipefail
project=$(cd "$(dirname "$0")/../.." && pwd)
here=$project/test/fresh
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(bookworm trixie forky)

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "Roots of Debian are made as root on Debian." && echo "0 passed, 0 failed, 1 skipped"
  exit 0
fi
command -v mmdebstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends mmdebstrap

# The mirror that this machine's own main suite comes from.
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Origin: Debian' |
  awk -v suite="$codename" '$2 == suite { print $1; exit }')
work=$(mktemp -d)
failed=0 passed=0
trap 'rm -rf "$work"' EXIT

make_root() { # SUITE FOLDER
  local tar=${FRESH_CACHE:-$work}/$1.tar
  # A mirror of testing may lag behind what its Release file promises.
  if ! [ -e "$tar" ]; then
    mmdebstrap --quiet --aptopt='Acquire::Check-Valid-Until "false"' --variant=apt \
      --include=ca-certificates,git,nodejs,npm "$1" "$work/part.tar" "deb ${mirror:-http://deb.debian.org/debian} $1 main"
    mv "$work/part.tar" "$tar"
  fi
  mkdir "$2" && tar --extract --file "$tar" --directory "$2"
  # How this machine reaches registries: its authorities, and what npm and pip are told.
  mkdir -p "$2/etc/ssl/certs"
  cp -L /etc/ssl/certs/ca-certificates.crt "$2/etc/ssl/certs/ca-certificates.crt"
  for file in /etc/pip.conf "$HOME/.npmrc" /etc/resolv.conf /etc/hosts; do
    if [ -e "$file" ]; then cp -L "$file" "$2${file/#$HOME//root}"; fi
  done
  git clone --quiet --no-hardlinks "$project" "$2/root/ha-etcd"
  cp "$here/inside.sh" "$2/root/inside.sh"
}

for suite in "${suites[@]}"; do
  root=$work/$suite
  echo "== $suite: a bare root"
  make_root "$suite" "$root"
  # Its own processes and mounts: nothing of it outlives this line.
  if unshare --mount --pid --fork --kill-child bash -euc '
    mount --make-rprivate /
    mount -t proc proc "$1/proc"
    mount --rbind /dev "$1/dev"
    mount -t tmpfs tmpfs "$1/tmp"
    exec chroot "$1" env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
      FRESH_SUITE="$2" FRESH_TESTS="${FRESH_TESTS-unit}" \
      $(env | grep -E "^(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_[A-Z_]+|NODE_EXTRA_CA_CERTS)=" || true) \
      bash /root/inside.sh' bash "$root" "$suite"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  rm -rf --one-file-system "$root"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
