// A cluster of one member, formed from the data of the one that recover goes on from. Each step may be killed.
import { type Begun, type Cluster, type Host, hostNamed } from '../core/cluster.ts'
import { inOrder, type Task } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { run } from '../core/run.ts'
import { memberList } from '../etcd/etcdctl.ts'
import { removeMember, voters } from '../etcd/member-changes.ts'
import { memberOf } from '../etcd/membership.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import * as etcdRole from '../etcd-role/index.ts'
import type { HostData } from '../observe/host-data.ts'
import { endInherited } from './end-downgrade.ts'
import { isRaising, raiseTasks } from './raise.ts'
import { type Stands, standsBy } from './recover-rules.ts'
import type { Step } from './steps.ts'

/** How long a member may take to come up with a large database. */
const startSeconds = 1800

/** How far an earlier run came. */
export async function whereItStands(cluster: Cluster): Promise<Stands> {
  return standsBy(cluster.begun, cluster.begun ? (await voters(cluster)).length : 0)
}

const formedFrom = (cluster: Cluster): Host => hostNamed(cluster, cluster.begun?.from ?? '')

/** What is left up to a cluster of one member like any other. @param survivor whose data is gone on with, if chosen */
export const formSteps = (
  cluster: Cluster,
  there: HostData[],
  survivor: HostData | undefined,
  stands: Stands,
  raises: boolean,
): Step[] => [
  ...(survivor ? partSteps(cluster, there, survivor) : []),
  ...(stands === 'formed' ? [] : settleSteps(cluster, survivor?.host ?? formedFrom(cluster), raises)),
  { ...endInherited(cluster), would: [] },
]

/** The others are parted from their data first: if two of them came back, they would be a quorum of the old cluster. */
function partSteps(cluster: Cluster, there: HostData[], survivor: HostData): Step[] {
  const { host, commit } = survivor
  const others = cluster.hosts.filter((one) => one !== host)
  return [
    {
      title: `Stop ${host.name} and keep a copy of its data`,
      skip: () => cluster.begun?.from === host.name && 'an earlier run did',
      task: async (_, task) => {
        const onSaid = (_host: string, copy: unknown): void => void (task.title += `: ${copy}`)
        await runPlaybook(cluster, { playbook: 'copy-data', limit: [host.name], onSaid })
        run().changes.push(`copied the data of ${host.name}`)
      },
      would: [`stop ${host.name} and keep a copy of its data (raft index ${commit})`],
    },
    {
      title: 'Note that the recovery has begun',
      task: () => note(cluster, { verb: 'recover', from: host.name, ...formerTokensOf(cluster.begun) }),
    },
    {
      title: `Stop ${others.map(({ name }) => name).join(' and ')}, and move what they have of data aside`,
      skip: () => others.length === 0,
      task: async () => {
        const onSaid = (name: string, aside: unknown): void =>
          void run().changes.push(`moved the old data of ${name} to ${aside}`)
        await runPlaybook(cluster, {
          playbook: 'set-aside',
          limit: others.map(({ name }) => name),
          variables: { etcd_doctor: false },
          onSaid,
        })
      },
    },
    {
      ...inOrder(`Start ${host.name} as the only member of a new cluster`, () =>
        alone(cluster, host, { ETCD_FORCE_NEW_CLUSTER: 'true' }),
      ),
      would: [`start ${host.name} as the only member of a new cluster. ${loss(there, survivor)}`],
    },
  ]
}

/** What is lost for good, in sentences. */
export const loss = (there: HostData[], { host, commit }: HostData): string => {
  const others = there.filter((one) => one.host !== host && one.hasData).map((one) => one.host.name)
  const aside = others.length > 0 ? ` The data of ${others.join(' and ')} is moved aside.` : ''
  const lost = `Every write after its raft index ${commit} is lost for good, acknowledged ones too.`
  return `${lost}${aside} A copy of its data is kept.`
}

/**
 * The same member without that setting, which would undo what follows; and, where etcd's tools can, with a revision
 * that no client has seen.
 */
function settleSteps(cluster: Cluster, host: Host, raises: boolean): Step[] {
  return [
    {
      title: 'Forget the members that are lost',
      skip: () => isRaising(cluster) && 'an earlier run did',
      task: async () => {
        const endpoints = [host.clientURL]
        // Where its log lagged behind its database, etcd may have kept them in its list (etcd-io/etcd#20055).
        const members = await memberList(cluster, { endpoints })
        const kept = memberOf(host, members)
        for (const { id } of members.filter((one) => one !== kept)) await removeMember(cluster, id, endpoints)
      },
    },
    ...(raises || isRaising(cluster) ? raiseTasks(cluster, host, (begun) => note(cluster, begun)) : []),
    inOrder('Start it again as a member like any other', () => alone(cluster, host, {})),
    {
      title: 'Note that the new cluster is formed',
      task: () => note(cluster, { verb: 'recover', ...formerTokensOf(cluster.begun) }),
    },
  ]
}

/** The hosts that come back may still bear the tokens before. */
const formerTokensOf = (begun: Begun | undefined): Partial<Begun> =>
  begun?.formerTokens ? { formerTokens: begun.formerTokens } : {}

/** The role on one host, as if it were the only one. */
function alone(cluster: Cluster, { name }: Host, more: Record<string, string>): Task[] {
  const without = cluster.hosts.map((host) => host.name).filter((other) => other !== name)
  return etcdRole.tasks(cluster, {
    limit: [name],
    variables: {
      etcd_environment: { ...cluster.etcd.environment, ...more },
      etcd_without: without,
      etcd_start_timeout: startSeconds,
    },
  })
}

/** Has the record say what was begun. */
export function note(cluster: Cluster, begun: Begun | undefined): void {
  cluster.begun = begun
  recordCluster(cluster)
}
