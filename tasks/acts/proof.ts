// The proof of a snapshot: restored into a throw-away etcd, its data must be what the live members hold.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { readFileIfThere } from '../core/files.ts'
import { searchPath } from '../core/programs.ts'
import { clock, sleep } from '../core/run.ts'
import { keepRunning } from '../core/shell.ts'
import { requireEtcdHere } from '../etcd/binaries.ts'
import { type Answer, countKeys, endpointHashKV, type HashKV } from '../etcd/etcdctl.ts'
import { says } from '../etcd/etcdctl-output.ts'
import { freePort } from '../etcd/reach.ts'
import { restoreSnapshot } from '../etcd/snapshot.ts'

/** How long the throw-away etcd may take, in ms: it reads the whole database. */
const proofMs = 300_000

/** What a throw-away etcd says of a snapshot: the hash of its data at a revision, and how many keys there are. */
export type Restored = HashKV & { keys: number }

/**
 * Restores a snapshot below `folder` and asks the etcd that runs on it for the hash of its data at a revision, and its
 * keys. It listens on 127.0.0.1 only, with the cluster's own TLS: nobody without our client certificate reads from it.
 * It ends with us, however we end.
 * @throws OperationError when it cannot be restored or etcd does not start on it
 */
export async function restoredData(
  cluster: Cluster,
  file: string,
  revision: number,
  folder: string,
): Promise<Restored> {
  const [endpoint, peerURL] = [`https://127.0.0.1:${await freePort()}`, `https://127.0.0.1:${await freePort()}`]
  const [data, log] = [join(folder, 'data'), join(folder, 'etcd.log')]
  mkdirSync(folder, { mode: 0o700 })
  await restoreSnapshot(cluster, file, {
    name: 'proof',
    peerURL,
    initialCluster: `proof=${peerURL}`,
    token: `${cluster.name}-proof`,
    dataDirectory: data,
  })
  const end = new AbortController()
  try {
    const etcd = join((await requireEtcdHere(cluster)).folder, 'etcd')
    const words = [log, searchPath(), etcd, ...etcdFlags(cluster, data, endpoint, peerURL)]
    await keepRunning('sh', ['-c', untilInputEnds, ...words], end.signal)
    return { ...(await hashOf(cluster, endpoint, revision, log)), keys: await countKeys(cluster, endpoint) }
  } finally {
    end.abort()
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** A person's own ETCD_* must not reach it. */
const untilInputEnds =
  'path=$1; shift; env -i PATH="$path" "$@" >"$0" 2>&1 & etcd=$!; echo started; cat >/dev/null; kill -KILL $etcd'

function etcdFlags(cluster: Cluster, data: string, clientURL: string, peerURL: string): string[] {
  const { certs } = cluster.paths
  const [cert = '', key = ''] = ['crt', 'key'].map((kind) =>
    join(certs, cluster.hosts[0]?.name ?? '', `server.${kind}`),
  )
  const ca = join(certs, 'ca.crt')
  const flags = {
    name: 'proof',
    'data-dir': data,
    'listen-client-urls': clientURL,
    'advertise-client-urls': clientURL,
    'listen-peer-urls': peerURL,
    'initial-advertise-peer-urls': peerURL,
    'initial-cluster': `proof=${peerURL}`,
    'cert-file': cert,
    'key-file': key,
    'trusted-ca-file': ca,
    'client-cert-auth': 'true',
    'peer-cert-file': cert,
    'peer-key-file': key,
    'peer-trusted-ca-file': ca,
    'peer-client-cert-auth': 'true',
    'heartbeat-interval': '20',
    'election-timeout': '200', // it is alone: no reason to wait a second for others
  }
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
}

async function hashOf(cluster: Cluster, endpoint: string, revision: number, log: string): Promise<HashKV> {
  let answer: Answer<HashKV> | undefined
  for (const deadline = clock() + proofMs; clock() < deadline; await sleep(50)) {
    ;[answer] = await endpointHashKV(cluster, revision, { endpoints: [endpoint], timeoutMs: 60_000 })
    if (answer?.ok) return answer.value
    const reason = answer?.reason ?? ''
    if (/panic|"level":"fatal"/.test(readFileIfThere(log) ?? '') || says.ahead(reason) || says.compacted(reason)) break
  }
  throw new OperationError(`No etcd started on the restored data${answer && !answer.ok ? `: ${answer.reason}` : ''}.`, {
    output: (readFileIfThere(log) ?? '').split('\n').slice(-4).join('\n'),
  })
}
