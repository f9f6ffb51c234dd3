// adopt by joining: hosts of ours become members of a running cluster one by one, then its old members go.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { withScratch } from '../copies.ts'
import { type Cluster, type Host, ownHosts } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { caPassphrase } from '../core/environment.ts'
import { failureOf, OperationError, UsageError } from '../core/errors.ts'
import type { NewFile } from '../core/files.ts'
import { addressIn } from '../core/ip.ts'
import { inOrder, runPipeline } from '../core/pipeline.ts'
import { noteReplacing, recordCluster } from '../core/record.ts'
import { confirm } from '../core/script.ts'
import { listed } from '../core/terminal.ts'
import { type Authority, certificatesIn, issuePair } from '../core/x509.ts'
import { attempt, commonNames, leaves, pairOf, trustedAuthorities } from '../etcd/certificates.ts'
import { endpointStatus, type Member, memberList } from '../etcd/etcdctl.ts'
import { sentenceOf } from '../etcd/findings.ts'
import { hostOfMember, type Known, whyNotAsked, whyNotJoined } from '../etcd/foreign.ts'
import { clientOf, knock } from '../etcd/probe.ts'
import { requirePrograms } from '../etcd/required-programs.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { requireData } from '../observe/host-data.ts'
import * as pki from '../pki/index.ts'
import { joinRules, leaveRules, scaleRules } from '../plans/scale.ts'
import type { Observation } from '../plans/types.ts'
import * as vms from '../vms/index.ts'
import { noteTaken } from './adopt.ts'
import { asBefore, asLetIn, type ClientFiles, clientPair, forget, stage, withTheirs } from './adopt-files.ts'
import { obstacles, refuse } from './adopt-look.ts'
import { downAmong, isWayBack } from './adopt-rules.ts'
import { startOurs } from './adopt-start.ts'
import { haveOwnUser } from './auth.ts'
import { carryOut, planLines } from './carry-out.ts'
import { addressesOf, aroundExchange, aroundRotateCa } from './clients.ts'
import { lookFirst } from './guard.ts'
import { sayDone, sayPlan } from './say.ts'
import { carryOutSteps, doSteps, type Step } from './steps.ts'

/** How a running cluster is reached, and what lets new members in: paths of certificates and their keys. */
export interface Access {
  endpoints: string[]
  /** The authorities of the client port and of the peer port. */
  authority: ClientFiles
  peerAuthority: ClientFiles
  client: ClientFiles | undefined
}

interface Found {
  /** Its members, as hosts. */
  old: Host[]
  version: string
  /** What ours need to join, below a folder as the role takes them. */
  files: NewFile[]
  seen: Observation
}

/**
 * Looks, asks, lets the hosts of the configuration join, then retires the old members; with `keepOld` it stops before
 * that. Run again after a kill, it goes on. @param access undefined: one that was begun is gone on with
 */
export async function adoptByJoining(
  cluster: Cluster,
  access: Access | undefined,
  { keepOld, plan }: { keepOld: boolean; plan: boolean },
): Promise<void> {
  const found = access && (await lookAtOld(cluster, access))
  if (found && !plan) await begin(cluster, found, keepOld)
  const ours = found && plan ? cluster.hosts : (cluster.wanted ?? [])
  const scope = { coming: ours }
  const before = found && plan ? found.seen : await lookFirst(asLetIn(cluster), scope)
  const names = ours.map(({ name }) => name)
  const down = downAmong(before, names)
  const { seen, lost } = plan ? { seen: before, lost: [] } : await startOurs(cluster, before, ours)
  const rules = joinRules(seen, names, keepOld)
  const old = found?.old ?? oldMembers(cluster)
  const tell = old.length > 0 && !keepOld ? [`you: ${beforeOldGo(cluster, ours, old)}`] : []
  const first = [...tell, ...(found ? firstLines(found) : []), ...down.map((name) => `start ${name} again`)]
  if (plan) return sayPlan(cluster, 'adopt', [...first, ...planLines(cluster, rules, seen)])
  if (!found && !keepOld) await askToRetire(cluster)
  if (lost.length > 0) {
    await carryOut(asBefore(cluster), leaveRules(seen, names, keepOld), seen, scope)
    requireData(cluster, lost, '')
  }
  await doSteps([haveOwnUser(asBefore(cluster))])
  await carryOut(asBefore(cluster), rules, seen, scope)
  if (keepOld) return sayKept(cluster)
  await doSteps([
    inOrder('etcd-role: bring every initial cluster in step', () => etcdRole.tasks(asBefore(cluster))),
    {
      title: 'Note that the old members are gone',
      task: () => {
        noteTaken(cluster)
        // all of ours are well by now: of a replacement that was begun nothing is left to do
        noteReplacing(cluster.paths, {})
      },
    },
  ])
  const done = `The members of ${cluster.name} are ${listed(names)} now. The machines of the old ones are as they were.`
  const endpoints = `Clients need the endpoints that it has now: ${command(cluster, 'env')}`
  const clients = `${endpoints}\nNow ${aroundRotateCa.trust(cluster)}`
  const next = `then go on: ${command(cluster, 'adopt --finish')}`
  sayDone(cluster, 'adopt', `${done}\n${clients}; ${next}`, { adopted: names, finished: false, clients })
}

const firstLines = ({ version }: Found): string[] => [
  `get etcd ${version}`,
  'make an authority of our own, which the new members trust beside the old one',
]

function sayKept(cluster: Cluster): void {
  const ours = ownHosts(cluster).map(({ name }) => name)
  const endpoints = cluster.hosts.map(({ clientURL }) => clientURL).join(',')
  const are = ours.length === 1 ? 'is a member' : 'are members'
  const done = `${listed(ours)} ${are} of ${cluster.name}, beside the old ones.`
  const clients = `Clients may use all of these, and must know ours before the old ones go: ${endpoints}`
  const next = `Then retire the old ones: ${command(cluster, 'adopt')}`
  const back = `Or take ours out again: ${command(cluster, 'adopt --back')}`
  sayDone(cluster, 'adopt', [done, clients, next, back].join('\n'), { adopted: ours, finished: false, clients })
}

/** The old members that are there yet, and the hosts that have not joined. */
export const stillToMove = ({ hosts, wanted = [] }: Cluster): Host[] => [
  ...oldMembers({ hosts }),
  ...wanted.filter(({ name }) => !hosts.some((host) => host.name === name)),
]

const oldMembers = ({ hosts }: Pick<Cluster, 'hosts'>): Host[] => hosts.filter(({ foreign }) => foreign)

const beforeOldGo = (cluster: Cluster, ours: Host[], old: Host[]): string =>
  aroundExchange(
    cluster,
    addressesOf(ours.map(({ name }) => name)),
    old.map(({ name }) => name),
  )

/** Where none has gone yet: an earlier run may have been told to keep them. */
async function askToRetire(cluster: Cluster): Promise<void> {
  const old = oldMembers(cluster)
  const question =
    `Retire ${listed(old.map(({ name }) => name))}, one after the other? There is no way back then. ` +
    `Before that, ${beforeOldGo(cluster, cluster.wanted ?? [], old)}.`
  if (old.length === cluster.begun?.joining && !(await confirm(question)))
    throw new OperationError('Nothing was changed.')
}

/** Asks, and notes what is under way. Nothing of the running cluster changes. */
async function begin(cluster: Cluster, { old, version, files }: Found, keepOld: boolean): Promise<void> {
  const ours = cluster.hosts
  const [names, oldNames] = [ours, old].map((hosts) => listed(hosts.map(({ name }) => name)))
  const then = keepOld ? '' : ', and retire these then'
  const joining = `Have ${names} join the etcd ${version} of ${oldNames}${then}? Members come and go one at a time.`
  const question = keepOld ? joining : `${joining} Before that, ${beforeOldGo(cluster, ours, old)}.`
  const steps: Step[] = [
    { title: `Get etcd ${version}`, task: () => requirePrograms(cluster, version) },
    {
      title: 'Make an authority, and certificates by the old one',
      task: async () => {
        cluster.etcd.version = version
        cluster.formed = true
        await stage(cluster, files)
        const hosts = ours.map(({ name, address }) => ({ name, address }))
        cluster.begun = { verb: 'adopt', joining: old.length, hosts }
        Object.assign(cluster, { wanted: ours, hosts: old })
        recordCluster(cluster)
      },
    },
  ]
  await carryOutSteps(cluster, 'adopt', steps, false, question)
}

/** @throws OperationError with everything that stands against it */
async function lookAtOld(cluster: Cluster, access: Access): Promise<Found> {
  const authorities = readAuthorities(access)
  const files = await filesToJoin(cluster, access, authorities)
  return withScratch(cluster, async (folder) => {
    const paths = { ...cluster.paths, state: folder, certs: join(folder, 'certs') }
    const copy: Cluster = { ...cluster, formed: undefined, etcd: { ...cluster.etcd, looksOnly: true }, paths }
    await pki.ensureCertificates(copy)
    await withTheirs(copy, files)
    const known = await askAll(copy, access.endpoints)
    refuse(cluster, whyNotJoined(cluster, known))
    const old = await Promise.all(known.members.map(async (member) => hostOfMember(member, await addressOf(member))))
    copy.hosts = old
    const seen = await lookFirst(copy, { coming: cluster.hosts })
    refuse(cluster, [...obstacles(seen, []).map(sentenceOf), ...(await whyNoPeer(copy, authorities.peer))])
    const version = cluster.etcd.version ?? known.versions[0] ?? ''
    return { old, version, files, seen }
  })
}

/** What the cluster says of itself, by way of every endpoint given. */
async function askAll(copy: Cluster, endpoints: string[]): Promise<Known> {
  const members = await membersBy(copy, endpoints)
  const own = members.flatMap(({ clientURLs }) => clientURLs.slice(0, 1))
  const statuses = await endpointStatus(copy, { endpoints: [...new Set([...endpoints, ...own])] })
  const answered = statuses.flatMap((one) => (one.ok ? [one.value] : []))
  const strange = statuses.flatMap(({ ok, endpoint }) => (ok || own.includes(endpoint) ? [] : [endpoint]))
  return {
    members,
    clusters: [...new Set(answered.map(({ clusterId }) => clusterId))],
    versions: [...new Set(answered.map(({ version }) => version))],
    silent: await Promise.all(strange.map((url) => whySilent(copy, url))),
  }
}

async function whySilent(copy: Cluster, url: string): Promise<string> {
  const { address, port } = addressIn(url)
  return `${url}: ${whyNotAsked(await knock(copy, { address }, { port }), trustedAuthorities(copy))}`
}

/** @throws OperationError that says of each endpoint why it is of no use */
async function membersBy(copy: Cluster, endpoints: string[]): Promise<Member[]> {
  let members: Member[] = []
  const failure = await failureOf(async () => void (members = await memberList(copy, { endpoints })))
  if (!failure) return members
  throw new OperationError('No endpoint says who the members are. Nothing was changed.', {
    lines: await Promise.all(endpoints.map((url) => whySilent(copy, url))),
    ...(failure.more.output && { output: failure.more.output }),
    hint: 'Name client URLs of the running etcd (--endpoints), and the authority of its certificates (--ca-cert).',
  })
}

async function addressOf({ clientURLs: [url = ''] }: { clientURLs: string[] }): Promise<string> {
  const name = new URL(url).hostname.replace(/^\[|\]$/g, '')
  return lookup(name).then(
    ({ address }) => address,
    () => {
      throw new OperationError(`${name}, which a member names to its clients, has no address here.`, {
        hint: 'Have this machine resolve that name, then run this again.',
      })
    },
  )
}

/** At each peer port, by a connection: whether a certificate of that authority is let in. */
async function whyNoPeer(copy: Cluster, authority: Authority): Promise<string[]> {
  const as = await clientOf(authority, copy.name, 1)
  const reasons = await Promise.all(
    copy.hosts.map(async (host) => {
      const probe = await knock(copy, host, { port: Number(new URL(host.peerURL).port), as })
      const no = `${host.name}: its peer port lets no certificate of the given authority in`
      return probe.kind === 'answered' ? [] : [`${no}: ${probe.reason}`]
    }),
  )
  return reasons.flat()
}

interface Authorities {
  client: Authority
  peer: Authority
}

function readAuthorities({ authority, peerAuthority }: Access): Authorities {
  const [client, peer] = [authority, peerAuthority].map(({ certificate, key }) => {
    const [cert, secret] = [readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8')]
    const read = attempt(() => new X509Certificate(cert))
    const opened = attempt(() => createPrivateKey({ key: secret, passphrase: caPassphrase() ?? '' }))
    if (!read?.ca) throw new UsageError(`${certificate} is no certificate of an authority.`)
    if (!opened) throw new UsageError(`${key} is no private key that can be read here.`)
    if (!read.checkPrivateKey(opened)) throw new UsageError(`${key} is not the key of ${certificate}.`)
    return { certificate: read, key: opened }
  })
  return { client, peer } as Authorities
}

/** A certificate of each kind for each of our hosts, by the old authorities, and a client's. */
async function filesToJoin(cluster: Cluster, access: Access, { client, peer }: Authorities): Promise<NewFile[]> {
  const [own, theirs] = [[access.authority, access.peerAuthority], access.client]
  const { keyAlgorithm, leafDays } = cluster.pki
  const trusted = own.flatMap(({ certificate }) => certificatesIn(readFileSync(certificate, 'utf8')))
  const due = leaves(cluster).filter(({ host }) => host !== undefined || !theirs)
  const issued = await Promise.all(
    due.map(async (leaf) => {
      const authority = leaf.commonName === commonNames.peer ? peer : client
      return pairOf(leaf.title, ...(await issuePair(authority, keyAlgorithm, { ...leaf, ends: leafDays })))
    }),
  )
  const given = theirs ? clientPair(theirs) : []
  const ca = { path: 'ca.crt', content: `${[...new Set(trusted)].join('\n')}\n`, mode: 0o644 }
  return [ca, ...issued.flat(), ...given]
}

/** Our members go again. @throws UsageError where an old member is gone: it does not come back */
export async function takeOut(cluster: Cluster): Promise<void> {
  const old = oldMembers(cluster).map(({ name }) => name)
  const theirs = asBefore(cluster)
  const seen = await lookFirst(theirs, {})
  if (!isWayBack(cluster, old, seen))
    throw new UsageError('There is no way back: old members are gone.', { hint: `Go on: ${command(cluster, 'adopt')}` })
  if (!(await confirm(`Take our members of ${cluster.name} out again, one at a time, with their hosts' data?`)))
    throw new OperationError('Nothing was changed.')
  await carryOut(theirs, scaleRules(seen, old), seen)
  if (cluster.provider !== 'ssh') await runPipeline(vms.downTasks(cluster))
  await doSteps([forget(cluster)])
  sayDone(cluster, 'adopt', 'Our members are gone again; the old ones go on as before.', { givenBack: old })
}
