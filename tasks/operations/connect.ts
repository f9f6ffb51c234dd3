// connect: a certificate of its own for each consumer, its configuration, and both where it wants them.
import { rmSync } from 'node:fs'
import * as consumers from '../consumers/index.ts'
import type { Cluster } from '../core/cluster.ts'
import { command } from '../core/command.ts'
import { OperationError, UsageError } from '../core/errors.ts'
import { print, run, tell } from '../core/run.ts'
import { didYouMean } from '../core/suggest.ts'
import { chalk, counted, listed, table } from '../core/terminal.ts'
import { certificateAt, daysLeft, isoDay } from '../etcd/certificates.ts'
import {
  type Consumer,
  consumerFile,
  consumerPair,
  consumersOf,
  type Place,
  pairName,
  unknownKind,
} from '../etcd/consumers.ts'
import { identityAt, knock } from '../etcd/probe.ts'
import * as etcdRole from '../etcd-role/index.ts'
import { renewLeaves } from '../pki/index.ts'
import { dropUserSteps, isOn, userSteps } from './auth.ts'
import { requireHealthy } from './guard.ts'
import { sayDone } from './say.ts'
import { carryOutSteps, look, type Step } from './steps.ts'

/** Gives a consumer what it needs; again, it brings that up to date, and to one more place if one is given. */
export async function connect(
  cluster: Cluster,
  { name, kind, place }: { name: string; kind: string; place: Place | undefined },
  plan: boolean,
): Promise<void> {
  const all = consumersOf(cluster)
  const known = all.find((one) => one.name === name)
  const isPlace = (one: Place): boolean => place !== undefined && consumers.isSamePlace(cluster, one, place)
  const owner = all.find((one) => one !== known && one.places.some(isPlace))
  if (owner) throw new UsageError(`${owner.name} has its files there.`, { hint: 'Name a folder for this one alone.' })
  if (known && known.kind !== kind && known.kind !== unknownKind)
    throw new UsageError(`${name} is connected already, as ${known.kind}.`, {
      hint: `Name this one otherwise: ${command(cluster, `connect ${kind} --name NAME`)}`,
    })
  etcdRole.refuseHalfUpgraded(cluster)
  if (!plan) await requireHealthy(cluster)
  const before = known?.places ?? []
  const same = before.find(isPlace)
  const places = [...before.filter((one) => one !== same), ...(place ? [{ ...same, ...place }] : [])]
  const consumer: Consumer = { name, kind, places, told: known?.told }
  if (!(await carryOutSteps(cluster, 'connect', await stepsOf(cluster, consumer, before), plan))) return
  sayConnected(cluster, consumer)
}

async function stepsOf(cluster: Cluster, consumer: Consumer, before: Place[]): Promise<Step[]> {
  const { name, places } = consumer
  const isNew = (place: Place): boolean => !before.some((one) => consumers.isSamePlace(cluster, one, place))
  return [
    look('Look at the places', async () => {
      for (const place of places.filter(isNew)) await consumers.refuseUnfit(cluster, consumer, place)
    }),
    {
      title: `Issue a certificate for ${name}, if it is due`,
      task: async (_, task) => {
        consumers.note(cluster, { ...consumer, places: before })
        const issued = await renewLeaves(cluster, (leaf, due) => due && leaf.consumer === name)
        run().changes.push(...issued.map(({ path }) => `issued ${path}`))
        if (issued.length === 0) task.title = `The certificate of ${name} is not due`
      },
      would: [`issue a certificate for ${name}, if it is due`],
    },
    ...(await userSteps(cluster, consumer)),
    ...places.map((place) => ({
      title: `Bring its files to ${consumers.placeName(place)}`,
      task: async () => {
        if (await consumers.bring(cluster, consumer, place, isNew(place)))
          run().changes.push(`brought ${name} its files`)
        consumers.note(cluster, { ...consumer, told: consumers.tellingNow(cluster, name) })
      },
    })),
    {
      title: `Prove by connections that every member lets ${name} in`,
      task: async () => {
        await proveLetIn(cluster, name)
        consumers.note(cluster, { ...consumer, told: consumers.tellingNow(cluster, name) })
      },
    },
  ]
}

async function proveLetIn(cluster: Cluster, name: string): Promise<void> {
  const as = identityAt(cluster, pairName(name))
  if (!as) throw new OperationError(`The certificate of ${name} is not there.`)
  const probes = await Promise.all(cluster.hosts.map((host) => knock(cluster, host, { as })))
  const refused = probes.flatMap((probe, index) =>
    probe.kind === 'answered' ? [] : [`${cluster.hosts[index]?.name}: ${probe.reason}`],
  )
  if (refused.length > 0)
    throw new OperationError(`Not every member lets ${name} in.`, {
      lines: refused,
      hint: 'See what is wrong with the cluster',
      verb: 'verify',
    })
}

function sayConnected(cluster: Cluster, consumer: Consumer): void {
  const { name, kind, places } = consumer
  const { notes = [] } = consumers.kinds[kind] ?? {}
  const files = consumers.configuration(cluster, consumer, places.at(-1))
  const lines = [
    `${name} is connected to ${cluster.name}: every member lets its certificate in.`,
    ...places.map((place) => `Its files are in ${consumers.placeName(place)}; later verbs bring them up to date.`),
    ...(places.length > 0 ? [] : [`Only this user can read these files. For another: ${hintOf(cluster, kind)}`]),
    ...notes,
  ]
  if (!run().json) for (const [file, text] of Object.entries(files)) print(`\n${chalk.dim(`# ${file}`)}\n${text}`)
  sayDone(cluster, 'connect', lines.join('\n'), { consumer: name, kind, places, files, notes })
}

const hintOf = (cluster: Cluster, kind: string): string => command(cluster, `connect ${kind} --output DIR --owner USER`)

/** Who is connected, where its files are, and how long its certificate is good. */
export function listConsumers(cluster: Cluster): void {
  const rows = consumersOf(cluster).map(({ name, kind, places }) => {
    const certificate = certificateAt(consumerPair(cluster, name).certificate)
    return { name, kind, places: places.map(consumers.placeName), daysLeft: certificate ? daysLeft(certificate) : null }
  })
  const cells = rows.map(({ name, kind, places, daysLeft: left }) => [
    name,
    kind,
    left === null ? 'no certificate' : counted(left, 'day'),
    places.join(', ') || 'no place of its own',
  ])
  const none = `Nobody is connected to ${cluster.name} yet. Kinds: ${Object.keys(consumers.kinds).join(', ')}.`
  const text = rows.length > 0 ? table([['consumer', 'kind', 'certificate', 'files in'], ...cells]) : none
  tell({ cluster: cluster.name, consumers: rows }, text)
}

/** Forgets a consumer. Its certificate stays good for whoever kept a copy: there is no list of revoked ones. */
export async function disconnect(cluster: Cluster, name: string, plan: boolean): Promise<void> {
  const all = consumersOf(cluster)
  const consumer = all.find((one) => one.name === name)
  if (!consumer) {
    const names = all.map((one) => one.name)
    throw new UsageError(`${name} is not connected to ${cluster.name}.${didYouMean(name, names)}`)
  }
  const places = consumer.places.map(consumers.placeName)
  const also = places.length > 0 ? `, and its files in ${listed(places)}` : ''
  const question = `Delete the certificate and the key of ${name}${also}?`
  const { certificate, key } = consumerPair(cluster, name)
  const users = await dropUserSteps(cluster, name)
  const steps: Step[] = [
    ...users,
    ...consumer.places.map((place) => ({
      title: `Remove its files from ${consumers.placeName(place)}`,
      task: () =>
        consumers.takeAway(cluster, consumer, place).catch((error: unknown) => {
          if (!(error instanceof OperationError)) throw error
          run().warn(`Its files stay in ${consumers.placeName(place)}: ${error.message}`)
        }),
    })),
    {
      title: `Delete the certificate and the key of ${name}`,
      task: () => {
        for (const path of [key, certificate, consumerFile(cluster, name)]) rmSync(path, { force: true })
      },
    },
  ]
  const ends = certificateAt(certificate)?.validTo
  const until = ends && isoDay(ends)
  if (!(await carryOutSteps(cluster, 'connect --remove', steps, plan, question))) return
  const done = `${name} is connected to ${cluster.name} no longer.`
  const end = `until ${until}, or the next ${command(cluster, 'rotate-ca')}`
  const copies = `Whoever kept a copy of its key is let in ${end}.`
  const kept = until && !(await isOn(cluster)) ? ` ${copies}` : ''
  sayDone(cluster, 'connect', `${done}${kept}`, { removed: name, until })
}
