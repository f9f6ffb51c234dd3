// The addresses of hosts that we choose ourselves: the network of a cluster, and each host's place in it.
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { home } from './environment.ts'
import { OperationError } from './errors.ts'
import { readFileIfThere } from './files.ts'
import { prefixOf } from './ip.ts'
import { clusterPaths, recordedClusters } from './record.ts'

/** master01, master02, … at .101 (IPv6: ::101) and up, as the original had them. */
export function membersIn(subnet: string, masters: number): { name: string; address: string }[] {
  const prefix = prefixOf(subnet) ?? ''
  return Array.from({ length: masters }, (_, index) => ({
    name: `master${String(index + 1).padStart(2, '0')}`,
    address: `${prefix}${101 + index}`,
  }))
}

export const otherSubnets = (name: string): (string | undefined)[] =>
  recordedClusters()
    .filter((other) => other !== name)
    .map((other) => /"subnet": *"([^"]+)"/.exec(readFileIfThere(clusterPaths(other).record) ?? '')?.[1])

/** A 127.x.y.0/24 that no recorded cluster has, with free ports at its first address; the name says where to begin. */
export async function freeLoopbackSubnet(name: string, ports: number[]): Promise<string> {
  const taken = otherSubnets(name)
  const start = createHash('sha256').update(join(home(), name)).digest().readUInt16BE()
  for (let step = 0; step < 256; step++) {
    const place = (start + step * 257) % 65536
    const prefix = `127.${1 + (place % 254)}.${place >> 8}`
    if (taken.includes(`${prefix}.0/24`)) continue
    const free = await Promise.all(ports.map((port) => canListen(`${prefix}.101`, port)))
    if (free.every((answer) => answer !== 'EADDRINUSE')) return `${prefix}.0/24`
  }
  throw new OperationError('No free 127.x.y.0/24 network was found on this machine.', {
    hint: 'Name one with subnet: in the configuration.',
  })
}

/** Tries to listen: true, or the system's error code (EADDRINUSE, EADDRNOTAVAIL, …). */
export function canListen(address: string, port: number): Promise<true | string> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => done(true)))
  })
}
