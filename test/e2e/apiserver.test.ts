// A client that speaks as kube-apiserver does lives on a cluster that other people set up, through adopt and move, over
// ssh. It does what is announced, then and not before. Minutes, so only when asked for:
// E2E_LONG=1 npm run test:e2e -- e2e/apiserver (byHand,joined: these)
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import '../support/own-ansible.ts'
import { parse, stringify } from 'yaml'
import {
  type Apiserver,
  apiserverProgram,
  besideApiserver,
  requireClean,
  settled,
  startApiserver,
} from '../support/apiserver.ts'
import { addAddresses, listHosts, relist, startHosts, type TestHosts } from '../support/hosts.ts'
import { folderOf, type Kind, kinds, setUpKind } from '../support/kinds.ts'
import { isLong, long } from '../support/long.ts'
import { done, testHome } from '../support/verbs.ts'
import { pause, until } from '../support/wait.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const asked = (process.env.E2E_LONG ?? '').split(',')
const certs = join(home.path, 'certs/etcd-cluster-1')
/** Its folders: by hand, and by `connect`. */
const [byHand, connected] = [join(home.path, 'given'), join(home.path, 'connected')]
const program = (isLong && apiserverProgram()) || ''
let machines: TestHosts
let apiserver: Apiserver
const started: Apiserver[] = []

test.before(async () => {
  mkdirSync(byHand)
  if (program) machines = await startHosts(process.env.TEST_IMAGE ?? '', 6)
})
test.after.each(async () => void (await Promise.all(started.splice(0).map(({ stop }) => stop()))))
test.after(() => machines?.remove())

function real(name: string, title: string, prove: () => Promise<void>): void {
  const isAsked = asked.includes('1') || asked.includes(name)
  if (isLong && !(program && isAsked)) test.skip(title, prove)
  else long(title, prove)
}

interface Said {
  clients: string
  warnings: string[]
}
const does = async (...words: [string, ...string[]]): Promise<Said> =>
  (await done(home.verb(...words, '--yes', '--json'))) as unknown as Said
const planOf = async (...words: [string, ...string[]]): Promise<string> =>
  ((await done(home.verb(...words, '--plan', '--json'))).plan as string[]).join('\n')
const beside = (...words: [string, ...string[]]): Promise<Said> =>
  besideApiserver(apiserver, words.filter((word) => !word.includes('/')).join(' '), () => does(...words))

async function start(given: string, name = 'kept'): Promise<Apiserver> {
  const one = await startApiserver(program, given, name)
  started.push(one)
  return one
}
async function restartedWith(given: string): Promise<void> {
  await settled('before its restart', apiserver)
  apiserver = await start(given)
}

/** Its certificate and key, which it reads again by itself. */
function givePair(path: string): void {
  for (const end of ['crt', 'key']) copyFileSync(`${path}.${end}`, join(byHand, `client.${end}`))
}
const giveAuthority = (path: string): void => copyFileSync(path, join(byHand, 'ca.crt'))
function giveEndpoints(endpoints: string): void {
  const files = { cafile: 'ca.crt', certfile: 'client.crt', keyfile: 'client.key' }
  const flags = Object.entries(files).map(([flag, file]) => `--etcd-${flag}=${join(byHand, file)}\n`)
  const tls = endpoints.startsWith('https:') ? flags.join('') : ''
  writeFileSync(join(byHand, 'kube-apiserver.flags'), `--etcd-servers=${endpoints}\n${tls}`)
}
const endpointsGiven = (): string =>
  /--etcd-servers=(\S+)/.exec(readFileSync(join(byHand, 'kube-apiserver.flags'), 'utf8'))?.[1] ?? ''
const endpointsNow = async (): Promise<string> => String((await done(home.verb('env', '--json'))).ETCDCTL_ENDPOINTS)

/** With the files that the makers of such a cluster gave it. @returns a second one, which does nothing of all that */
async function startOnTheirs(kind: Kind, count = 3): Promise<Apiserver> {
  const { hosts } = await setUpKind(home, machines, kind)
  const urls = hosts.map(({ clientURL }) => clientURL)
  giveEndpoints(urls.slice(0, count).join())
  giveAuthority(join(folderOf(home, kind), 'clients-ca.crt'))
  givePair(join(folderOf(home, kind), 'etcd-client'))
  apiserver = await start(byHand)
  return start(byHand, 'ignoring')
}

/** From where each member is ours to the end. */
async function toTheEnd({ clients }: Said, ignoring?: Apiserver): Promise<void> {
  assert.match(clients, `give every client ${certs}/ca.crt, which has both authorities, and restart those that read it`)
  giveAuthority(join(certs, 'ca.crt'))
  if (ignoring) requireClean('who has not restarted has lost nothing yet', ignoring)
  await restartedWith(byHand)
  const finished = await beside('adopt', '--finish')
  if (ignoring) await until('who has not restarted is refused', () => /authority/.test(ignoring.now().handshake))
  await ignoring?.stop()
  assert.match(finished.clients, `give every client ${certs}/etcd-client.crt and its key`)
  givePair(join(certs, 'etcd-client'))
  await beside('adopt', '--drop-old')
}

async function inPlace(kind: Kind, count?: number): Promise<void> {
  const ignoring = await startOnTheirs(kind, count)
  await beside('adopt')
  await beside('adopt', '--back')
  await toTheEnd(await beside('adopt'), ignoring)
}

real(
  'pods',
  'kubeadm: it knows one member alone, whose pod is taken over, given back, and taken over again',
  async () => {
    await inPlace(kinds.pods, 1)
    await settled('in the end', apiserver)
  },
)

real('byHand', 'members are taken over, given back, and taken over again; then they move', async () => {
  await inPlace(kinds.byHand)
  await beside('connect', 'kubernetes', '--output', connected)
  await restartedWith(connected)

  await addAddresses(machines, '2')
  relist(home.path, machines, '2', 1)
  assert.not.match(await planOf('move'), 'beside those that it has', 'members stay where it knows them')
  requireDuty(await beside('move'))
  await restartedWith(connected)

  exchange('master03', 'master04')
  assert.match(await planOf('scale'), 'you: kubernetes: give each kube-apiserver the new --etcd-servers')
  requireDuty(await beside('scale'))
  await restartedWith(connected)

  await addAddresses(machines, '3')
  relist(home.path, machines, '3')
  const before = await endpointsNow()
  const after = hostsListed().map(({ address }) => address)
  const [first = ''] = (await planOf('move')).split('\n')
  for (const address of after) assert.match(first, address)
  assert.match(
    first,
    /you: give every client .*, beside those that it has.*kubernetes: give each kube-apiserver the new/,
  )
  giveEndpoints([before, ...after.map((address) => `https://${address}:2379`)].join())
  await restartedWith(byHand)
  requireDuty(await beside('move'))
  await restartedWith(connected)
  await beside('verify')
  await settled('in the end', apiserver)
})

function requireDuty({ warnings }: Said): void {
  assert.match(warnings.join('\n'), 'kubernetes: give each kube-apiserver the new --etcd-servers, one after the other')
}

interface Listed {
  name: string
  address: string
}
const file = join(home.path, 'cluster.yaml')
const hostsListed = (): Listed[] => parse(readFileSync(file, 'utf8')).hosts

/** Lists another host in the place of that one. */
function exchange(name: string, other: string): void {
  const { address } = machines.hosts.find((host) => host.name === other) as Listed
  const hosts = hostsListed().map((host) => (host.name === name ? { ...host, name: other, address } : host))
  writeFileSync(file, stringify({ ...parse(readFileSync(file, 'utf8')), hosts }))
}

real('joined', 'hosts of ours join, and the old members go: it knows ours before', async () => {
  const ignoring = await startOnTheirs(kinds.byHand)
  const { etcd } = parse(readFileSync(file, 'utf8'))
  listHosts(home.path, { ...machines, hosts: machines.hosts.slice(3) }, 3, etcd)
  const theirs = (name: string): string => join(folderOf(home, kinds.byHand), name)
  const access: [string, ...string[]] = [
    ...(['adopt', '--endpoints', endpointsGiven()] as const),
    ...['--ca-cert', theirs('clients-ca.crt'), '--ca-key', theirs('clients-ca.key')],
    ...['--peer-ca-cert', theirs('peers-ca.crt'), '--peer-ca-key', theirs('peers-ca.key')],
  ]
  const announced = 'give every client the addresses of master04, master05 and master06, beside those that it has'
  const plan = await planOf(...access)
  assert.match(plan, announced)
  assert.match(plan, /one that knows only node-\d, node-\d and node-\d loses the cluster/)
  const { clients } = await beside(...access, '--keep-old')
  const [, all = ''] = /must know ours before the old ones go: (\S+)/.exec(clients) ?? []
  assert.is(all.split(',').length, 6)
  giveEndpoints(all)
  await restartedWith(byHand)
  assert.match(await planOf('adopt'), announced)
  const gone = await beside('adopt')
  await until('who has the old endpoints has lost it', () => ignoring.now().handshake !== '')
  await ignoring.stop()
  assert.match(gone.clients, 'Clients need the endpoints that it has now')
  giveEndpoints(await endpointsNow())
  await toTheEnd(gone)
  await settled('in the end', apiserver)
})

real('plain', 'from plain HTTP it goes over to TLS as it likes, but before the last step', async () => {
  const ignoring = await startOnTheirs(kinds.plain)
  const { clients } = await beside('adopt')
  assert.match(clients, 'have every client use https')
  const finished = await beside('adopt', '--finish')
  assert.is(finished.clients, clients)
  giveAuthority(join(certs, 'ca.crt'))
  givePair(join(certs, 'etcd-client'))
  giveEndpoints(await endpointsNow())
  await restartedWith(byHand)
  requireClean('who has not gone over has lost nothing yet', ignoring)
  await beside('adopt', '--drop-old')
  const { acknowledged } = ignoring.now()
  await pause(2000)
  assert.is(ignoring.now().acknowledged, acknowledged, 'who has not gone over has lost it')
  await settled('in the end', apiserver)
})

test.run()
