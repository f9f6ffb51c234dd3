// How each act on who the members are is carried out.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, type Host, hostNamed, ownHosts } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError } from '../core/errors.ts'
import type { Task } from '../core/pipeline.ts'
import { compareVersions } from '../core/programs.ts'
import { noteReplacing, recordCluster, replacing } from '../core/record.ts'
import { clock, run, sleep } from '../core/run.ts'
import { endpointStatus, type Member, memberList } from '../etcd/etcdctl.ts'
import { moveLeader } from '../etcd/maintenance.ts'
import { addLearner, memberAt, promote, removeMember, votersSoon } from '../etcd/member-changes.ts'
import { memberOf } from '../etcd/membership.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { atVersion } from '../etcd/versions.ts'
import * as etcdRole from '../etcd-role/index.ts'
import * as pki from '../pki/index.ts'
import * as vms from '../vms/index.ts'
import { type Carriers, type Shown, withHint } from './carriers.ts'

/** In s: a large database is sent to a learner whole. The role gives one that joins ten times this, half an hour. */
const catchUpSeconds = 180
/** How long another member may take to take the lead over, in ms. */
const handOverMs = 20_000

export const membershipActs = {
  'record host': async (cluster, { host }) => {
    const wanted = cluster.wanted?.find(({ name }) => name === host)
    if (wanted && !cluster.hosts.some(({ name }) => name === host)) cluster.hosts.push(wanted)
    recordCluster(cluster)
  },
  'note who goes': async ({ paths }, { host, id }) => {
    noteReplacing(paths, { ...replacing(paths), [host]: id })
  },
  // Those that are being adopted have certificates of an authority that may not be ours.
  'bring up': (cluster) => [...vms.tasks(cluster), ...(cluster.begun?.verb === 'adopt' ? [] : pki.tasks(cluster))],
  'hand over': (cluster, { from, to }) => handOver(cluster, hostNamed(cluster, from), hostNamed(cluster, to)),
  'set aside': (cluster, { host }, shown) => setAside(cluster, host, shown),
  'remove member': async (cluster, { host, id }) => {
    await removeMember(cluster, id, await votersSoon(cluster, [hostNamed(cluster, host)]))
    run().changes.push(`removed the member of ${host}`)
  },
  'add learner': async (cluster, { host }) => {
    const goal = hostNamed(cluster, host)
    await addLearner(cluster, goal, await votersSoon(cluster, [goal]))
    run().changes.push(`added ${host}`)
  },
  'start learner': async (cluster, { host, version }) => {
    const goal = hostNamed(cluster, host)
    const [witnesses, listed] = await Promise.all([witnessesFor(cluster, goal), membersListed(cluster)])
    const variables = {
      etcd_start_timeout: catchUpSeconds,
      // their turn comes later
      etcd_without: cluster.hosts.filter((one) => !memberOf(one, listed)).map(({ name }) => name),
      etcd_witnesses: witnesses,
      ...(witnesses.length === 0 && { etcd_known_members: byPeerURL(listed) }),
    }
    const limit = [host, ...witnesses]
    return orWithdraw(cluster, goal, etcdRole.upgradeTasks(atVersion(cluster, version), { limit, variables }))
  },
  promote: async (cluster, { host, id }) => {
    const goal = hostNamed(cluster, host)
    const letVote: Task = {
      title: 'Wait until etcd lets it vote',
      task: async () => promote(cluster, id, await votersSoon(cluster, [goal])),
    }
    if (forgetsPromotions(cluster.etcd.version ?? ''))
      run().warnings.push(
        `etcd ${cluster.etcd.version} notes a promotion in one of two places only (etcd-io/etcd#19557): ` +
          'go to 3.5.32 or later before 3.6.',
      )
    return orWithdraw(cluster, goal, [letVote])
  },
  'remove host': async (cluster, { host }) => {
    await vms.removeHost(cluster, hostNamed(cluster, host))
    rmSync(join(cluster.paths.certs, host), { recursive: true, force: true })
    forget(cluster, host)
    run().changes.push(`removed ${host}`)
  },
  'forget host': async (cluster, { host }) => forget(cluster, host),
} satisfies Partial<Carriers>

function forget(cluster: Cluster, host: string): void {
  cluster.hosts.splice(cluster.hosts.indexOf(hostNamed(cluster, host)), 1)
  recordCluster(cluster)
}

/** @throws OperationError when that member does not take the lead over */
async function handOver(cluster: Cluster, from: Host, to: Host): Promise<void> {
  for (const deadline = clock() + handOverMs; clock() < deadline; await sleep(200)) {
    const [leader, heir] = await endpointStatus(cluster, { endpoints: [from.clientURL, to.clientURL] })
    if (!leader?.ok || leader.value.leaderId !== leader.value.memberId) return
    // looked at again: its answer says little
    if (heir?.ok) await moveLeader(cluster, from.clientURL, heir.value.memberId).catch(() => undefined)
  }
  throw new OperationError(`${to.name} did not take the lead over from ${from.name}.`, {
    hint: `See what is wrong: ${command(cluster, 'verify')}`,
  })
}

/** Stops the host's etcd and moves what it has of data aside; says where that lies. */
async function setAside(cluster: Cluster, host: string, shown: Shown): Promise<void> {
  await etcdRole.prepare(cluster)
  await runPlaybook(cluster, {
    playbook: 'set-aside',
    limit: [host],
    variables: { etcd_space_needed: await databaseBytes(cluster) },
    onSaid: (_, left) => {
      run().changes.push(`moved the old data of ${host} to ${left}`)
      shown.title += `; it lies in ${left}`
    },
  })
}

/** The largest database of a member that votes: so much is sent to a new one. */
async function databaseBytes(cluster: Cluster): Promise<number> {
  const answers = await endpointStatus(cluster, { endpoints: await votersSoon(cluster) })
  return Math.max(0, ...answers.map((answer) => (answer.ok ? answer.value.dbSizeBytes : 0)))
}

/** etcd 3.5.1 to 3.5.19: a later 3.6 takes the promoted member for a learner again. */
const forgetsPromotions = (version: string): boolean =>
  version.startsWith('3.5.') && compareVersions(version, '3.5.1') >= 0 && compareVersions(version, '3.5.20') < 0

/** Two healthy members that tell the role who belongs to the cluster: all of them would take longer and say no more. */
async function witnessesFor(cluster: Cluster, host: Host): Promise<string[]> {
  const urls = await votersSoon(cluster, [host])
  const witnesses = ownHosts(cluster)
    .filter(({ clientURL }) => urls.includes(clientURL))
    .slice(0, 2)
  return witnesses.map(({ name }) => name)
}

/** As the role knows members; for when no host that it could ask runs one. */
const byPeerURL = (members: Member[]): object =>
  Object.fromEntries(
    members.flatMap(({ id, name, peerURLs }) => peerURLs.map((url) => [url, { id, name, started: name !== '' }])),
  )

const membersListed = async (cluster: Cluster): Promise<Member[]> =>
  memberList(cluster, { endpoints: await votersSoon(cluster) })

/** The tasks; when one fails, the learner is removed again, so that none is left behind. */
const orWithdraw = (cluster: Cluster, host: Host, tasks: Task[]): Task[] =>
  withHint(cluster, tasks, (helps) => withdraw(cluster, host, helps))

async function withdraw(cluster: Cluster, host: Host, hint: string): Promise<string> {
  const others = await votersSoon(cluster, [host])
  const learner = await memberAt(cluster, host, others).catch(() => undefined)
  if (!learner?.isLearner) return hint
  const look = command(cluster, 'verify')
  const told = `The learner was removed again; then run the same command again, or see how the cluster is: ${look}`
  return removeMember(cluster, learner.id, others).then(
    () => `${hint} ${told}`,
    () => hint,
  )
}
