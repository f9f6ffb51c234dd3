// A verb over many clusters: who begins, who never does, what is left out the next time, and which verbs go at all.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../../tasks/core/environment.ts'
import {
  canaryOf,
  counts,
  doneBefore,
  type Noted,
  notedWith,
  type Round,
  rememberedMs,
  type Stage,
  verbsOverMany,
  whoBegins,
  whyOnlyOne,
} from '../../../tasks/plans/fleet.ts'

/** One letter for each cluster: waits, at work (a), done, failed. */
function roundOf(letters: string, more: Partial<Round> = {}): Round {
  const stage = (letter: string): Stage =>
    letter === 'a' ? 'at work' : (({ w: 'waits', d: 'done' } as const)[letter] ?? 'failed')
  const stages = Object.fromEntries([...letters].map((letter, at) => [`c${at + 1}`, stage(letter)]))
  return { stages, canary: 'c1', parallel: 2, stops: true, ...more }
}
const begins = (letters: string, more?: Partial<Round>): string => whoBegins(roundOf(letters, more)).join(' ')

test('the canary begins alone, and while it is at work nobody else does', () => {
  assert.is(begins('wwww'), 'c1')
  assert.is(begins('wwww', { canary: 'c3' }), 'c3')
  assert.is(begins('awww'), '')
})

test('after the canary as many are at work as were asked for, and no more', () => {
  assert.is(begins('dwww'), 'c2 c3')
  assert.is(begins('daww'), 'c3')
  assert.is(begins('daaw'), '')
  assert.is(begins('dadw'), 'c4')
  assert.is(begins('dwww', { parallel: 1 }), 'c2')
})

test('a failure of the canary, or of any other, keeps all from beginning that have not begun', () => {
  assert.is(begins('fwww'), '')
  assert.is(begins('dfaw'), '')
})

test('where nothing is changed there is no canary, and no failure keeps anybody from beginning', () => {
  assert.is(begins('wwww', { canary: undefined, stops: false }), 'c1 c2')
  assert.is(begins('fwaw', { canary: undefined, stops: false }), 'c2')
})

test('the canary is the one asked for; where that is done already, the first that is left', () => {
  assert.is(canaryOf(['a', 'b'], 'b'), 'b')
  assert.is(canaryOf(['a', 'b'], 'c'), 'a')
  assert.is(canaryOf(['a', 'b'], undefined), 'a')
})

const now = Date.parse('2026-11-27T12:00:00Z')
const lives = { a: '1', b: '2', c: '' }
const noted = (done: Record<string, string>, asked = ['a', 'b', 'c']): Noted => ({
  at: new Date(now).toISOString(),
  asked,
  done,
})

test('what is done is left out the next time, but not a cluster that was made again since', () => {
  assert.equal(doneBefore(noted({ a: '1', c: '' }), lives), ['a', 'c'])
  assert.equal(doneBefore(noted({ a: '0' }), lives), [])
  assert.equal(doneBefore(noted({ a: '1' }), { b: '2' }), [])
  assert.equal(doneBefore(undefined, lives), [])
})

test('each that is done is noted, and once all of them are nothing is remembered', () => {
  const asked = ['a', 'b', 'c']
  const first = notedWith(undefined, 'a', { asked, lives }, now)
  assert.equal(first, noted({ a: '1' }))
  const second = notedWith(first, 'c', { asked: ['c'], lives }, now)
  assert.equal(second, noted({ a: '1', c: '' }))
  assert.is(notedWith(second, 'b', { asked: ['b'], lives }, now), undefined)
  assert.is(notedWith(undefined, 'a', { asked: ['a'], lives }, now), undefined)
})

test('a cluster that is gone is waited for by nobody, done or not', () => {
  const there = { asked: ['b'], lives: { a: '1', b: '2' } }
  assert.is(notedWith(noted({ a: '1' }), 'b', there, now), undefined)
  assert.is(notedWith(noted({ a: '1', c: '3' }), 'b', there, now), undefined)
})

test('what was noted counts for a day, and not where the clock was wrong', () => {
  assert.is(counts(noted({}), now + rememberedMs - 1), true)
  assert.is(counts(noted({}), now + rememberedMs), false)
  assert.is(counts(noted({}), now - 1), false)
  assert.is(counts({ ...noted({}), at: 'then' }, now), false)
})

test('of each verb it is said whether it goes over many clusters, and why not', () => {
  const verbs = readdirSync(join(projectFolder, 'tasks/verbs')).map((name) => name.replace('.ts', ''))
  const undecided = verbs.filter((name) => name !== 'status' && whyOnlyOne(name) === '')
  assert.equal(undecided, [])
  assert.equal(
    verbsOverMany().filter((name) => !verbs.includes(name)),
    [],
  )
  assert.is(whyOnlyOne('nonsense'), '')
  for (const name of ['down', 'restore', 'recover', 'adopt', 'load', 'rotate-ca', 'scale'])
    assert.match(whyOnlyOne(name) ?? '', /^[A-Z].*[^.]$/, name)
})

test('pack goes over many clusters, but not into one file', () => {
  assert.is(whyOnlyOne('pack', []), undefined)
  assert.match(whyOnlyOne('pack', ['all.age']) ?? '', 'leave FILE out')
})

test.run()
