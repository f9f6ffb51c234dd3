// The way to members whose addresses cannot be reached from here. No sshd: a stand-in for ssh listens where a tunnel
// would.
import { readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { OperationError } from '../../../tasks/core/errors.ts'
import { freePort, reachMembers, route, routed, unrouted } from '../../../tasks/etcd/reach.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

const programs = temporaryFolder()
const path = process.env.PATH
test.before(() => void (process.env.PATH = `${programs}${delimiter}${path}`))
test.after(() => void (process.env.PATH = path))

/** Each connection is closed, after these words for the host of that name (OpenSSH 9.2's, in channels.c). */
function standIn(words: Record<string, string>): void {
  const program = `#!${process.execPath}
const words = ${JSON.stringify(words)}[process.argv.at(-2)] ?? ''
const forwards = process.argv.filter((_, index) => process.argv[index - 1] === '-L')
require('node:fs').appendFileSync(${JSON.stringify(join(programs, 'forwards'))}, forwards.join('\\n') + '\\n')
const server = () => require('node:net').createServer((socket) => (process.stderr.write(words), socket.destroy()))
const listen = (port) => new Promise((ready) => server().listen(port, '127.0.0.1', ready))
const listening = forwards.map((word) => listen(Number(word.split(':')[1])))
void Promise.all(listening).then(() => console.log('ready'))
process.stdin.on('end', () => process.exit()).resume()
`
  writeFileSync(join(programs, 'ssh'), program, { mode: 0o755 })
}

/** What the stand-in was told to forward so far. */
const forwards = (): string => readFileSync(join(programs, 'forwards'), 'utf8')

const refused = 'channel 2: open failed: connect failed: Connection refused\r\n'
const prohibited = 'channel 2: open failed: administratively prohibited: open failed\r\n'

/** A cluster at addresses that say nothing (RFC 5737), or refuse. */
function clusterAt(network: string, clientPort: number) {
  const addresses = [101, 102, 103].map((number) => `${network}.${number}`)
  const hosts = addresses.map((address, index) => ({
    name: `m${index + 1}`,
    address,
    clientURL: `https://${address}:${clientPort}`,
    peerURL: `https://${address}:2380`,
  }))
  return testCluster({ provider: 'ssh', hosts, etcd: { clientPort } })
}

test('hosts that are out of reach and whose sshd forbids forwarding are named, with what helps', async () => {
  standIn({ m1: refused, m2: prohibited, m3: prohibited })
  const failure = (await reachMembers(clusterAt('192.0.2', 2379)).catch((error: unknown) => error)) as OperationError
  assert.instance(failure, OperationError)
  assert.match(failure.message, 'sshd on m2 and m3 forbids forwarding (AllowTcpForwarding)')
  assert.match(failure.more.hint ?? '', 'AllowTcpForwarding local')
})

test('where members are only down nothing keeps a run from bringing them back', async () => {
  standIn({ m1: prohibited, m2: prohibited, m3: prohibited })
  assert.is(await reachMembers(clusterAt('127.77.9', await freePort())), undefined)
})

test('members that are down behind tunnels are only down, too', async () => {
  standIn({ m1: refused, m2: refused, m3: refused })
  const cluster = clusterAt('192.0.2', 2379)
  Object.assign(cluster.hosts[2] as object, { address: '2001:db8::3' })
  assert.match(String(await reachMembers(cluster)), /^through ssh/)
  assert.is(route('192.0.2.101', 2379).tunnel, true)
  const near = routed('https://[2001:db8::3]:2379')
  assert.match(near, /^https:\/\/127\.0\.0\.1:\d+$/)
  assert.is(unrouted(`${near} is down`), 'https://[2001:db8::3]:2379 is down')
  assert.match(forwards(), /^127\.0\.0\.1:\d+:\[2001:db8::3\]:2380$/m)
})

test.run()
