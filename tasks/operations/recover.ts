// recover: quorum lost for good. A new cluster is formed from the data of one member; the others come back as learners.
import { withCopies } from '../copies.ts'
import { type Cluster, type Host, hostNamed, refuseHalfDone } from '../core/cluster.ts'
import { Interrupted, OperationError } from '../core/errors.ts'
import { inOrder, runPipeline } from '../core/pipeline.ts'
import { noteReplacing } from '../core/record.ts'
import { print, run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { listed, table } from '../core/terminal.ts'
import { askMembers } from '../etcd/ask.ts'
import { lostKey, whyKeptOut } from '../etcd/authority-key.ts'
import { refusal } from '../etcd/findings.ts'
import { statusesOf } from '../etcd/judge.ts'
import { voters } from '../etcd/member-changes.ts'
import { reachMembers } from '../etcd/reach.ts'
import { restoreTool } from '../etcd/snapshot.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { type HostData, hostsThatAreUp, lookAtData } from '../observe/host-data.ts'
import { look } from '../observe/look.ts'
import { joinAll } from '../plans/members.ts'
import type { Rules } from '../plans/types.ts'
import { carryOut, planLines } from './carry-out.ts'
import { chooseSurvivor, ofMembers } from './choose-survivor.ts'
import { aroundRestore } from './clients.ts'
import { endMove } from './end-move.ts'
import { formSteps, loss, note, whereItStands } from './form-cluster.ts'
import { refuseCurable } from './guard.ts'
import { hostStepsOf } from './lost-authority.ts'
import { isGone, isInTheWay, mayBeBack, type Stands } from './recover-rules.ts'
import { cannotRaise } from './revision.ts'
import { refuseSmall } from './room.ts'
import { sayDone, sayPlan } from './say.ts'
import { doSteps, planOfSteps, proveItWorks, type Step } from './steps.ts'

/** See, choose, agree, form the new cluster, bring the others back, verify. After a kill, it goes on where it was. */
export async function recover(
  cluster: Cluster,
  { from, plan }: { from: string | undefined; plan: boolean },
): Promise<void> {
  if (from) hostNamed(cluster, from)
  if (cluster.begun && cluster.begun.verb !== 'recover') refuseHalfDone(cluster)
  await reachMembers(cluster)
  await refuseQuorum(cluster, plan)
  if (!cluster.begun) await refuseCurable(cluster, from)
  if (plan) return sayPlan(cluster, 'recover', await withCopies(cluster, (copy) => planned(copy, from)))
  const there = await prepare(cluster)
  await refuseQuorum(cluster, false) // the hosts that were down may have been all that was missing
  if (cluster.begun && !cluster.begun.from) await startFormed(cluster, there)
  const stands = await whereItStands(cluster)
  refuseGone(cluster, stands, there)
  const { raises } = await restoreTool(cluster)
  const survivor = stands === 'not formed' ? await agree(cluster, there, from, raises) : undefined
  // Asked once more, after the question: a person may have started what was only stopped.
  if (survivor) await refuseQuorum(cluster, false)
  await doSteps(formSteps(cluster, there, survivor, stands, raises))
  await carryOut(cluster, comingBack(cluster), await look(cluster))
  await doSteps(endSteps(cluster))
  if (!raises) run().warnings.push(cannotRaise)
  const origin = survivor ? `, from the data of ${survivor.host.name} (raft index ${survivor.commit})` : ''
  const done = `${cluster.name} has ${cluster.hosts.length} members again${origin}; it is verified.`
  sayDone(cluster, 'recover', `${done}\n${aroundRestore.after(cluster)}`, {
    from: survivor?.host.name ?? null,
    raftIndex: survivor?.commit ?? null,
    raisedTo: raises ? (cluster.highestRevision ?? null) : null,
    clients: aroundRestore.after(cluster),
  })
}

/** The new cluster of an earlier run may only be down: it has all there is, and a second one would have less. */
async function startFormed(cluster: Cluster, there: HostData[]): Promise<void> {
  if ((await voters(cluster)).length > 0) return
  const names = (has: boolean): string[] => there.filter(({ hasData }) => hasData === has).map(({ host }) => host.name)
  if (names(true).length === 0) return
  const start = etcdRole.tasks(cluster, { limit: names(true), variables: { etcd_without: names(false) } })
  try {
    await runPipeline([inOrder('Start what an earlier run has formed', () => start)])
  } catch (error) {
    if (!(error instanceof OperationError) || error instanceof Interrupted) throw error
    run().warnings.push(`The new cluster of an earlier run was formed, and cannot be started: ${error.message}`)
  }
}

/** While a quorum commits there is nothing to recover; but the new cluster of an earlier run of ours commits, too. */
async function refuseQuorum(cluster: Cluster, plan: boolean): Promise<void> {
  const { begun, name, hosts } = cluster
  const able = await voters(cluster)
  if (!isInTheWay(begun, able.length)) return
  if (begun && !plan) note(cluster, undefined) // the old cluster came back before a new one was formed
  const silent = hosts.filter(({ clientURL }) => !able.includes(clientURL)).map((host) => host.name)
  const well = hosts.length - silent.length
  const found = { code: 'has-quorum', name, well, voters: hosts.length, hosts: silent } as const
  throw refusal(cluster, found, 'Nothing was changed: ')
}

/** Nobody lets us in who could say whether a quorum is back: then who has data may be one, and no recovery goes on. */
function refuseUnheard(cluster: Cluster, there: HostData[]): void {
  const lost = lostKey(cluster)
  if (!lost || whyKeptOut(cluster) === undefined || !mayBeBack(cluster.begun, there)) return
  const names = listed(there.filter(({ hasData }) => hasData).map(({ host }) => host.name))
  note(cluster, undefined)
  throw refusal(
    cluster,
    lost,
    `The recovery ends, and no data were changed: ${names} have their data, which is a quorum. But `,
  )
}

/** Hosts and certificates as `up` makes them, and what there is of data: a host that was only off brings its own. */
async function prepare(cluster: Cluster): Promise<HostData[]> {
  let there: HostData[] = []
  await doSteps([
    ...hostStepsOf(cluster, {
      hears: [
        {
          title: 'See that no quorum has come back',
          task: async () => {
            await look(cluster, { membersOnly: true }) // who was just started may be about to elect
            await refuseQuorum(cluster, false)
          },
        },
      ],
      sees: (there) => refuseUnheard(cluster, ofMembers(there)),
    }),
    {
      title: 'See what the hosts have of data',
      task: async () => void (there = await lookAtMembers(cluster, cluster.hosts)),
    },
  ])
  return there
}

/** A member that answers knows better than its log how far it is. Who was just started may be about to elect. */
async function lookAtMembers(cluster: Cluster, hosts: Host[]): Promise<HostData[]> {
  await look(cluster, { membersOnly: true })
  const there = ofMembers(await lookAtData(cluster, hosts))
  const known = statusesOf((await askMembers(cluster, { hosts })).hosts)
  return there.map((one) => {
    const applied = known.find(({ name }) => name === one.host.name)?.status.raftAppliedIndex ?? 0
    return one.hasData ? { ...one, commit: Math.max(one.commit, applied) } : one
  })
}

/** Says what there is, chooses, says what may be lost, and asks. */
async function agree(
  cluster: Cluster,
  there: HostData[],
  from: string | undefined,
  raises: boolean,
): Promise<HostData> {
  const survivor = choose(cluster, there, from)
  const moved = await endMove(cluster, survivor.host)
  if (moved) run().warnings.push(moved)
  if (!run().json) print(`\n${table([['HOST', 'DATA UP TO RAFT INDEX', 'ETCD'], ...there.map(row)])}\n\n`)
  const risk = raises ? [] : [cannotRaise]
  const question = [`Form a new cluster from the data of ${survivor.host.name}?`, loss(there, survivor), moved, ...risk]
  if (!(await confirm([...question, aroundRestore.before(cluster)].filter(Boolean).join(' '))))
    throw new OperationError('Nothing was changed.')
  return survivor
}

function refuseGone(cluster: Cluster, stands: Stands, there: HostData[]): void {
  if (isGone(cluster.begun, stands, there))
    throw refusal(cluster, { code: 'all-data-lost' }, 'The recovery cannot go on: ')
}

const row = ({ host, hasData, commit, member, running }: HostData): string[] => [
  host.name,
  hasData ? String(commit) : member ? 'of a removed member' : 'no data',
  running ? 'runs, without a quorum' : 'does not run',
]

/** @throws OperationError where no new cluster may be formed */
function choose(cluster: Cluster, there: HostData[], from = cluster.begun?.from): HostData {
  const choice = chooseSurvivor(there, from !== undefined, from)
  if ('survivor' in choice) {
    const { host, database, size } = choice.survivor
    // A copy of its data is kept, and its database is restored from another copy.
    if (!cluster.begun) refuseSmall(cluster, there, (one) => database + (one.host === host ? size + database : 0))
    return choice.survivor
  }
  throw refusal(cluster, choice.finding, 'No new cluster is formed: ')
}

/** Those that do not vote, one at a time. */
function comingBack({ hosts }: Cluster): Rules {
  const goals = hosts.map(({ name }) => ({ host: name }))
  return (seen) => joinAll(seen, goals)
}

const endSteps = (cluster: Cluster): Step[] => [
  inOrder('etcd-role: bring every initial cluster in step', () => etcdRole.tasks(cluster)),
  {
    title: 'Note that the recovery is done',
    task: () => {
      noteReplacing(cluster.paths, {})
      note(cluster, undefined)
    },
  },
  proveItWorks(cluster),
]

/** Hosts that are not up cannot be looked at; the others are, through copies of inventory and certificates. */
async function planned(copy: Cluster, from: string | undefined): Promise<string[]> {
  const hosts = await hostsThatAreUp(copy)
  const would = await planOfSteps(hostStepsOf(copy))
  if (hosts.length === 0)
    return [...would, 'see what they have of data, and form a new cluster from the member that goes furthest']
  const there = await lookAtMembers(copy, hosts)
  const stands = await whereItStands(copy)
  refuseGone(copy, stands, there)
  const survivor = stands === 'not formed' ? choose(copy, there, from) : undefined
  const others = copy.hosts.filter(({ name }) => name !== (survivor?.host.name ?? copy.begun?.from))
  const moved = survivor && (await endMove(copy, survivor.host))
  const { raises } = await restoreTool(copy)
  return [
    aroundRestore.plan.first(copy),
    ...(moved ? [`beware: ${moved}`] : []),
    ...(raises ? [] : [`beware: ${cannotRaise}`]),
    ...would,
    ...(await planOfSteps(formSteps(copy, there, survivor, stands, raises))),
    ...(stands === 'formed'
      ? planLines(copy, comingBack(copy), await look(copy))
      : others.map(({ name }) => `add ${name} as a learner, start it, and let it vote once it has caught up`)),
    ...(await planOfSteps(endSteps(copy))),
    aroundRestore.plan.last,
  ]
}
