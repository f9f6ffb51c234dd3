// The Ansible inventory of a cluster: what the role needs to know, in the form a person can use by hand.
import { isIPv6 } from 'node:net'
import { stringify } from 'yaml'
import { type Cluster, ownHosts } from '../core/cluster.ts'
import { writeFileIfChanged } from '../core/files.ts'
import { shellQuoted } from '../core/shell.ts'
import { byMachine, type EtcdBinaries } from '../etcd/binaries.ts'
import { commonNames } from '../etcd/certificates.ts'
import { refusal } from '../etcd/findings.ts'
import { refuseTemplates } from '../etcd/playbook.ts'

/** Ansible reads YAML 1.1, where 10:20:30:40:50:10:20:30 would be a number. */
const yaml11 = { lineWidth: 0, schema: 'yaml-1.1' } as const

/** Writes .cluster/<cluster>/inventory.yml, if it changed. @throws OperationError when a host is not up */
export function writeInventory(cluster: Cluster, binaries: EtcdBinaries): void {
  const inventories = [cluster.own?.inventory, cluster.paths.inventory]
    .flatMap((file) => (file ? [`-i ${shellQuoted(file)}`] : []))
    .join(' ')
  // A person's own inventory may name others.
  const limit = cluster.own?.inventory ? ` --limit ${cluster.hosts.map(({ name }) => name).join(',')}` : ''
  const header =
    `# The hosts of ${cluster.name}. Made by phase etcd-role; by hand, in the project's folder:\n# ` +
    `ANSIBLE_CONFIG=templates/ansible/ansible.cfg ansible-playbook ${inventories}${limit} ` +
    'templates/ansible/playbooks/etcd.yml\n'
  writeFileIfChanged(cluster.paths.inventory, header + stringify(inventory(cluster, binaries), yaml11), 0o600)
}

/** The group's name and private_ipv4 are the original's. @throws UsageError for a path that Ansible would evaluate */
function inventory(cluster: Cluster, binaries: EtcdBinaries): object {
  const own = ownHosts(cluster)
  const down = own.find((host) => !host.connection)
  if (down) throw refusal(cluster, { code: 'host-not-up', host: down.name })
  const vars = groupVariables(cluster, binaries)
  refuseTemplates(vars)
  const hosts = Object.fromEntries(
    own.map((host) => [
      host.name,
      { ...host.connection, [isIPv6(host.address) ? 'private_ipv6' : 'private_ipv4']: host.address },
    ]),
  )
  return { all: { children: { 'role=master': { hosts, vars } } } }
}

function groupVariables(cluster: Cluster, binaries: EtcdBinaries): object {
  const local = cluster.provider === 'local'
  const foreign = cluster.hosts.filter((host) => host.foreign)
  const plain = cluster.hosts.filter((host) => host.plain)
  return {
    etcd_members: ownHosts(cluster).map(({ name }) => name),
    ...(foreign.length > 0 && {
      etcd_other_peers: Object.fromEntries(foreign.map(({ name, peerURL }) => [name, peerURL])),
      etcd_other_endpoints: foreign.map(({ clientURL }) => clientURL),
    }),
    etcd_cluster_token: cluster.etcd.token,
    ...(cluster.begun?.formerTokens && { etcd_former_tokens: cluster.begun.formerTokens }),
    etcd_client_port: cluster.etcd.clientPort,
    etcd_peer_port: cluster.etcd.peerPort,
    ...(cluster.etcd.metricsPort && {
      etcd_metrics_port: cluster.etcd.metricsPort,
      etcd_metrics_plain: cluster.etcd.metricsPlain === true,
    }),
    ...(cluster.plainClients && { etcd_plain_clients: cluster.plainClients }),
    ...(plain.length > 0 && { etcd_plain_peers: plain.map(({ name }) => name) }),
    etcd_pki_directory: cluster.paths.certs,
    // Until every member has a certificate of ours, any client's certificate may speak raft, as before.
    etcd_peer_common_name: cluster.begun?.verb === 'adopt' ? '' : commonNames.peer,
    etcd_environment: cluster.etcd.environment,
    // Local hosts share this machine: its programs, and its 127.0.0.1. Phase doctor has looked at it.
    ...(local
      ? { etcd_bin_directory: binaries.folder, etcd_loopback_ports: [], etcd_doctor: false }
      : { etcd_binaries_source: byMachine(binaries) }),
    // Flatcar runs etcd from an image; it must be the version that was recorded.
    ...(!local && { etcd_image_tag: `v${binaries.version}` }),
  }
}
