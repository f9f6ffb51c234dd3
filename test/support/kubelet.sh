# Imitates kubelet: while the manifest of etcd's static pod is there, etcd runs, in a cgroup and with files of its own.
# $SHARED: the folders that the pod has of the host's, beside its libraries.
manifest=/etc/kubernetes/manifests/etcd.yaml
root=/opt/pod
pid=

mkdir -p $root/bin $root/etc
for folder in /usr /lib /lib64 $SHARED; do
  mkdir -p $root"$folder"
  mountpoint -q $root"$folder" || mount --bind "$folder" $root"$folder"
done
cp /opt/etcd/etcd $root/bin/etcd.new && mv $root/bin/etcd.new $root/bin/etcd

runs() { [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; }

while sleep 0.5; do
  if [ -f $manifest ] && ! runs; then
    # the words of the command, each an item of a list
    args=$(sed -n 's/^ *- \(--.*\)/\1/p' $manifest)
    unit=cri-containerd-$(cat /proc/sys/kernel/random/uuid)
    # shellcheck disable=SC2086
    systemd-run --quiet --scope --slice=kubepods --unit="$unit" chroot $root /bin/etcd $args >>/var/log/pod.log 2>&1 &
    pid=$!
  elif [ ! -f $manifest ] && runs; then
    kill "$pid"
    wait "$pid"
  fi
done
