// rotate-ca: another certificate authority while the cluster goes on serving; or back, as long as the old one is
// trusted.
import * as consumers from '../consumers/index.ts'
import { withCopies } from '../copies.ts'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { caPassphrase } from '../core/environment.ts'
import { OperationError } from '../core/errors.ts'
import { readFileIfThere } from '../core/files.ts'
import { inOrder, type Task, titled } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { changeStage, readOther } from '../etcd/authority-change.ts'
import { isEncrypted } from '../etcd/authority-key.ts'
import type { ChangeStage } from '../etcd/authority-stages.ts'
import { authorityKeys, hasExpired, oldAuthority } from '../etcd/certificates.ts'
import { requireRightClock } from '../etcd/clocks.ts'
import { refusal } from '../etcd/findings.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { lookForRefusing } from '../observe/host-data.ts'
import * as pki from '../pki/index.ts'
import { keyNeeded, marksOf, openFrom, toProve, whyNotBack } from './authority-rules.ts'
import { type ChangeStep, issueAll, prove, trustBoth, trustOne } from './authority-steps.ts'
import { silentHosts } from './backup.ts'
import { aroundRotateCa, refusingClients } from './clients.ts'
import { lookFirst, refuseUnhealthy } from './guard.ts'
import { isCutOff, leaveAtOnce } from './lost-authority.ts'
import { sayDone } from './say.ts'
import { servedCertificates } from './served.ts'
import { carryOutSteps, lower, proveItWorks, type Step, told } from './steps.ts'

export interface RotateCaOptions {
  back: boolean
  step: boolean
  plan: boolean
}

/** The last step of each way is for good: once verify has passed, the authority that was left is forgotten. */
interface Way {
  steps: ChangeStep[]
  question: (cluster: Cluster) => string
  farewell: string
  forget: (cluster: Cluster) => void
  outcome: (cluster: Cluster) => string
}

const forward: Way = {
  steps: [
    trustBoth('Trust a new authority beside the present one', marksOf.trust),
    issueAll('Issue every certificate by the new authority', pki.issueFromNext, marksOf.issue),
    trustOne('Trust the old authority no longer', marksOf.leave, 'old'),
  ],
  question: ({ name }) =>
    `Change the authority of ${name}? At the end the old one's key is deleted, and clients that have ` +
    'only its certificates are refused.',
  farewell: 'Delete the key of the old authority',
  forget: pki.forgetOld,
  outcome: ({ name }) => `${name} has a new authority, and trusts no other; the old one's key was deleted.`,
}

const back: Way = {
  steps: [
    issueAll('Issue every certificate by the old authority', pki.issueFromOld, marksOf.issueBack),
    trustOne('Trust the new authority no longer', marksOf.leaveBack, 'new'),
  ],
  question: ({ name }) =>
    `Take the change of ${name}'s authority back? At the end the new one's key is deleted, and clients ` +
    'that have only its certificates are refused.',
  farewell: 'Delete the key of the new authority',
  forget: pki.forgetNext,
  outcome: ({ name }) =>
    `The change was taken back: ${name} trusts its old authority only, and the new one's key was deleted.`,
}

/** Guard, then what is left of the way. Run again after a kill, it finds by files and members where to go on. */
export async function rotateCa(cluster: Cluster, { back: goBack, step: one, plan }: RotateCaOptions): Promise<void> {
  const way = goBack ? back : forward
  const cutOff = !goBack && (await isCutOff(cluster))
  if (cutOff) {
    requirePassphrase(cluster)
    if (!(await leaveAtOnce(cluster, plan))) return
    if (one) return sayLeft(cluster)
  }
  await guard(cluster, goBack)
  const open = await openSteps(cluster, way)
  const role = await rehearse(cluster, open[0] as ChangeStep)
  const chosen = one && !plan ? open.slice(0, 1) : open
  const last = chosen.length === open.length
  const verb = goBack ? 'rotate-ca --back' : 'rotate-ca'
  const more = open.length > 1 ? [aroundRotateCa.question(cluster, verb)] : await warnOfRefusing(cluster)
  if (!plan && last && !cutOff && !(await confirm([way.question(cluster), ...more].join(' '))))
    throw new OperationError('Nothing was changed.')
  const changes: Step[] = chosen.map((step) => ({
    ...inOrder(step.title, () => changeTasks(cluster, step)),
    would: () => wouldDo(cluster, step, step === open[0] ? role : undefined),
  }))
  if (last && changes.length > 1) changes.splice(-1, 0, findRefusing(cluster))
  const steps: Step[] = [
    ...changes,
    ...(last ? [proveItWorks(cluster), { title: way.farewell, task: () => way.forget(cluster) }] : []),
    told(`you: ${aroundRotateCa.over(cluster)}`),
  ]
  if (!(await carryOutSteps(cluster, 'rotate-ca', steps, plan))) return
  const clients = `Now ${last ? aroundRotateCa.over(cluster) : open[0]?.between?.(cluster)}.`
  const done = last
    ? `${way.outcome(cluster)}\n${clients}`
    : `Done: ${lower(open[0]?.title ?? '')}. ${clients} ${open.length === 2 ? whoIsLeft(cluster, verb) : ''}` +
      `Then go on: ${command(cluster, `${verb} --step`)}`
  sayDone(cluster, 'rotate-ca', done, {
    steps: chosen.map(({ title }) => title),
    finished: last,
    stage: changeStage(cluster) ?? null,
    clients,
    served: await serials(cluster),
  })
}

const whoIsLeft = (cluster: Cluster, verb: string): string =>
  `Who refuses the new certificates is named by ${command(cluster, `${verb} --plan`)}. `

/** How the way out of a lost authority ends where it was to be taken by a step. */
const sayLeft = (cluster: Cluster): void =>
  sayDone(
    cluster,
    'rotate-ca',
    'A new authority has issued every certificate, and all members run again. Give your clients ca.crt and their ' +
      `certificates now. Then go on: ${command(cluster, 'rotate-ca --step')}`,
    { finished: false, stage: changeStage(cluster) ?? null },
  )

/** Without the first steps that are done. */
async function openSteps(cluster: Cluster, { steps }: Way): Promise<ChangeStep[]> {
  const stage = changeStage(cluster)
  const last = toProve(steps, stage)
  return openFrom(steps, stage, last !== undefined && (await last.missing(cluster)) === undefined)
}

/** Before the last step. */
const findRefusing = (cluster: Cluster): Step => ({
  ...titled('Look for clients that refuse the new certificates', async () => {
    const found = await warnOfRefusing(cluster)
    return `Look for clients that refuse the new certificates: ${found.length > 0 ? 'found some' : 'none seen'}`
  }),
  would: ['name the clients that have refused the new certificates by then'],
})

/** @returns what was found, a sentence; none where nobody was refused */
async function warnOfRefusing(cluster: Cluster): Promise<string[]> {
  const found = refusingClients(await lookForRefusing(cluster))
  for (const one of found) run().warn(one)
  return found
}

function changeTasks(cluster: Cluster, step: ChangeStep): Task[] {
  return [
    {
      title: 'Write certificates',
      task: async (_, task) => {
        const issued = await step.write(cluster)
        run().changes.push(...issued.map((path) => `issued ${path}`))
        task.title = issued.length > 0 ? `Issue ${issued.length} certificates` : 'Write ca.crt'
      },
    },
    ...etcdRole.tasks(cluster),
    {
      title: `Prove that ${step.proof}`,
      skip: () => step.unproven?.() ?? false,
      task: () => prove(cluster, () => step.missing(cluster)),
    },
    ...consumers.tasks(cluster),
  ]
}

/** A run that was killed may have left a member down: then it goes on, and the role starts it. */
async function guard(cluster: Cluster, goBack: boolean): Promise<void> {
  etcdRole.refuseHalfUpgraded(cluster)
  await requireRightClock(cluster) // by a wrong one the authority seems expired
  const stage = changeStage(cluster)
  const { name } = cluster
  const found = goBack ? whyNotBack(name, stage, hasExpired(oldAuthority(cluster))) : undefined
  if (found) throw refusal(cluster, found, stage ? 'There is no way back: ' : '')
  requireKeys(cluster, stage, goBack)
  const seen = await lookFirst(cluster)
  refuseUnhealthy(cluster, seen, { allowDown: stage ? silentHosts(seen) : [] })
}

/** Opens the keys that the way needs, before anything is changed. @throws OperationError when one cannot be had */
function requireKeys(cluster: Cluster, stage: ChangeStage | undefined, goBack: boolean): void {
  const needed = keyNeeded(stage, goBack)
  if (needed === 'other') readOther(cluster)
  else if (needed === 'issuer') pki.requireKey(cluster)
  else if (needed === 'new') requirePassphrase(cluster)
}

/** A key that was kept closed is not followed by one that lies open. */
function requirePassphrase(cluster: Cluster): void {
  const [key] = authorityKeys(cluster)
  if (isEncrypted(readFileIfThere(key) ?? '') && !caPassphrase())
    throw new OperationError(
      `${key} is encrypted, and HA_ETCD_CA_PASSPHRASE is not set: the new authority's key would not be encrypted.`,
      {
        hint:
          "Set HA_ETCD_CA_PASSPHRASE to the new key's passphrase (the old one's is not needed), then " +
          'run the same command again.',
      },
    )
}

/** The first step on copies, the role in check mode: what cannot be done is refused before anything is changed. */
async function rehearse(cluster: Cluster, step: ChangeStep): Promise<string[]> {
  return withCopies(cluster, async (copy) => {
    await step.write(copy)
    return (await etcdRole.changes(copy)).map(etcdRole.inWords)
  })
}

/** @param role what the role would change, where that could be rehearsed; else it is what the step is made for */
async function wouldDo(cluster: Cluster, step: ChangeStep, role: string[] | undefined): Promise<string[]> {
  const installed = async (): Promise<string[]> =>
    step.restarts ? restarts(cluster) : ['install the certificates, which restarts nobody']
  return [
    lower(step.title),
    ...(role ?? (await installed())),
    `prove that ${step.proof}`,
    ...(step.between ? [`you: ${step.between(cluster)} (only with --step is there a pause for it)`] : []),
  ]
}

/** All members' restarts in the role's order, and the starts of those that are down: it decides, so it is asked. */
const restarts = (cluster: Cluster): Promise<string[]> =>
  withCopies(
    cluster,
    async (copy) => {
      const variables = { etcd_restart: cluster.hosts.map(({ name }) => name), etcd_doctor: false }
      const all = await etcdRole.changes(copy, { variables })
      return all.filter(({ act }) => act === 'etcd_host.converge' || act === 'etcd_host.restart').map(etcdRole.inWords)
    },
    authorityKeys(cluster),
  )

const serials = async (cluster: Cluster): Promise<object[]> =>
  (await servedCertificates(cluster)).map(({ host, port, certificate }) => ({
    host: host.name,
    port,
    serial: certificate?.serialNumber ?? null,
  }))
