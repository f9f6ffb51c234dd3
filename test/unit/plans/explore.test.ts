// Every state that faults and killed verbs can bring a cluster into, and from each of them every verb: what must hold
// does.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ofReplace, ofScale } from '../../../tasks/operations/guard.ts'
import { defragRules } from '../../../tasks/plans/defrag.ts'
import { replaceRules } from '../../../tasks/plans/replace.ts'
import { movesTo, scaleRules } from '../../../tasks/plans/scale.ts'
import { all, broken, explore, perform, refusalOf, type State, type Verb, voting } from '../../support/explorer.ts'
import { faults, hasQuorum, healthy, type World, withStranger } from '../../support/model.ts'
import { wayOut, whatIsWrong } from '../../support/ways-out.ts'

const hostNames = (count: number): string[] => Array.from({ length: count }, (_, at) => `h${at + 1}`)

const replace = (...hosts: string[]): Verb => ({
  words: `replace ${hosts.join(' ')}`,
  rules: (seen) => replaceRules(seen, hosts),
  coming: [],
  about: hosts,
  guard: () => ofReplace(hosts),
  reached: (world, start) => all(hosts, voting(world)) && hosts.every((host) => isNew(world, start, host)),
})

const idOn = (world: World, host: string): string | undefined => world.members.find((one) => one.host === host)?.id

/** Who voted before has a new member now; but whom a killed run has replaced is not replaced twice. */
function isNew(world: World, start: World, host: string): boolean {
  const [before, noted] = [idOn(start, host), start.replacing[host]]
  if (!hasQuorum(start) || !voting(start).includes(host)) return true
  return noted !== undefined && noted !== before ? idOn(world, host) === before : idOn(world, host) !== before
}

const scale = (count: number): Verb => ({
  words: `scale ${count}`,
  rules: (seen) => scaleRules(seen, hostNames(count)),
  coming: hostNames(count),
  about: [],
  noted: (world) => ({ ...world, scaling: hostNames(count) }),
  guard: (seen) => ofScale(movesTo(seen, hostNames(count))),
  reached: (world) =>
    world.recorded.length === count &&
    hostNames(count).every((host) => world.members.some((one) => one.host === host && !one.learner)),
})

const defrag: Verb = {
  words: 'defrag --disarm',
  rules: () => defragRules(true),
  coming: [],
  about: [],
  reached: ({ done, recorded }) =>
    done.filter((act) => act.do === 'defragment').length === recorded.length && done.at(-1)?.do === 'prove a write',
}

/** What is named leads out, from everywhere. */
function requireNamedWayOut({ world, story }: State): void {
  const way = wayOut(world)
  const codes = whatIsWrong(world).map((finding) => `${finding.code} ${finding.host ?? ''}`)
  if (!way) broken([...story, codes.join('; ')], 'a dead end')
}

/**
 * While a quorum commits, one verb brings back all that do not vote, however many and however lost, and its guard lets
 * it begin. Where all vote no guard refuses anything.
 */
function requireWayOut(state: State): void {
  const { world } = state
  requireNamedWayOut(state)
  if (!hasQuorum(world) || hasStranger(world)) return
  const silent = world.recorded.filter((host) => !voting(world).includes(host))
  const verb = replace(...silent)
  for (const one of silent.length > 0 ? [verb] : [replace('h1'), scale(1), scale(3), scale(5)]) {
    const refused = refusalOf(world, one)
    if (refused) broken(state.story, `${one.words} is refused: ${JSON.stringify(refused)}`)
  }
  if (silent.length === 0) return
  const end = perform(state, verb).at(-1)
  if (!end || !all(silent, voting(end))) broken(state.story, `no way out: ${verb.words} does not help`)
}

const hasStranger = ({ members }: World): boolean => members.some(({ host }) => host === 'stranger')

/** What befalls hosts; and somebody adds a member of none of them. */
const misfortunes = (world: World): [string, World][] =>
  !hasQuorum(world) || hasStranger(world)
    ? faults(world)
    : [
        ...faults(world),
        ['add a strange learner', withStranger(world, true)],
        ['add a strange voter', withStranger(world, false)],
      ]

/** How many faults befall a cluster on one way: `npm run explore` takes three. */
const budget = { faults: Number(process.env.EXPLORED_FAULTS ?? 2), kills: 1 }

const walk = (start: World, verbs: Verb[]): string =>
  explore({ starts: [start], verbs, budget, faults: misfortunes, requireWayOut })

for (const strict of [false, true]) {
  test(`three hosts, two faults and a killed verb, in any order${strict ? '; etcd before 3.5.30' : ''}`, () => {
    const verbs = [replace('h1'), replace('h2'), replace('h1', 'h3'), scale(3), scale(5), scale(1), defrag]
    const found = walk(healthy(3, strict), verbs)
    console.log(`measured: ${found}, and no dead end`)
    assert.ok(Number.parseInt(found, 10) > 500)
  })

  test(`five hosts, two faults and a killed verb, in any order${strict ? '; etcd before 3.5.30' : ''}`, () => {
    const verbs = [replace('h1'), replace('h1', 'h2'), replace('h5'), scale(5), scale(3), defrag]
    const found = walk(healthy(5, strict), verbs)
    console.log(`measured: ${found}, and no dead end`)
    assert.ok(Number.parseInt(found, 10) > 500)
  })
}

test.run()
