// Ways that once led nowhere: each state that the explorer found a dead end in, told as a story, has a way out.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { adopting } from '../../support/adoption-in-memory.ts'
import { endOf, type Listed, type Walk } from '../../support/explorer.ts'
import {
  faults,
  healthy,
  killed,
  lossesHere,
  meanwhile,
  troubles,
  type World,
  withStranger,
} from '../../support/model.ts'
import { rotateCa } from '../../support/rotations.ts'
import { type Step, type Verb, walk } from '../../support/walk.ts'
import { ofAdoption, walks } from '../../support/walks.ts'
import { trail, wayOut } from '../../support/ways-out.ts'

const deadEnds: [version: string, ...story: string[]][] = [
  [
    '3.7.1',
    'downgrade 3.6.14, killed at 8',
    'set the clock of h1 wrong',
    'let the certificates of h1 expire',
    'lose the key of the authority',
  ],
  [
    '3.6.14',
    'scale 5, killed at 2',
    'give h4 certificates that are not valid yet',
    'damage the data of h1, told of nobody',
    'lose the key of the authority',
  ],
  ['3.6.14', 'scale 5, killed at 2', 'set the clock of h4 wrong', 'lose the key of the authority', 'turn h4 off'],
  ['3.7.1', 'downgrade 3.6.14, killed at 5', 'lose h1', 'let the authority expire'],
  ['3.7.1', 'enable a downgrade by hand', 'lose h1'],
  ['3.6.14', 'rotate-ca, killed at 9', 'lose the key of the next authority'],
  ['3.6.14', 'restore, killed at 2', 'let the authority expire'],
  ['3.6.14', 'restore, killed at 5', 'lose the key of the authority', 'give h2 certificates that are not valid yet'],
  ['3.6.14', 'lose h2', 'lose h3', 'recover, killed at 7', 'wipe h1'],
  [
    '3.6.14',
    'lose h2',
    'lose h3',
    'recover, killed at 12',
    'let the certificates of h2 expire',
    'add a strange learner',
  ],
  [
    '3.6.14',
    'lose h2',
    'lose h3',
    'recover, killed at 3',
    'let the certificates of h1 expire',
    'lose the key of the authority',
  ],
  ['3.6.14', 'lose h2', 'lose h3', 'recover, killed at 3', 'lose the key of the authority', 'lose certs/'],
  [
    '3.6.14',
    'lose h2',
    'lose h3',
    'recover, killed at 12',
    'lose the key of the authority',
    "lose the clients' certificate",
  ],
  ['3.6.14', 'scale 5, killed at 1', 'lose the key of the authority', 'rotate-ca, killed at 3'],
  ['3.6.14', 'rotate-ca, killed at 9', 'scale 5, killed at 1', 'lose the key of the next authority'],
  [
    '3.6.14',
    'rotate-ca, killed at 7',
    'lose the key of the authority',
    "lose the clients' certificate",
    'rotate-ca, killed at 3',
  ],
  [
    '3.6.14',
    'restore, killed at 5',
    'forget the passphrase of the keys',
    'give h2 certificates that are not valid yet',
  ],
  [
    '3.6.14',
    'lose h2',
    'lose h3',
    'recover, killed at 12',
    'forget the passphrase of the keys',
    "lose the clients' certificate",
  ],
  [
    '3.6.14',
    'lose h2',
    'lose h3',
    'recover, killed at 3',
    'lose the key of the authority',
    "let the clients' certificate expire",
  ],
  [
    '3.6.14',
    'freeze h2',
    'freeze h3',
    'recover --from h1, killed at 3',
    'lose the key of the authority',
    "let the clients' certificate expire",
  ],
  ['3.6.14', 'lose the record', 'wipe h1'],
  ['3.7.1', 'downgrade 3.6.14, killed at 8', 'lose the record', 'lose h2'],
  ['3.6.14', 'scale 5, killed at 2', 'lose the record'],
  ['3.6.14', 'replace h1, killed at 2', 'lose the record'],
  ['3.6.14', 'lose h2', 'lose h3', 'recover, killed at 4', 'lose the record'],
  ['3.6.14', 'restore, killed at 5', 'lose the record'],
  ['3.6.14', 'restore, killed at 4', 'give h1 certificates of another authority', 'lose the record'],
  ['3.7.1', 'downgrade 3.6.14, killed at 7', 'damage the data of h2, told of nobody', 'lose the record'],
  ['3.7.1', 'scale 5, killed at 12', 'downgrade 3.6.14, killed at 6', 'wipe h3'],
  ['3.6.14', 'upgrade 3.7.1, killed at 6', 'lose the record'],
]

const all: Walk[] = Object.values(walks)
const known: [Verb[], Listed[]] = [all.flatMap((one) => one.verbs), all.flatMap((one) => one.lists ?? [])]

const verbNamed = (words: string, verbs = known[0]): Verb => verbs.find((one) => one.words === words) as Verb

/** A verb killed once so many of its acts were begun or done; or what befalls the cluster. */
function after(world: World, line: string, [verbs, lists] = known): World {
  const [, words, at] = /^(.*), killed at (\d+)$/.exec(line) ?? []
  if (words === undefined)
    return [
      ...[...faults(world), ...troubles(world), ...lossesHere(world)],
      ['add a strange learner', withStranger(world, true)] as const,
    ].find(([title]) => title === line)?.[1] as World
  const list = lists.find((one) => one.words === words)
  if (list) return killed(list.run(world).worlds[Number(at) - 1] as World)
  const verb = verbNamed(words, verbs)
  const worlds: World[] = []
  for (let step: Step = walk(world, verb); step.act && step.next; step = step.next)
    worlds.push(...meanwhile(step.world, step.act), step.next.world)
  const then = worlds[Number(at) - 1] as World
  return killed(verb.noted?.(then) ?? then)
}

for (const [version, ...story] of deadEnds)
  test(`etcd ${version}: ${story.join('; ')}`, () => {
    const world = story.reduce((now, line) => after(now, line), healthy(3, false, version))
    assert.ok(wayOut(world, 2 + 2 * story.length), trail(world).join('\n'))
  })

/** Verbs that once broke a promise there, and may begin or not. */
const promises: [version: string, verb: string, ...story: string[]][] = [
  ['3.7.1', 'downgrade 3.7.1', 'downgrade 3.6.14, killed at 11', 'damage the data of h2, told of nobody'],
  ['3.7.1', 'replace h2', 'downgrade 3.6.14, killed at 10', 'turn h2 off'],
]

for (const [version, words, ...story] of promises)
  test(`etcd ${version}: ${story.join('; ')}; then ${words}`, () => {
    const world = story.reduce((now, line) => after(now, line), healthy(3, false, version))
    assert.not.throws(() => endOf({ world, story, faults: 0, kills: 0 }, verbNamed(words)))
  })

/** Hosts of ours, after h1 or h3, take the place of so many of another tool's. */
const whileJoining: [old: 1 | 3, ...story: string[]][] = [
  [1, 'stop h1'],
  [1, 'adopt, to its end, killed at 23', 'turn h2 off', 'turn h3 off'],
  [1, 'adopt, to its end, killed at 23', 'wipe h2'],
  [1, 'adopt, to its end, killed at 23', 'wipe h2', 'fill the quota of h3'],
  [3, 'lose h1'],
  [3, 'adopt --keep-old, killed at 12', 'lose h1', 'wipe h4'],
  [3, 'adopt --keep-old, killed at 11', 'wipe h4', 'wipe h5'],
  [3, 'adopt --keep-old, killed at 6', 'replace h4, killed at 1'],
  [3, 'fill the quota of h1'],
  [3, 'damage the data of h1, told of h1'],
  [3, 'adopt --keep-old, killed at 12', 'damage the data of h4, told of h4'],
  [3, 'adopt --keep-old, killed at 10', 'replace h4, killed at 5', 'stop h1', 'damage the data of h2, told of h2'],
  [3, 'adopt --keep-old, killed at 10', 'replace h4, killed at 5', 'lose h1', 'damage the data of h2, told of h2'],
]

for (const [old, ...story] of whileJoining)
  for (const strict of [false, true])
    test(`${old} of another tool's: ${story.join('; ')}${strict ? '; etcd before 3.5.30' : ''}`, () => {
      const ours = old === 1 ? 3 : 2
      const { verbs, lists = [] } = ofAdoption(old, ours)
      const start = adopting(old, ours, strict)
      const world = story.reduce((now, line) => after(now, line, [verbs, lists]), start)
      assert.ok(wayOut(world, 2 + 2 * story.length), trail(world).join('\n'))
    })

test('who ends a half-done downgrade leaves none enabled, and needs not be told so by its own verify', () => {
  const story = ['downgrade 3.6.14, killed at 5', 'let the authority expire']
  const world = story.reduce((now, line) => after(now, line), healthy(3, false, '3.7.1'))
  assert.equal([world.upgradingTo, world.downgradingTo], ['3.6.14', '3.6'])
  const { worlds, refused } = rotateCa(world)
  assert.equal([refused, worlds.at(-1)?.downgradingTo], [undefined, undefined])
})

test.run()
