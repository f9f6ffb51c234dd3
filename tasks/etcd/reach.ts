// How this machine reaches the members: directly, or through ssh where their addresses cannot be reached from here.
import { connect as connectTCP, createServer } from 'node:net'
import { join } from 'node:path'
import type { Cluster, Host } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { run } from '../core/run.ts'
import { keepRunning } from '../core/shell.ts'
import { forbidsTunnels } from './causes.ts'

/** A place to connect to in the place of another one. */
export interface Route {
  host: string
  port: number
  /** True when it is the near end of a tunnel, which accepts whether or not the far end does. */
  tunnel: boolean
}

/** "address:port" of a member to the tunnel's port on this machine. */
const tunnels = (): Map<string, number> => run().once('tunnels', () => new Map())
const directMs = 700

/** Where to connect to for an address and port. */
export function route(address: string, port: number): Route {
  const near = tunnels().get(`${address}:${port}`)
  return near ? { host: '127.0.0.1', port: near, tunnel: true } : { host: address, port, tunnel: false }
}

/**
 * The URL to use in the place of a member's own. Its certificate names 127.0.0.1, too, so TLS holds through a tunnel.
 */
export function routed(url: string): string {
  const { hostname, port } = new URL(url)
  const { tunnel, host, port: near } = route(hostname, Number(port))
  return tunnel ? `https://${host}:${near}` : url
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
  const carried = await Promise.all(cluster.hosts.map((host) => openTunnel(cluster, host)))
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

/**
 * Both ports of a host through one ssh. A host that ssh does not reach has none: it is asked directly, and said to be
 * down.
 */
async function openTunnel(cluster: Cluster, host: Host): Promise<'forbidden' | undefined> {
  const ports = [cluster.etcd.clientPort, cluster.etcd.peerPort]
  const near = await Promise.all(ports.map(freePort))
  const forwards = ports.flatMap((port, index) => ['-L', `127.0.0.1:${near[index]}:${host.address}:${port}`])
  const settings = [
    'BatchMode=yes',
    'ConnectTimeout=5',
    'ExitOnForwardFailure=yes',
    'ControlPath=none',
    'LogLevel=INFO',
  ]
  const options = ['-F', join(cluster.paths.state, 'ssh-config'), ...settings.flatMap((setting) => ['-o', setting])]
  let said = ''
  // It ends when its standard input does: with us, however we end.
  if (
    !(await keepRunning(
      'ssh',
      [...options, ...forwards, host.name, 'echo ready; cat >/dev/null'],
      undefined,
      (words) => void (said += words),
    ))
  )
    return undefined
  await passThrough(near[0] as number)
  if (forbidsTunnels(said)) return 'forbidden'
  for (const [index, port] of ports.entries()) tunnels().set(`${host.address}:${port}`, near[index] as number)
  return undefined
}

/** One connection through a tunnel, there and back: only then does ssh say whether the far end lets it. */
function passThrough(port: number): Promise<void> {
  return new Promise((done) => {
    const socket = connectTCP({ host: '127.0.0.1', port, timeout: directMs })
    socket.once('connect', () => socket.end()).resume()
    socket.once('timeout', () => socket.destroy()).once('error', () => {})
    socket.once('close', () => setImmediate(done)) // by then what ssh said before it closed has been read
  })
}

/**
 * Whether the machine at a member's URL says at once that nobody listens there. Behind a tunnel, or where nothing is
 * said, it cannot be known.
 */
export async function refuses(url: string): Promise<boolean> {
  const { hostname, port } = new URL(routed(url))
  return (await knock(hostname, Number(port))) === 'refused'
}

function knock(host: string, port: number): Promise<'accepted' | 'refused' | 'silent'> {
  return new Promise((done) => {
    const socket = connectTCP({ host, port, timeout: directMs })
    const end = (answer: 'accepted' | 'refused' | 'silent'): void => {
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
