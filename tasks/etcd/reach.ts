// How this machine reaches the members: directly, or through ssh where their addresses cannot be reached from here.
import { connect as connectTCP, createServer } from 'node:net'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { addressIn, withPort } from '../core/ip.ts'
import { clock, run } from '../core/run.ts'
import { keepRunning } from '../core/shell.ts'
import { forbidsTunnels } from './causes.ts'
import { overTheWay, tookToConnect } from './round-trip.ts'

/** A place to connect to in the place of another one. */
export interface Route {
  host: string
  port: number
  /** True when it is the near end of a tunnel, which accepts whether or not the far end does. */
  tunnel: boolean
}

/** A member's "address:port" to the tunnel's port on this machine. */
const tunnels = (): Map<string, number> => run().once('tunnels', () => new Map())
/** How long a connection to a host near by may take, in ms; and to all, before anybody was reached. */
const directMs = 700

/** Where to connect to for an address and port. */
export function route(address: string, port: number): Route {
  const near = tunnels().get(withPort(address, port))
  return near ? { host: '127.0.0.1', port: near, tunnel: true } : { host: address, port, tunnel: false }
}

/** The URL to use in the place of a member's own; its certificate names 127.0.0.1, too, so TLS holds. */
export function routed(url: string): string {
  const { address, port } = addressIn(url)
  const { tunnel, host, port: near } = route(address, port)
  return tunnel ? `${new URL(url).protocol}//${host}:${near}` : url
}

/** Puts the members' own URLs back into a text that speaks of tunnels. */
export function unrouted(text: string): string {
  return [...tunnels()].reduce((all, [far, near]) => all.replaceAll(`127.0.0.1:${near}`, far), text)
}

/**
 * Finds the way to the members; to be called once, before they are asked. Where none of them accepts a connection
 * (Docker Desktop, NAT), an ssh tunnel to each is tried; it ends with this process.
 * @returns how they are reached when it is not directly, as a clause; undefined when it is
 * @throws OperationError naming the hosts whose sshd opens no tunnel
 */
export async function reachMembers(cluster: Cluster): Promise<string | undefined> {
  if (cluster.provider === 'local' || tunnels().size > 0) return undefined
  const answers = await Promise.all(cluster.hosts.map((host) => knock(host.address, cluster.etcd.clientPort)))
  if (answers.includes('accepted')) return undefined
  const carried = await Promise.all(cluster.hosts.map((host) => (host.foreign ? undefined : openTunnel(cluster, host))))
  // One that refuses is in reach, and its member only down: it needs no tunnel.
  const forbidding = cluster.hosts
    .filter((_, index) => carried[index] === 'forbidden' && answers[index] !== 'refused')
    .map(({ name }) => name)
  if (forbidding.length > 0) {
    tunnels().clear() // to ask again must not seem to go directly
    throw new OperationError(
      `The members' addresses cannot be reached from here, and sshd on ${forbidding.join(' and ')} ` +
        'forbids forwarding (AllowTcpForwarding).',
      {
        hint:
          'Allow it there (AllowTcpForwarding local, and PermitOpen where it is set, in ' +
          '/etc/ssh/sshd_config), or work from a machine that reaches them.',
      },
    )
  }
  return tunnels().size > 0 ? "through ssh, since the members' addresses cannot be reached from here" : undefined
}

/** Both ports of a host through one ssh. A host that ssh does not reach has none, and is said to be down. */
async function openTunnel(cluster: Cluster, host: Host): Promise<'forbidden' | undefined> {
  const ports = [cluster.etcd.clientPort, cluster.etcd.peerPort]
  const near = await Promise.all(ports.map(freePort))
  const forwards = ports.flatMap((port, index) => ['-L', `127.0.0.1:${near[index]}:${withPort(host.address, port)}`])
  const options = [...sshOptions(cluster), '-o', 'ExitOnForwardFailure=yes', '-o', 'LogLevel=INFO']
  // It ends when its standard input does: with us, however we end.
  const words = [...options, ...forwards, host.name, 'echo ready; cat >/dev/null']
  let said = ''
  if (!(await keepRunning('ssh', words, undefined, (some) => void (said += some)))) return undefined
  const began = clock()
  await passThrough(near[0] as number)
  tookToConnect(host.address, clock() - began)
  if (forbidsTunnels(said)) return 'forbidden'
  for (const [index, port] of ports.entries()) tunnels().set(withPort(host.address, port), near[index] as number)
  return undefined
}

/** How ssh is asked for what may fail: it waits for nobody to type, nor for a connection that it shares. */
export const sshOptions = ({ paths }: Cluster): string[] => [
  ...['-F', paths.sshConfig],
  ...['BatchMode=yes', 'ConnectTimeout=5', 'ControlPath=none'].flatMap((setting) => ['-o', setting]),
]

/** One connection through a tunnel, there and back: only then does ssh say whether the far end lets it. */
function passThrough(port: number): Promise<void> {
  return new Promise((done) => {
    const socket = connectTCP({ host: '127.0.0.1', port, timeout: overTheWay(directMs, 2) })
    socket.once('connect', () => socket.end()).resume()
    socket.once('timeout', () => socket.destroy()).once('error', () => {})
    socket.once('close', () => setImmediate(done)) // by then what ssh said before it closed has been read
  })
}

/** Whether a member's machine says at once that nobody listens there; behind a tunnel that cannot be known. */
export async function refuses(url: string): Promise<boolean> {
  const { address, port } = addressIn(routed(url))
  return (await knock(address, port)) === 'refused'
}

function knock(host: string, port: number): Promise<'accepted' | 'refused' | 'silent'> {
  return new Promise((done) => {
    const began = clock()
    const socket = connectTCP({ host, port, timeout: overTheWay(directMs, 2) })
    const end = (answer: 'accepted' | 'refused' | 'silent'): void => {
      if (answer !== 'silent') tookToConnect(host, clock() - began)
      socket.destroy()
      done(answer)
    }
    socket
      .once('connect', () => end('accepted'))
      .once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'))
      .once('timeout', () => end('silent'))
  })
}

/** A port of 127.0.0.1 that nobody uses now. */
export function freePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer().once('error', fail)
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const { port } = server.address() as { port: number }
      server.close(() => done(port))
    })
  })
}
