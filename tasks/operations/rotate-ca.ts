// rotate-ca: another certificate authority while the cluster goes on serving; or back, as long as the old one is trusted.
import { withCopies } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { caPassphrase } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { readFileIfThere } from '../core/files.ts'
import { inOrder, runPipeline, type Task } from '../core/pipeline.ts'
import { run, sleep } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import type { Authority } from '../core/x509.ts'
import { type ChangeStage, changeStage, readOther } from '../etcd/authority-change.ts'
import { authorityCertificate, authorityKeys, isEncrypted, leaves, readAuthority, reasonToIssue } from '../etcd/certificates.ts'
import { clientOf, probeTLS } from '../etcd/probe.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as pki from '../pki/index.ts'
import * as verify from '../verify/index.ts'
import { silentHosts } from './backup.ts'
import { requireHealthy } from './guard.ts'
import { turns } from './in-turn.ts'
import { refuseRestarts } from './rotate-certs.ts'
import { sayDone, sayPlan } from './say.ts'
import { isInstalled, servedCertificates } from './served.ts'

export interface RotateCaOptions {
  /** Back to the old authority. */
  back: boolean
  /** One step only. */
  step: boolean
  plan: boolean
}

/** One step: it writes files below certs/, the role brings them to the hosts, and a proof ends it. */
interface Step {
  title: string
  /** The stage that its files make; `over` has those in which it is done for good. */
  makes: ChangeStage
  over: ChangeStage[]
  /** May be done twice, and on copies. @returns the certificates that it issued */
  write: (cluster: Cluster) => Promise<string[]>
  /** Whether etcd must start again to know: then the role restarts one member at a time. */
  restarts: boolean
  /** What `missing` looks for, in words. */
  proof: string
  /** What is not as it must be once the step is done, as a clause; asks the members. */
  missing: (cluster: Cluster) => Promise<string | undefined>
  /** What a person may do between this step and the next. */
  next: (cluster: Cluster) => string
}

/** Both ways. The last step of each is for good: then the authority that was left is forgotten, once verify has passed. */
interface Way {
  steps: Step[]
  question: (cluster: Cluster) => string
  farewell: string
  forget: (cluster: Cluster) => void
  outcome: (cluster: Cluster) => string
}

const forward: Way = {
  steps: [
    {
      title: 'Trust a new authority beside the present one',
      makes: 'trusted',
      over: ['issuing', 'leaving'],
      write: async (cluster) => {
        await pki.trustNext(cluster)
        return []
      },
      restarts: true,
      proof: 'every member lets a client of the new authority in',
      missing: async (cluster) => {
        const hosts = await whoLetsIn(cluster, readOther(cluster), false)
        return hosts && `${hosts} refuses a client of the new authority`
      },
      next: ({ paths }) => `Give your own clients ${paths.certs}/ca.crt, which has both authorities, before the next step`,
    },
    issueAnew('Issue every certificate anew, by the new authority', pki.issueFromNext, 'issuing', ['leaving']),
    trustOne('Trust the old authority no longer', 'leaving', 'old'),
  ],
  question: ({ name }) => `Change the authority of ${name}? At the end the old one's key is deleted, and clients that have only its certificates are refused.`,
  farewell: 'Delete the key of the old authority',
  forget: pki.forgetOld,
  outcome: ({ name }) => `${name} has a new authority, and trusts no other; the old one's key was deleted.`,
}

const back: Way = {
  steps: [issueAnew('Issue every certificate anew, by the old authority', pki.issueFromOld, 'trusted', ['made']), trustOne('Trust the new authority no longer', 'made', 'new')],
  question: ({ name }) => `Take the change of ${name}'s authority back? At the end the new one's key is deleted, and clients that have only its certificates are refused.`,
  farewell: 'Delete the key of the new authority',
  forget: pki.forgetNext,
  outcome: ({ name }) => `The change was taken back: ${name} trusts its old authority only, and the new one's key was deleted.`,
}

/** Both are trusted everywhere, so nobody is refused meanwhile. etcd reads its leaves at every handshake. */
function issueAnew(title: string, start: (cluster: Cluster) => void, makes: ChangeStage, over: ChangeStage[]): Step {
  return {
    title,
    makes,
    over,
    write: async (cluster) => {
      start(cluster)
      return (await pki.renewLeaves(cluster, (_, due) => due)).map(({ path }) => path)
    },
    restarts: false,
    proof: 'new connections to both ports of every member show the new serial numbers',
    missing: async (cluster) => {
      const due = dueLeaves(cluster)
      if (due.length > 0) return `${due.join(', ')} must be issued`
      const other = (await servedCertificates(cluster)).filter((one) => !isInstalled(one)).map(({ host, port }) => `${host.name} (${port} port)`)
      return other.length > 0 ? `another certificate than the one here is served by, or our client is refused by ${other.join(', ')}` : undefined
    },
    next: ({ paths }) => `Give your own clients ${paths.certs}/etcd-client.crt and its key, or certificates of your own that this authority signed, before the next step`,
  }
}

/** A client of the authority that was left must be refused; where its key is lost there is none to try. */
function trustOne(title: string, makes: ChangeStage, which: string): Step {
  let left: Authority | undefined
  return {
    title,
    makes,
    over: [],
    write: async (cluster) => {
      left ??= orUndefined(() => readOther(cluster))
      pki.trustIssuerOnly(cluster)
      return []
    },
    restarts: true,
    proof: `every member refuses a client of the ${which} authority`,
    missing: async (cluster) => {
      const hosts = left && (await whoLetsIn(cluster, left, true))
      return hosts && `${hosts} still lets a client of the ${which} authority in`
    },
    next: () => '',
  }
}

/** Guard, then what is left of the way, step by step. Run again after a kill, it finds by the files and the members where to go on. */
export async function rotateCa(cluster: Cluster, { back: goBack, step: one, plan }: RotateCaOptions): Promise<void> {
  const way = goBack ? back : forward
  await guard(cluster, goBack)
  const open = await openSteps(cluster, way)
  const role = await rehearse(cluster, open[0] as Step)
  if (plan) return sayPlan(cluster, 'rotate-ca', await wouldDo(cluster, way, open, role))
  const chosen = one ? open.slice(0, 1) : open
  const last = chosen.length === open.length
  if (last && !(await confirm(way.question(cluster)))) throw new OperationError('Nothing was changed.')
  await runPipeline([
    ...chosen.map((step) => inOrder(step.title, () => stepTasks(cluster, step))),
    ...(last ? [inOrder('verify: prove that the cluster works', () => verify.tasks(cluster)), { title: way.farewell, task: () => way.forget(cluster) }] : []),
  ])
  const done = last ? way.outcome(cluster) : `${chosen[0]?.title}: done. ${chosen[0]?.next(cluster)}: ${command(cluster, goBack ? 'rotate-ca --back' : 'rotate-ca')}`
  sayDone(cluster, 'rotate-ca', done, { steps: chosen.map(({ title }) => title), finished: last, stage: changeStage(cluster) ?? null, served: await serials(cluster) })
}

/** Without the first steps that are done. The last one is never left out: what follows it may be missing. */
async function openSteps(cluster: Cluster, { steps }: Way): Promise<Step[]> {
  for (const [index, step] of steps.entries()) {
    const stage = changeStage(cluster)
    const done = stage && (step.over.includes(stage) || (step.makes === stage && (await step.missing(cluster)) === undefined))
    if (!done) return steps.slice(index)
  }
  return steps.slice(-1)
}

function stepTasks(cluster: Cluster, step: Step): Task[] {
  return [
    {
      title: 'Write certificates',
      task: async (_, task) => {
        const issued = await step.write(cluster)
        run.changes.push(...issued.map((path) => `issued ${path}`))
        task.title = issued.length > 0 ? `Issue ${issued.length} certificates` : 'Write ca.crt'
      },
    },
    ...etcdRole.tasks(cluster),
    { title: `Prove that ${step.proof}`, task: () => prove(cluster, step) },
  ]
}

async function prove(cluster: Cluster, step: Step): Promise<void> {
  for (const deadline = Date.now() + proofMs; ; await sleep(200)) {
    const missing = await step.missing(cluster)
    if (missing === undefined) return
    if (Date.now() > deadline) throw new OperationError(`${missing}.`, { hint: `Run the same command again; if that does not help: ${command(cluster, 'verify')}` })
  }
}

/** A run that was killed may have left a member down: then it goes on, and the role starts it. */
async function guard(cluster: Cluster, goBack: boolean): Promise<void> {
  etcdRole.refuseHalfUpgraded(cluster)
  const stage = changeStage(cluster)
  if (goBack && (!stage || stage === 'leaving'))
    throw new OperationError(stage ? `There is no way back: ${cluster.name} no longer trusts its old authority.` : `No change of ${cluster.name}'s authority is under way.`, {
      hint: stage ? `Finish the change: ${command(cluster, 'rotate-ca')}` : `Begin one: ${command(cluster, 'rotate-ca')}`,
    })
  requireKeys(cluster, stage, goBack)
  await requireHealthy(cluster, { allowDown: stage ? await silentHosts(cluster) : [] })
}

/** The keys that the way needs are opened before anything is changed. @throws OperationError when one is missing, or its passphrase is */
function requireKeys(cluster: Cluster, stage: ChangeStage | undefined, goBack: boolean): void {
  const issues = stage === 'issuing'
  if (goBack) {
    if (issues) readOther(cluster)
    else if (dueLeaves(cluster).length > 0) readAuthority(cluster)
  } else if (stage === 'trusted') readOther(cluster)
  else if (issues) readAuthority(cluster)
  else if (stage !== 'leaving') requirePassphrase(cluster)
}

/** A key that was kept closed is not followed by one that lies open. */
function requirePassphrase(cluster: Cluster): void {
  const [key] = authorityKeys(cluster)
  if (isEncrypted(readFileIfThere(key) ?? '') && !caPassphrase())
    throw new OperationError(`${key} is encrypted, and HA_ETCD_CA_PASSPHRASE is not set: the new authority's key would lie open.`, {
      hint: "Set HA_ETCD_CA_PASSPHRASE to the new key's passphrase (the old one's is not needed), then run the same command again.",
    })
}

/** The first step on copies, the role in Ansible's check mode: what cannot be done is refused before anything is changed. */
async function rehearse(cluster: Cluster, step: Step): Promise<string[]> {
  return withCopies(cluster, async (copy) => {
    await step.write(copy)
    const role = (await etcdRole.plan(copy)).map((line) => line.split('\n')[0] ?? '')
    if (!step.restarts) refuseRestarts(cluster, role)
    return role
  })
}

async function wouldDo(cluster: Cluster, { farewell }: Way, open: Step[], role: string[]): Promise<string[]> {
  const inTurn = (await turns(cluster)).map((host) => `restart ${host}, and wait until it has caught up`)
  const install = ({ restarts }: Step): string[] => (restarts ? inTurn : ['install the certificates, which restarts nobody'])
  const lower = (text: string): string => `${text[0]?.toLowerCase()}${text.slice(1)}`
  return [...open.flatMap((step, index) => [lower(step.title), ...(index === 0 ? role : install(step)), `prove that ${step.proof}`]), 'verify', lower(farewell)]
}

/** The leaves that the authority that issues has not signed, or that are due for another reason. */
function dueLeaves(cluster: Cluster): string[] {
  const authority = authorityCertificate(cluster)
  return leaves(cluster).flatMap((leaf) => (authority && reasonToIssue(leaf, authority, cluster.pki) ? [leaf.title] : []))
}

/** The hosts whose member lets a client of that authority in, or (`answer` false) refuses it, as text; undefined where there is none. */
async function whoLetsIn(cluster: Cluster, authority: Authority, answer: boolean): Promise<string | undefined> {
  const client = await clientOf(authority, cluster.name, 1)
  const probes = await Promise.all(cluster.hosts.map(({ address }) => probeTLS(address, cluster.etcd.clientPort, client, '/version', probeMs)))
  const found = cluster.hosts.filter((_, index) => (probes[index]?.kind === 'answered') === answer).map(({ name }) => name)
  return found.length > 0 ? found.join(', ') : undefined
}

const serials = async (cluster: Cluster): Promise<object[]> =>
  (await servedCertificates(cluster)).map(({ host, port, certificate }) => ({ host: host.name, port, serial: certificate?.serialNumber ?? null }))

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof OperationError) return undefined
    throw error
  }
}

const probeMs = 1500
const proofMs = 10_000
