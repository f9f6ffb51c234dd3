#!/bin/sh
# The floor: the least that yields three etcd members over mutual TLS that commit a proposal. No Ansible,
# no supervisor, no checks: openssl, three processes and a poll. Usage: floor.sh FOLDER_WITH_ETCD
set -eu
bin=$1
work=$(mktemp -d)
members=
finish() {
  kill -KILL $members 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
cd "$work"

address() { echo "127.0.88.10$1"; }
request() { openssl req "$@" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes 2>/dev/null; }

request -x509 -days 30 -subj /CN=floor-ca -keyout ca.key -out ca.crt
cat >leaf.ext <<EXT
subjectAltName = DNS:localhost, IP:$(address 1), IP:$(address 2), IP:$(address 3)
extendedKeyUsage = serverAuth, clientAuth
EXT
for leaf in client server1 server2 server3 peer1 peer2 peer3; do
  request -subj "/CN=$leaf" -keyout $leaf.key -out $leaf.csr
  openssl x509 -req -days 30 -in $leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile leaf.ext -out $leaf.crt 2>/dev/null
done

everyone="one=https://$(address 1):2380,two=https://$(address 2):2380,three=https://$(address 3):2380"
endpoints="https://$(address 1):2379,https://$(address 2):2379,https://$(address 3):2379"
number=0
for name in one two three; do
  number=$((number + 1))
  at=https://$(address $number)
  "$bin/etcd" --name $name --data-dir $name --initial-cluster "$everyone" --initial-cluster-state new \
    --listen-peer-urls "$at:2380" --initial-advertise-peer-urls "$at:2380" \
    --listen-client-urls "$at:2379" --advertise-client-urls "$at:2379" \
    --client-cert-auth --trusted-ca-file ca.crt --cert-file server$number.crt --key-file server$number.key \
    --peer-client-cert-auth --peer-trusted-ca-file ca.crt --peer-cert-file peer$number.crt --peer-key-file peer$number.key \
    >$name.log 2>&1 &
  members="$members $!"
done

tries=0
until "$bin/etcdctl" --cacert ca.crt --cert client.crt --key client.key --dial-timeout 1s --command-timeout 1s --endpoints "$endpoints" endpoint health >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || exit 1
  sleep 0.05
done
