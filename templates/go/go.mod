// The module in which etcd's programs are built where the official release cannot be reached; tasks/etcd/go-build.ts
// adds etcd's own modules at one version, and Go's checksum database vouches for them.
module ha-etcd/etcd

go 1.21
