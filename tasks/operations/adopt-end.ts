// The end of an adoption: certificates by our own authority, and the old authority gone.
import { X509Certificate } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, type Host, refuseHalfDone, workOutURLs } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { readFileIfThere, writeFileAtomic } from '../core/files.ts'
import { inOrder } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { listed } from '../core/terminal.ts'
import { certificatesIn } from '../core/x509.ts'
import { commonNames, oldAuthorities, trustedAuthorities } from '../etcd/certificates.ts'
import { call, memberList } from '../etcd/etcdctl.ts'
import { inRanking, sentenceOf } from '../etcd/findings.ts'
import { memberOf } from '../etcd/membership.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { requireData, requireReachable } from '../observe/host-data.ts'
import * as pki from '../pki/index.ts'
import { whatIsNext } from './adopt.ts'
import { asBefore, asLetIn } from './adopt-files.ts'
import { stillToMove } from './adopt-join.ts'
import { obstacles, refuse, untaken } from './adopt-look.ts'
import { startOurs } from './adopt-start.ts'
import { prove, servedProof } from './authority-steps.ts'
import { aroundRotateCa, toSecureClients } from './clients.ts'
import { note } from './form-cluster.ts'
import { lookFirst, refuse as refuseFor, refuseUnhealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, proveItWorks, type Step, told } from './steps.ts'

/** Every certificate is issued by our authority. Clients go on with theirs, which the old one has signed. */
export async function finish(cluster: Cluster, plan: boolean): Promise<void> {
  if (cluster.begun?.verb !== 'adopt')
    throw new UsageError(`No adoption of ${cluster.name} is under way.`, { hint: whatIsNext(cluster) })
  const left = cluster.begun.joining ? stillToMove(cluster).map(({ name }) => name) : await untaken(cluster)
  if (left.length > 0)
    throw new OperationError(`Not every member is ha-etcd's yet; what is left: ${listed(left)}.`, {
      hint: `Go on: ${command(cluster, 'adopt')}`,
    })
  if (!plan) await startJoined(cluster)
  // else the old certificates would be gone, and the way back with them
  await requireFit(asLetIn(cluster))
  pki.requireKey(cluster)
  const question =
    `Issue every certificate of ${cluster.name} by its new authority? Each member restarts once. Then there is no ` +
    `way back to the old services. ${aroundRotateCa.needs(cluster)}`
  const dropping = `then end what is old: ${command(cluster, 'adopt --drop-old')}`
  const clients = cluster.plainClients ? toSecureClients(cluster) : aroundRotateCa.identify(cluster)
  const after = told(`you: ${clients}`, dropping)
  if (!(await carryOutSteps(cluster, 'adopt --finish', [...issueSteps(cluster), after], plan, question))) return
  const done = `${cluster.name} is ha-etcd's; it is verified. ${oldWays(cluster).goOn}`
  const now = `Now ${clients}`
  sayDone(cluster, 'adopt', `${done}\n${now}; ${dropping}`, { finished: true, clients: now })
}

/** @throws OperationError where hosts that have joined lost their member's data: what helps is not refused then */
async function startJoined(cluster: Cluster): Promise<void> {
  const { begun, wanted = [] } = cluster
  if (!begun?.joining) return
  const { lost } = await startOurs(cluster, await lookFirst(asLetIn(cluster)), wanted)
  requireData(cluster, lost, 'Nothing was changed: ')
}

/**
 * Members that are only stopped start with their new certificates. Hosts of ours that have joined are mended as they
 * always are. @throws OperationError where more is wrong
 */
async function requireFit(cluster: Cluster): Promise<void> {
  const wrong = obstacles(await lookFirst(cluster), cluster.hosts)
  if (cluster.begun?.joining) refuseFor(cluster, inRanking(wrong)[0])
  refuse(cluster, wrong.map(sentenceOf))
  requireData(cluster, await requireReachable(cluster, cluster.hosts), 'Nothing was changed: ')
}

/** One after the other is known by its https URL, and restarts; the others have what it takes to speak to it. */
const securePeers = (cluster: Cluster): Step[] =>
  cluster.hosts
    .filter(({ plain }) => plain)
    .map((host) => ({
      ...inOrder(`Have ${host.name} speak TLS to the others`, () => [
        { title: 'Have it known by its https URL', task: () => secure(cluster, host) },
        ...etcdRole.tasks(asBefore(cluster)),
      ]),
      would: [`restart ${host.name}, which from then on speaks TLS to the others`],
    }))

async function secure(cluster: Cluster, host: Host): Promise<void> {
  const url = host.peerURL.replace(/^http:/, 'https:')
  const member = memberOf(host, await memberList(cluster))
  if (member) await call(cluster, ['member', 'update', member.id, `--peer-urls=${url}`], {})
  host.plain = undefined
  workOutURLs(cluster)
  recordCluster(cluster)
}

const issueSteps = (cluster: Cluster): Step[] => [
  ...securePeers(cluster),
  {
    ...inOrder('Issue every certificate by the new authority', () => issue(cluster)),
    would: ['issue every certificate by the new authority, which restarts nobody'],
  },
  {
    ...inOrder('Let only members in at the peer port', () =>
      etcdRole.tasks(cluster, { variables: { etcd_peer_common_name: commonNames.peer } }),
    ),
    would: ['restart one member after the other, which from then on lets only members in at its peer port'],
  },
  proveItWorks(cluster),
  { title: 'Note that it is done', task: () => note(cluster, undefined), would: [] },
]

/** Both authorities are trusted everywhere by now. The old certificates, and their keys, are of no use any more. */
function issue(cluster: Cluster): ReturnType<typeof etcdRole.tasks> {
  rmSync(cluster.paths.adopting, { recursive: true, force: true })
  return [
    ...pki.tasks(cluster),
    ...etcdRole.tasks(cluster),
    {
      title: 'Prove that every member serves its new certificates',
      task: () => prove(cluster, () => servedProof(cluster)),
    },
  ]
}

/** What clients may do for now, and what becomes of that. */
const oldWays = (cluster: Cluster): { goOn: string; end: string } =>
  cluster.plainClients
    ? { goOn: 'Clients may speak plain HTTP to it, too.', end: `Have ${cluster.name} refuse plain HTTP?` }
    : {
        goOn: 'It trusts its old authority, too.',
        end: `Trust the old authority of ${cluster.name} no longer? Clients with its certificates are refused.`,
      }

/** The authorities that the members trusted before they were adopted are trusted no longer. */
export async function dropOld(cluster: Cluster, plan: boolean): Promise<void> {
  const old = readFileIfThere(oldAuthorities(cluster))
  if (cluster.begun?.verb === 'adopt')
    throw new UsageError(
      `${cluster.name} still has its old authority's certificates: without it the members would lose each other.`,
      { hint: whatIsNext(cluster) },
    )
  refuseHalfDone(cluster)
  if (old === undefined)
    throw new UsageError(`${cluster.name} has no old authority to drop.`, { hint: whatIsNext(cluster) })
  refuseUnhealthy(cluster, await lookFirst(cluster), {})
  const question = `${oldWays(cluster).end} Members restart one at a time.`
  const steps: Step[] = [
    {
      title: cluster.plainClients ? 'Note that plain HTTP ends' : 'Take the old authority out of ca.crt',
      task: () => {
        const left = certificatesIn(old).map((pem) => new X509Certificate(pem).fingerprint256)
        const kept = trustedAuthorities(cluster).filter(({ fingerprint256 }) => !left.includes(fingerprint256))
        writeFileAtomic(join(cluster.paths.certs, 'ca.crt'), kept.map(String).join(''), 0o644)
        cluster.plainClients = undefined
        recordCluster(cluster)
      },
    },
    {
      ...inOrder('Have every member trust ours alone', () => etcdRole.tasks(cluster)),
      would: ['restart one member after the other'],
    },
    proveItWorks(cluster),
    { title: 'Forget the old authority', task: () => rmSync(oldAuthorities(cluster), { force: true }), would: [] },
  ]
  if (!(await carryOutSteps(cluster, 'adopt --drop-old', steps, plan, question))) return
  sayDone(cluster, 'adopt', `${cluster.name} trusts its own authority only.`, { dropped: true })
}
