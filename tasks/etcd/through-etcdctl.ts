// A gateway's requests through etcdctl, a program for each: for members whose JSON gateway is off.
import type { Cluster } from '../core/cluster.ts'
import { call, del, endpointHealth, get, put } from './etcdctl.ts'
import { says } from './etcdctl-output.ts'
import { type Gateway, openGateway } from './gateway.ts'

/** The cluster's JSON gateway; where it is off (ETCD_ENABLE_GRPC_GATEWAY=false), etcdctl in its place. */
export async function gatewayOrEtcdctl(
  cluster: Cluster,
  sockets: number,
): Promise<{ gateway: Gateway; slow: boolean }> {
  const gateway = openGateway(cluster, sockets)
  const answers = await Promise.allSettled(gateway.endpoints.map((endpoint) => gateway.read(endpoint, 'ha-etcd')))
  if (!answers.some((answer) => answer.status === 'rejected' && isOff(answer.reason as Error)))
    return { gateway, slow: false }
  gateway.close()
  return { gateway: throughEtcdctl(cluster), slow: true }
}

/** What a member without a gateway says to a request for it; with authentication on, it knows no client certificate. */
export const isOff = (error: Error & { status?: number }): boolean =>
  error.status === 404 || says.notAllowed(error.message)

type Found = { header?: { revision?: number }; kvs?: object[] }

function throughEtcdctl(cluster: Cluster): Gateway {
  const at = (endpoint: string): { endpoints: string[] } => ({ endpoints: [endpoint] })
  return {
    endpoints: cluster.hosts.map((host) => host.clientURL),
    put: (endpoint, key, value) => put(cluster, key, value, at(endpoint)),
    read: async (endpoint, key) => {
      const words = ['get', '--consistency=l', '--keys-only', '--', key]
      const { header, kvs = [] } = await call<Found>(cluster, words, at(endpoint))
      return { found: kvs.length > 0, revision: Number(header?.revision ?? 0) }
    },
    keysBelow: async (endpoint, prefix) =>
      new Set((await get(cluster, prefix, { ...at(endpoint), prefix: true, timeoutMs: 30_000 })).keys()),
    deleteBelow: (endpoint, prefix) => del(cluster, prefix, { ...at(endpoint), prefix: true, timeoutMs: 30_000 }),
    isHealthy: async (endpoint) => (await endpointHealth(cluster, at(endpoint)))[0]?.ok === true,
    close: () => {},
  }
}
