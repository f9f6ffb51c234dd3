// An act in words.
import type { Act, Turn } from './types.ts'

type Titles = { [K in Act['do']]: (act: Extract<Act, { do: K }>) => string }

const titles: Titles = {
  'record host': ({ host }) => `Record ${host}`,
  'note who goes': ({ host, id }) => `Note that member ${id} of ${host} is to go`,
  'bring up': ({ host }) => `Bring ${host} up, and make the certificates that it lacks`,
  'hand over': ({ from, to }) => `Hand leadership over from ${from} to ${to}`,
  'set aside': ({ host }) => `Stop etcd on ${host} where it runs, and move what it has of data aside`,
  'remove member': ({ host, id }) => `Remove member ${id} of ${host}`,
  'add learner': ({ host }) => `Add ${host} as a learner`,
  'start learner': ({ host, version }) => `Start ${host} with etcd ${version}, and wait until it has caught up`,
  promote: ({ host }) => `Let ${host} vote`,
  'remove host': ({ host }) => `Remove ${host} with its data and its certificates`,
  'forget host': ({ host }) => `Forget ${host}, whose machine is left as it is`,
  compact: () => 'Forget all versions of keys but the newest (watchers that lag must start over)',
  defragment: ({ host }) => `Defragment ${host}, and wait until it has caught up`,
  disarm: () => 'Lower the alarms',
  'prove a write': () => 'Prove by a write that the database takes writes',
  'back up': () => 'Save a snapshot, check it, and prove it by restoring it',
  'get programs': ({ version }) =>
    `Get etcd ${version}: the official release, else built with Go, else the distribution's package`,
  'record target': ({ version }) => `Note that the way to etcd ${version} has begun`,
  'take snapshots': ({ hosts }) =>
    `Restart ${hosts.join(', ')}, one at a time, so that each takes a snapshot, without which 3.7 does not start`,
  'enable downgrade': ({ minor }) =>
    `Enable the downgrade to etcd ${minor}, and wait until every database is written for it`,
  install: ({ version, turns }) =>
    turns.length > 0
      ? `Restart ${turns.map(({ host }) => host).join(', ')} with etcd ${version}, one at a time`
      : `See that every host has etcd ${version} and no other`,
  'end downgrade': () => 'End the downgrade in the cluster',
  verify: () => 'Verify',
  'record version': ({ version }) => `Record that every member runs etcd ${version}`,
}

export const titleOf = (act: Act): string => (titles[act.do] as (act: Act) => string)(act)

/** An act as lines of a plan. */
export const linesOf = (act: Act): string[] =>
  act.do === 'install' && act.turns.length > 0
    ? act.turns.map((turn) => inWords(turn, act.version))
    : [titleOf(act).replace(/^./, (letter) => letter.toLowerCase())]

const inWords = ({ host, leads, runs }: Turn, version: string): string =>
  `restart ${host}${leads ? ' (the leader, after handing over)' : ''} with etcd ${version} (now ${runs ?? 'down'}), ` +
  'and wait until it has caught up'
