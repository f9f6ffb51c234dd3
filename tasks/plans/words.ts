// An act in words.
import type { Act } from './types.ts'

type Titles = { [K in Act['do']]: (act: Extract<Act, { do: K }>) => string }

const titles: Titles = {
  'record host': ({ host }) => `Record ${host}`,
  'note who goes': ({ host, id }) => `Note that member ${id} of ${host} is to go`,
  'bring up': ({ host }) => `Bring ${host} up, and make the certificates that it lacks`,
  'hand over': ({ from, to }) => `Hand leadership over from ${from} to ${to}`,
  'set aside': ({ host }) => `Stop etcd on ${host}, and move what it has of data aside`,
  'remove member': ({ host, id }) => `Remove member ${id} of ${host}`,
  'add learner': ({ host }) => `Add ${host} as a learner`,
  'start learner': ({ host }) => `Start ${host}, and wait until it has caught up`,
  promote: ({ host }) => `Let ${host} vote`,
  'remove host': ({ host }) => `Remove ${host} with its data and its certificates`,
}

export const titleOf = (act: Act): string => (titles[act.do] as (act: Act) => string)(act)
