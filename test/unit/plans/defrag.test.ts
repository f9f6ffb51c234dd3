// Which members are worth a defragmentation: rules as they are typed, and what they say of a member.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { defragRules, isWorth, worthOf } from '../../../tasks/plans/defrag.ts'
import { planOf } from '../../../tasks/plans/plan.ts'
import { titleOf } from '../../../tasks/plans/words.ts'
import { healthy, observe } from '../../support/model.ts'

const rules: [text: string, worth: object | undefined][] = [
  ['free 50%', { free: 0.5 }],
  ['free 0%', { free: 0 }],
  ['free 100%', { free: 1 }],
  ['size 100MB', { size: 100e6 }],
  ['size 1.5GiB', { size: 1.5 * 2 ** 30 }],
  ['size 4KB', { size: 4000 }],
  ['free 50%, size 100MB', { free: 0.5, size: 100e6 }],
  ['size 100MiB,free 5%', { free: 0.05, size: 100 * 2 ** 20 }],
  ...['', 'free', '50%', 'free 50', 'free 101%', 'free -1%', 'free 50%,', 'free 50%, free 60%', 'free>50%'].map(
    (text): [string, undefined] => [text, undefined],
  ),
  ...['size 100', 'size 100mb', 'size 1TB', 'size 50%', 'size 0x10MB', 'free 100MB', 'free 50% size 1MB'].map(
    (text): [string, undefined] => [text, undefined],
  ),
]

for (const [text, worth] of rules)
  test(`${JSON.stringify(text)} ${worth ? 'is a rule' : 'is refused'}`, () => assert.equal(worthOf(text), worth))

/** A database of so many MB, of which so many are in use. */
const room = (size: number, inUse: number) => ({ dbSizeBytes: size * 1e6, inUseBytes: inUse * 1e6 })

const judged: [rule: string, size: number, inUse: number, worth: boolean][] = [
  ['free 50%', 100, 50, true],
  ['free 50%', 100, 51, false],
  ['size 100MB', 100, 100, true],
  ['size 100MB', 99, 0, false],
  ['free 50%, size 100MB', 200, 20, true],
  ['free 50%, size 100MB', 200, 120, false],
  ['free 50%, size 100MB', 99, 1, false],
  ['free 0%', 0, 0, true],
  ['free 1%', 0, 0, false],
  ['free 1%', 100, 101, false],
]

for (const [rule, size, inUse, worth] of judged)
  test(`${rule}: ${inUse} of ${size} MB in use ${worth ? 'is' : 'is not'} worth it`, () =>
    assert.is(isWorth(worthOf(rule) ?? {}, room(size, inUse)), worth))

test('only the members that are worth it have a turn; the leader is last, and hands over only for its own turn', () => {
  const seen = observe({ ...healthy(3, false), leader: 'h1' })
  const acts = (only: string[]): string[] => planOf(defragRules(false, only), seen).acts.map(titleOf)
  const turn = (host: string): string => `Defragment ${host}, and wait until it has caught up`
  assert.equal(acts(['h3']), [turn('h3')])
  assert.equal(acts(['h1', 'h3']), [turn('h3'), 'Hand leadership over from h1 to h2', turn('h1')])
  assert.equal(acts([]), [])
})

test.run()
