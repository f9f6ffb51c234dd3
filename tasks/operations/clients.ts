// What a cluster's own clients must do around an operation: the same words in its plan, its question and its last line.
import { join } from 'node:path'
import { type Change, duties } from '../consumers/index.ts'
import type { Cluster, Host } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { counted, listed } from '../core/terminal.ts'
import { changeStage } from '../etcd/authority-change.ts'
import type { Refusing } from '../observe/host-data.ts'

/** What the consumers that `connect` knows must do once this changes: '' or a clause that follows another one. */
export function ofConnected(cluster: Cluster, change: Change): string {
  const all = duties(cluster, [change])
  return all.length > 0 ? `; of those connected, ${all.join('; ')}` : ''
}

/** restore and recover: a client that keeps a copy of what it read goes on with data that the cluster no longer has. */
export const aroundRestore = {
  before: (cluster: Cluster): string =>
    'Stop every client that keeps a copy of what it read (kube-apiserver does) before this; start it ' +
    `afterwards${ofConnected(cluster, 'data')}.`,
  after: (cluster: Cluster): string =>
    (changeStage(cluster) === 'issuing' ? ofNewAuthority(cluster) : '') +
    'Now start the clients that you stopped (each kube-apiserver), and restart what works through them: ' +
    'kube-controller-manager, kube-scheduler, kubelets. A client that went on all the while must be restarted.',
  plan: {
    first: (cluster: Cluster): string =>
      'you: stop every client that keeps a copy of what it read, such as each ' +
      `kube-apiserver${ofConnected(cluster, 'data')}`,
    last: 'you: start these clients; then restart kube-controller-manager, kube-scheduler and the kubelets',
  },
}

/** Made on the way, since the one that was there could not issue. */
const ofNewAuthority = (cluster: Cluster): string =>
  `A new authority issues now: ${aroundRotateCa.over(cluster)}; then ${aroundRotateCa.identify(cluster)}. ` +
  `That step: ${command(cluster, 'rotate-ca')}\n`

const fileOf = ({ paths }: Cluster, name: string): string => join(paths.certs, name)

/** adopt, of a cluster that spoke plain HTTP. */
export const toSecureClients = (cluster: Cluster): string =>
  `have every client use https, trust ${fileOf(cluster, 'ca.crt')}, and show ${fileOf(cluster, 'etcd-client.crt')} ` +
  `with its key, as ${command(cluster, 'env')} prints it`

/** Of hosts, as clients are told them. */
export const addressesOf = (names: string[]): string => `the addresses of ${listed(names)}`

/** scale, move, adopt: every member goes. Who knows none of those that come loses the cluster with the last one. */
export const aroundExchange = (cluster: Cluster, coming: string, leaving: string[]): string =>
  `give every client ${coming}, beside those that it has: one that knows only ${listed(leaving)} loses the cluster ` +
  `with the last of them${ofConnected(cluster, 'endpoints')}`

/** move: undefined where a member stays at an address that clients have. */
export function beforeMove(cluster: Cluster, wanted: Host[]): string | undefined {
  const old = cluster.hosts.map(({ address }) => address)
  const coming = wanted.map(({ address }) => address)
  if (old.some((address) => coming.includes(address))) return undefined
  return aroundExchange(cluster, listed(coming), old)
}

/** rotate-ca: a client that reads the authority only at its start (kube-apiserver) must restart to trust the next. */
export const aroundRotateCa = {
  /** Before certificates are issued by the other authority. */
  trust: (cluster: Cluster): string =>
    `give every client ${fileOf(cluster, 'ca.crt')}, which has both authorities, and restart those that read it only ` +
    `at their start (each kube-apiserver does): with the next step they would lose the cluster` +
    ofConnected(cluster, 'authority'),
  /** Before the authority that is left is trusted no longer. */
  identify: (cluster: Cluster): string =>
    `give every client ${fileOf(cluster, 'etcd-client.crt')} and its key, or a certificate that the same authority ` +
    'signed (kube-apiserver reads its own again by itself): with the next step the old ones are refused' +
    ofConnected(cluster, 'certificate'),
  /** Once it is over. */
  over: (cluster: Cluster): string =>
    `give every client ${fileOf(cluster, 'ca.crt')}, and restart those that read it only at their start (each ` +
    'kube-apiserver)',
  needs: (cluster: Cluster): string =>
    `Clients need ${fileOf(cluster, 'ca.crt')} before certificates are issued by the other authority, and those that ` +
    'read it only at their start (each kube-apiserver) a restart then, or they lose the ' +
    `cluster${ofConnected(cluster, 'authority')}.`,
  question: (cluster: Cluster, verb: string): string =>
    `${aroundRotateCa.needs(cluster)} To pause for that between the steps: ${command(cluster, `${verb} --step`)}.`,
}

/** rotate-ca, before the last step: by address who refused the members' new certificates; none where nobody did. */
export function refusingClients(found: Refusing[]): string[] {
  const addresses = [...new Set(found.map(({ address }) => address))].toSorted()
  const times = (of: string): number =>
    found.filter(({ address }) => address === of).reduce((sum, one) => sum + one.times, 0)
  if (addresses.length === 0) return []
  const named = listed(addresses.map((address) => `${address} (${counted(times(address), 'time')})`))
  return [
    `Clients refused the members' new certificates, so they do not trust the authority that issues now: ${named}. ` +
      'Give them ca.crt, and restart what reads it only at its start.',
  ]
}
