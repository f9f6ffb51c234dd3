// The walks through the states of a cluster: where they start, what befalls it there, which verbs are tried, and what
// must hold in each state.

import { adoptByJoining, adopting, adoptions, finish } from './adoption-in-memory.ts'
import { recover, restore } from './data-in-memory.ts'
import { broken, endOf, type Listed, type State, type Walk } from './explorer.ts'
import { faults, hasQuorum, healthy, lossesHere, troubles, type World, withStranger } from './model.ts'
import { up } from './role-in-memory.ts'
import { rotateCa, rotateCerts, verified } from './rotations.ts'
import { all, defrag, downgrade, replace, scale, upgrade, voting } from './verbs-in-memory.ts'
import { refusalOf } from './walk.ts'
import { trail, wayOut } from './ways-out.ts'

/** What is named leads out, from everywhere, by two verbs for each thing that happened and two more. */
function requireNamedWayOut({ world, story }: State): void {
  if (!wayOut(world, 2 + 2 * story.length)) broken([...story, ...trail(world)], 'a dead end')
}

/**
 * While a quorum commits and nothing else is wrong, one verb brings back all that do not vote, however many and however
 * lost, and its guard lets it begin. Where all vote no guard refuses anything.
 */
function requireWayOut(state: State): void {
  const { world } = state
  requireNamedWayOut(state)
  if (!hasQuorum(world) || isTroubled(world)) return
  const silent = world.recorded.filter((host) => !voting(world).includes(host))
  const verb = replace(...silent)
  for (const one of silent.length > 0 ? [verb] : [replace('h1'), scale(1), scale(3), scale(5)]) {
    const refused = refusalOf(world, one)
    if (refused) broken(state.story, `${one.words} is refused: ${JSON.stringify(refused)}`)
  }
  if (silent.length === 0) return
  const end = endOf(state, verb)
  if (!end || !all(silent, voting(end))) broken(state.story, `no way out: ${verb.words} does not help`)
}

const hasStranger = ({ members }: World): boolean => members.some(({ host }) => host === 'stranger')
const isTroubled = (world: World): boolean =>
  hasStranger(world) ||
  world.here !== undefined ||
  world.unrecorded === true ||
  world.keyless !== undefined ||
  world.trust !== undefined ||
  world.begun !== undefined ||
  Object.values(world.hosts).some(({ full, late, certificates }) => full || late || certificates) ||
  world.auth === true ||
  (world.alarms ?? []).length > 0 ||
  world.upgradingTo !== undefined ||
  world.downgradingTo !== undefined

/** What befalls hosts and members; and somebody adds a member of none of them. */
const misfortunes = (world: World): [string, World][] =>
  !hasQuorum(world) || hasStranger(world)
    ? [...faults(world), ...troubles(world), ...lossesHere(world)]
    : [
        ...faults(world),
        ...troubles(world),
        ...lossesHere(world),
        ['add a strange learner', withStranger(world, true)],
        ['add a strange voter', withStranger(world, false)],
      ]

/** How many faults befall a cluster on one way; `npm run explore` says more of them, and more states at most. */
const [faultsOfAll, most] = [Number(process.env.EXPLORED_FAULTS ?? 2), Number(process.env.EXPLORED_STATES ?? 1350)]
const budget = { faults: 2, kills: 1 }
/** A sample of the deep states says more than all that follow from the first ones. */
const oneIn = process.env.EXPLORED_STATES ? 1 : 20
const promised = { budget, oneIn, faults: misfortunes, requireWayOut }

const replacements = [['h1'], ['h2'], ['h3'], ['h1', 'h2'], ['h1', 'h3'], ['h2', 'h3']].map((hosts) =>
  replace(...hosts),
)
const resizings = [scale(3), scale(5), scale(1)]
const [older, newer] = ['3.6.14', '3.7.1']

/** What is a list of steps, and may meet a change of the authority. */
const rotations: Listed[] = [
  { words: 'rotate-ca', run: (world) => rotateCa(world) },
  { words: 'rotate-ca --back', run: (world) => rotateCa(world, true) },
  { words: 'rotate-certs', run: rotateCerts },
  { words: 'up', run: (world) => verified(up(world, true), world) },
]

/** What replaces the data of all. */
const replacingData: Listed[] = [
  { words: 'recover', run: (world) => recover(world), evenHalfDone: true },
  { words: 'recover --from h1', run: (world) => recover(world, 'h1'), evenHalfDone: true },
  { words: 'restore', run: restore, evenHalfDone: true },
  { words: 'up', run: (world) => verified(up(world, true), world) },
]

/** Three hosts, all but that one lost. */
const lostBut = (host: string): World =>
  ['h1', 'h2', 'h3']
    .filter((one) => one !== host)
    .reduce((now, one) => faults(now).find(([title]) => title === `lose ${one}`)?.[1] ?? now, healthy(3, false))

/** What befalls members, ours and those of another tool, while ours take their place. */
const whileAdopted = (world: World): [string, World][] =>
  world.begun
    ? misfortunes(world).filter(([title]) =>
        /^(stop|wipe|turn h|lose h|freeze|have|set the clock|fill|damage|turn auth)/.test(title),
      )
    : []

export const ofAdoption = (foreign: number, ours: number): Walk => ({
  ...promised,
  oneIn: Math.min(oneIn, 3),
  starts: [adopting(foreign, ours, false), adopting(foreign, ours, true)],
  verbs: [...adoptions(foreign, ours), defrag, replace(`h${foreign + 1}`), replace(`h${foreign + ours}`)],
  lists: [
    { words: 'adopt, to its end', run: (world) => adoptByJoining(world), evenHalfDone: true, unverified: true },
    { words: 'adopt --finish', run: finish, evenHalfDone: true },
  ],
  budget: { faults: faultsOfAll - 1, kills: 2 },
  faults: whileAdopted,
  requireWayOut: requireNamedWayOut,
  most: Math.min(most / 6, 20_000),
})

const ofFive = (strict: boolean): Walk => ({
  ...promised,
  starts: [healthy(5, strict)],
  verbs: [replace('h1'), replace('h1', 'h2'), replace('h5'), scale(5), scale(3), defrag],
  most: Math.min(most / 2, 20_000),
})

export const walks = {
  'three hosts, faults and a killed verb in any order, moves to another etcd among them': {
    ...promised,
    starts: [healthy(3, false, newer), healthy(3, false, older), healthy(3, true, older)],
    verbs: [...replacements, ...resizings, defrag, upgrade(newer), upgrade(older), downgrade(older), downgrade(newer)],
    budget: { ...budget, faults: faultsOfAll },
    most,
  },
  'five hosts, two faults and a killed verb, in any order': ofFive(false),
  'five hosts, two faults and a killed verb, in any order; etcd before 3.5.30': ofFive(true),
  'three and five hosts, damaged data and members that stop': {
    ...promised,
    oneIn: 1,
    starts: [healthy(3, false), healthy(5, false)],
    verbs: [replace('h1'), replace('h1', 'h2'), replace('h2', 'h3')],
    budget: { faults: 3, kills: 0 },
    faults: (world) => misfortunes(world).filter(([title]) => /^(damage|stop|wipe)/.test(title)),
    most: 600,
  },
  "three hosts, the authority's key lost, and two faults": {
    ...promised,
    oneIn: 1,
    starts: [{ ...healthy(3, false), keyless: 'lost' }],
    verbs: [replace('h1'), scale(5)],
    budget: { faults: 2, kills: 0 },
    most: 1500,
  },
  'three hosts, a change of the authority killed at any step, other verbs and faults in any order': {
    ...promised,
    oneIn: Math.min(oneIn, 3),
    starts: [healthy(3, false), healthy(3, false, newer)],
    verbs: [replace('h1'), scale(5), downgrade(older)],
    lists: rotations,
    budget: { faults: faultsOfAll - 1, kills: 2 },
    most: Math.min(most / 2, 60_000),
  },
  'three hosts, recover and restore killed at any step, and faults': {
    ...promised,
    oneIn: Math.min(oneIn, 2),
    starts: [healthy(3, false), lostBut('h1')],
    verbs: [],
    lists: replacingData,
    budget: { faults: faultsOfAll - 1, kills: 2 },
    most: Math.min(most / 2, 60_000),
  },
  'three hosts, members that are slow or stop, and answer again': {
    ...promised,
    oneIn: 1,
    starts: [healthy(3, false)],
    verbs: [replace('h2'), scale(5)],
    lists: [...rotations, ...replacingData.slice(0, 1)],
    budget: { faults: 3, kills: 1 },
    faults: (world) => misfortunes(world).filter(([title]) => /^(freeze|have|stop)/.test(title)),
    most: 500,
  },
  "two hosts of ours take the place of another tool's three, killed at any step, and faults": ofAdoption(3, 2),
  "three hosts of ours take the place of another tool's one, killed at any step, and faults": ofAdoption(1, 3),
  'one host, two faults and a killed verb, in any order': {
    ...promised,
    oneIn: Math.min(oneIn, 2),
    starts: [healthy(1, false)],
    verbs: [scale(1), scale(3), defrag],
  },
} satisfies Record<string, Walk>
export type Title = keyof typeof walks
