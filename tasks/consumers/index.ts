// Whoever uses the cluster: each consumer's files are brought up to date, and what it must do is said.
import { type Cluster, ownHosts } from '../core/cluster.ts'
import { OperationError } from '../core/errors.ts'
import { writeFileAtomic } from '../core/files.ts'
import { type Task, titled } from '../core/pipeline.ts'
import { run } from '../core/run.ts'
import { counted } from '../core/terminal.ts'
import { certificateAt, trustedAuthorities } from '../etcd/certificates.ts'
import {
  type Consumer,
  consumerFile,
  consumerPair,
  consumersOf,
  inFile,
  type Place,
  type Told,
  unknownKind,
} from '../etcd/consumers.ts'
import { scrapedAt } from '../monitoring/index.ts'
import { type Change, duty } from './kinds.ts'
import { bring, notBrought, placeName } from './places.ts'

export { type Change, kinds } from './kinds.ts'
export { bring, configuration, isSamePlace, placeName, refuseUnfit, takeAway } from './places.ts'

/** Keeps what is known of a consumer. */
export const note = (cluster: Cluster, consumer: Consumer): void =>
  writeFileAtomic(consumerFile(cluster, consumer.name), inFile(consumer), 0o600)

/** What there is to tell a consumer now. */
export const tellingNow = (cluster: Cluster, name: string): Told => ({
  endpoints: cluster.hosts.map(({ clientURL }) => clientURL),
  authorities: trustedAuthorities(cluster).map(({ fingerprint256 }) => fingerprint256),
  certificate: certificateAt(consumerPair(cluster, name).certificate)?.fingerprint256 ?? '',
  metrics: scrapedAt(cluster),
})

/** What differs from what it was told last. The order of endpoints and authorities says nothing. */
export function changesSince(told: Told | undefined, now: Told): Change[] {
  const same = (one: string[] = [], other: string[] = []): boolean => one.toSorted().join() === other.toSorted().join()
  return [
    ...(same(told?.endpoints, now.endpoints) ? [] : ['endpoints' as const]),
    ...(same(told?.authorities, now.authorities) ? [] : ['authority' as const]),
    ...(told?.certificate === now.certificate ? [] : ['certificate' as const]),
    ...(told?.metrics === now.metrics ? [] : ['metrics' as const]),
  ]
}

/** What the consumers must do once this changes, a clause each; none: they notice by themselves. */
export const duties = (cluster: Cluster, changes: Change[]): string[] =>
  consumersOf(cluster).flatMap((consumer) => duty(consumer, changes) ?? [])

/** The step of each verb that changes what consumers have; none where there is no consumer. */
export function tasks(cluster: Cluster): Task[] {
  const consumers = consumersOf(cluster)
  if (consumers.length === 0) return []
  return [
    titled(`Bring ${counted(consumers.length, 'consumer')} up to date`, async () => {
      const brought: string[] = []
      const failed: OperationError[] = []
      for (const consumer of consumers.filter(({ kind }) => kind !== unknownKind))
        if (await bringUpToDate(cluster, consumer, failed)) brought.push(consumer.name)
      run().changes.push(...brought.map((name) => `brought ${name} its files`))
      if (failed[0]) throw allOf(failed[0], failed)
      const what = brought.length > 0 ? `brought ${brought.join(', ')} new files` : 'nothing to do'
      return `Bring ${counted(consumers.length, 'consumer')} up to date: ${what}`
    }),
  ]
}

/** The others were served all the same. */
const allOf = (first: OperationError, failed: OperationError[]): OperationError =>
  failed.length === 1
    ? first
    : new OperationError(`${failed.length} consumers could not be brought up to date.`, {
        lines: failed.map(({ message, more }) => `${message} ${more.output ?? ''}`.trim()),
        ...(first.more.hint && { hint: first.more.hint }),
        verb: 'connect --list',
      })

/**
 * What keeps it from a place is added to `failed`; it is told what there is once all its places have it.
 * @returns whether it has other files now
 */
async function bringUpToDate(cluster: Cluster, consumer: Consumer, failed: OperationError[]): Promise<boolean> {
  const before = failed.length
  const now = tellingNow(cluster, consumer.name)
  const changes = changesSince(consumer.told, now)
  let brought = false
  for (const place of consumer.places)
    if (isThere(cluster, consumer, place) && (!place.host || changes.length > 0))
      brought = (await bringOrSay(cluster, consumer, place, failed)) || brought
  if (changes.length > 0 && failed.length === before) note(cluster, { ...consumer, told: now })
  const must = duty(consumer, changes)
  if (must && consumer.told) run().warn(`${must}.`)
  return brought
}

function isThere(cluster: Cluster, { name }: Consumer, place: Place): boolean {
  const there = !place.host || ownHosts(cluster).some((host) => host.name === place.host)
  if (!there) run().warn(`${name} has files in ${placeName(place)}, on a host that is no member any more.`)
  return there
}

function bringOrSay(cluster: Cluster, consumer: Consumer, place: Place, failed: OperationError[]): Promise<boolean> {
  return bring(cluster, consumer, place, false).catch((error: unknown) => {
    if (!(error instanceof OperationError) && !(error as NodeJS.ErrnoException).code) throw error
    failed.push(notBrought(consumer, place, error as Error))
    return false
  })
}
