// A cluster for tests: every field filled, its files in a temporary folder that goes when the test ends.
import type { Cluster, Host } from '../../tasks/core/cluster.ts'
import { clusterPaths } from '../../tasks/core/record.ts'
import { temporaryFolder } from './folder.ts'

export type Overrides = Partial<Omit<Cluster, 'etcd' | 'pki' | 'paths'>> & {
  etcd?: Partial<Cluster['etcd']>
  pki?: Partial<Cluster['pki']>
  paths?: Partial<Cluster['paths']>
  masters?: number
}

/** A cluster of `masters` (default 3) hosts on 127.77.0.101 and up; nothing of it exists yet, not even its folders. */
export function testCluster({ masters = 3, etcd, pki, paths, ...overrides }: Overrides = {}): Cluster {
  const name = overrides.name ?? 'test-cluster'
  return {
    name,
    provider: 'local',
    providerReason: 'as the test asked',
    subnet: '127.77.0.0/24',
    hosts: Array.from({ length: masters }, (_, index) => testHost(index + 1)),
    configFile: undefined,
    recorded: false,
    ...overrides,
    etcd: {
      token: name,
      version: undefined,
      binaries: undefined,
      source: 'auto',
      mirror: undefined,
      clientPort: 2379,
      peerPort: 2380,
      environment: {},
      ...etcd,
    },
    pki: { keyAlgorithm: 'ecdsa-p256', caDays: 3650, leafDays: 365, renewBeforeDays: 30, extraSans: [], ...pki },
    paths: { ...clusterPaths(name, temporaryFolder()), ...paths },
  }
}

function testHost(number: number): Host {
  const address = `127.77.0.${100 + number}`
  return {
    name: `master${String(number).padStart(2, '0')}`,
    address,
    clientURL: `https://${address}:2379`,
    peerURL: `https://${address}:2380`,
  }
}
