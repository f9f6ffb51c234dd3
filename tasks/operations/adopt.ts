// adopt: a running cluster that something else has set up goes on as one of ours, and serves all the while.
import { existsSync } from 'node:fs'
import { type Cluster, finishBegun, type Host, hostNamed, workOutURLs } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { titled } from '../core/pipeline.ts'
import { recordCluster } from '../core/record.ts'
import { inText } from '../core/remedy.ts'
import { run } from '../core/run.ts'
import { confirm } from '../core/script.ts'
import { listed } from '../core/terminal.ts'
import { oldAuthorities } from '../etcd/certificates.ts'
import { call } from '../etcd/etcdctl.ts'
import { dataOf } from '../etcd/foreign.ts'
import { runPlaybook } from '../etcd/playbook.ts'
import { requirePrograms } from '../etcd/required-programs.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { inOrderOfRisk } from '../plans/in-turn.ts'
import * as vms from '../vms/index.ts'
import { asBefore, type ClientFiles, forget, stage } from './adopt-files.ts'
import { type Found, lookAtForeign } from './adopt-look.ts'
import { haveOwnUser } from './auth.ts'
import { bringBack } from './bring-back.ts'
import { aroundRotateCa, toSecureClients } from './clients.ts'
import { lookFirst } from './guard.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, type Step, told } from './steps.ts'

/**
 * Looks, asks, takes one member after the other; with their old certificates, so that clients notice nothing. Run again
 * after a kill, it goes on.
 */
export async function adopt(cluster: Cluster, client: ClientFiles | undefined, plan: boolean): Promise<void> {
  if (isOurs(cluster)) return sayDone(cluster, 'adopt', `${cluster.name} is ha-etcd's already.`, { adopted: [] })
  const found = await lookAtForeign(cluster, client)
  if ('ours' in found) return bringBack(cluster, found, plan)
  const names = cluster.hosts.map(({ name }) => name)
  const { version } = found
  const adopting =
    `Adopt the etcd ${version} of ${listed(names)} as ${cluster.name}? Each member restarts once, one at a time. ` +
    `It can be taken back: ${command(cluster, 'adopt --back')}.`
  const question = cluster.begun ? undefined : adopting
  const clients = cluster.plainClients ? toSecureClients(cluster) : aroundRotateCa.trust(cluster)
  const goOn = `then go on: ${command(cluster, 'adopt --finish')}`
  const pods = found.foreign.some(({ etcd }) => etcd.manifest !== '') ? [`you: ${toKubeadm}`] : []
  const steps = [...takeSteps(cluster, found), told(...pods, `you: ${clients}`, goOn)]
  if (!(await carryOutSteps(cluster, 'adopt', steps, plan, question))) return
  const done = `All members of ${cluster.name} run as ha-etcd's, with etcd ${version}.`
  const now = `Now ${clients}`
  sayDone(cluster, 'adopt', `${done}\n${now}; ${goOn}`, { adopted: names, version, finished: false, clients: now })
}

/** It would put the manifest back with its next upgrade. */
const toKubeadm = 'have kubeadm take this etcd for an external one, as docs/adopt.md says'

/** By a record that only a look has made, none of the hosts is. */
const isOurs = ({ formed, begun }: Cluster): boolean => formed === true && begun?.verb !== 'adopt'

function takeSteps(cluster: Cluster, found: Found): Step[] {
  const order = inOrderOfRisk(
    found.seen,
    [...found.half, ...found.foreign.map(({ host }) => host)].map(({ name }) => name),
  )
  return [
    { title: `Get etcd ${found.version}`, task: () => requirePrograms(cluster, found.version), would: [] },
    {
      title: "Make an authority, and take the members' certificates",
      task: () => begin(cluster, found),
      would: ['make an authority of our own, which every member is to trust beside the old one'],
    },
    haveOwnUser(asBefore(cluster)),
    ...Object.entries(found.readdressed).map(([name, id]) => readdress(cluster, hostNamed(cluster, name), id)),
    ...order.map((name) => takeOver(cluster, found, name)),
    { title: 'Note that every member is taken over', task: () => noteTaken(cluster), would: [] },
  ]
}

/** From here on the record says what is under way; nothing on the hosts has changed. */
async function begin(cluster: Cluster, { files, version }: Found): Promise<void> {
  const isBegun = cluster.begun !== undefined
  cluster.etcd.version = version
  cluster.begun ??= { verb: 'adopt' }
  cluster.formed = true
  await vms.note(cluster)
  if (isBegun) return
  await stage(cluster, files)
  recordCluster(cluster)
}

/** Whether the new authority has issued certificates, so that the old ones are gone. */
const hasLeftOld = ({ recorded, paths }: Cluster): boolean => recorded && !existsSync(paths.adopting)

/** From now on we ask over TLS those that spoke plain HTTP; clients do as they like. */
export function noteTaken(cluster: Cluster, taken = true): void {
  cluster.begun = { verb: 'adopt', ...cluster.begun, taken }
  if (cluster.plainClients) cluster.plainClients = taken ? 'too' : 'only'
  workOutURLs(cluster)
  recordCluster(cluster)
}

const readdress = (cluster: Cluster, { name, peerURL }: Host, id: string): Step => ({
  title: `Have ${name} known by its peer URL ${peerURL}`,
  task: async () => void (await call(asBefore(cluster), ['member', 'update', id, `--peer-urls=${peerURL}`], {})),
})

function takeOver(cluster: Cluster, { foreign }: Found, name: string): Step {
  const one = foreign.find(({ host }) => host.name === name)
  // Of one that is half taken over its host has a note.
  const { unit, manifest, args } = one?.etcd ?? { unit: '', manifest: '', args: [] }
  const old = { unit, manifest, args, data_directory: one ? dataOf(one) : '/' }
  const service = manifest ? `the pod of ${manifest}` : `${unit}.service`
  const from = one ? `: end ${service}, move its data from ${old.data_directory}, go on as etcd-member.service` : ''
  return {
    ...titled(`Take ${name} over`, async (onTask) => {
      await act(cluster, 'take', name, { etcd_adopt_old: { [name]: old } }, onTask)
      run().changes.push(`took ${name} over`)
      return `Take ${name} over`
    }),
    would: [`take ${name} over${from}; where it does not start, give it back`],
  }
}

/** Runs an act of the role's on one host, with the certificates that it had. */
async function act(
  cluster: Cluster,
  action: 'take' | 'back',
  host: string,
  more: object,
  onTask: (name: string) => void,
): Promise<void> {
  const copy = asBefore(cluster)
  await etcdRole.prepare(copy)
  await runPlaybook(copy, {
    playbook: 'adopt',
    limit: [host],
    variables: { etcd_adopt_action: action, etcd_adopt_id: cluster.life ?? '', ...more },
    onTask,
  })
}

/** Where what was asked for does not fit. */
export function whatIsNext(cluster: Cluster): string {
  if (cluster.begun) return inText(cluster, finishBegun(cluster))
  if (existsSync(oldAuthorities(cluster))) return `Then end the old trust: ${command(cluster, 'adopt --drop-old')}`
  return isOurs(cluster)
    ? `See how the cluster is: ${command(cluster, 'status')}`
    : `Begin with: ${command(cluster, 'adopt --plan')}`
}

/** Every member that was taken over goes back to its old service. @throws UsageError where nothing can be taken back */
export async function giveBack(cluster: Cluster): Promise<void> {
  if (cluster.begun?.verb !== 'adopt' || hasLeftOld(cluster))
    throw new UsageError(
      isOurs(cluster) || cluster.begun?.verb === 'adopt'
        ? 'There is no way back: the members have certificates of the new authority.'
        : `No adoption of ${cluster.name} is under way.`,
      { hint: whatIsNext(cluster) },
    )
  if (!(await confirm(`Give the members of ${cluster.name} back to their old services, one at a time?`)))
    throw new OperationError('Nothing was changed.')
  noteTaken(cluster, false)
  const order = inOrderOfRisk(
    await lookFirst(asBefore(cluster)),
    cluster.hosts.map(({ name }) => name),
  )
  const steps: Step[] = [
    ...order.map((name) => ({
      ...titled(`Give ${name} back`, async (onTask) => {
        await act(cluster, 'back', name, {}, onTask)
        await lookFirst(asBefore(cluster))
        return `Give ${name} back to its old service`
      }),
    })),
    forget(cluster),
  ]
  await carryOutSteps(cluster, 'adopt --back', steps, false)
  sayDone(cluster, 'adopt', 'Every member runs under its old service again, with its old certificates.', {
    givenBack: cluster.hosts.map(({ name }) => name),
  })
}
