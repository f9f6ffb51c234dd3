// How far a change of the authority has come, what is left of it, and when members must start again at once.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { codeOfLostKey, keyOfIssuer, stageOf, withNext } from '../../../tasks/etcd/authority-stages.ts'
import { marksOf, mustStartAtOnce, openFrom, votersNeeded } from '../../../tasks/operations/authority-rules.ts'

const forward = [marksOf.trust, marksOf.issue, marksOf.leave]
const papers = {
  made: { trusted: ['a'], hasNextKey: true },
  trusted: { trusted: ['a', 'b'], hasNextKey: true },
  issuing: { trusted: ['a', 'b'], old: 'a', hasNextKey: true },
  leaving: { trusted: ['b'], old: 'a', hasNextKey: true },
}

test('the files say the stage', () => {
  for (const [stage, files] of Object.entries(papers)) assert.is(stageOf(files), stage)
  assert.is(stageOf({ trusted: ['a', 'b'], hasNextKey: false }), undefined)
})

test('the next key issues once there is an old authority, as long as it has that name', () => {
  assert.equal(Object.values(papers).map(keyOfIssuer), ['ca.key', 'ca.key', 'next-ca.key', 'next-ca.key'])
  assert.is(keyOfIssuer({ old: 'a', hasNextKey: false }), 'ca.key')
})

test('whatever was trusted stays trusted', () => {
  assert.equal(
    withNext(['a', 'b'], ['a'], 'c', (one) => one),
    ['a', 'c', 'b'],
  )
})

test('a step whose proof fails is done again; one that is over is not, and the last one always is', () => {
  const open = (...[stage, proven]: [keyof typeof papers | undefined, boolean]): string[] =>
    openFrom(forward, stage, proven).map(({ makes }) => makes)
  assert.equal(open(undefined, false), ['trusted', 'issuing', 'leaving'])
  assert.equal(open('trusted', false), ['trusted', 'issuing', 'leaving'])
  assert.equal(open('trusted', true), ['issuing', 'leaving'])
  assert.equal(open('issuing', false), ['issuing', 'leaving'])
  assert.equal(open('leaving', true), ['leaving'])
})

test('where the key of the next authority is lost the way back is named, as long as there is one', () => {
  const old = { hasExpired: false, hasKey: true }
  const named = (files: (typeof papers)['made' | 'issuing'], whose: string, left = old): string =>
    codeOfLostKey({ ...files, hasNextKey: 'old' in files ? false : files.hasNextKey }, whose, left)
  assert.is(named(papers.trusted, 'b'), 'no-next-authority-key')
  assert.is(named(papers.trusted, 'a'), 'no-authority-key')
  assert.is(named(papers.issuing, 'b'), 'no-next-authority-key')
  assert.is(named(papers.issuing, 'a'), 'no-authority-key')
  assert.is(named(papers.issuing, 'b', { ...old, hasKey: false }), 'no-authority-key')
  assert.is(named(papers.issuing, 'b', { ...old, hasExpired: true }), 'no-authority-key')
  assert.is(named(papers.leaving, 'b'), 'no-authority-key')
})

test('members that refuse the certificates here start again at once where there is no way back', () => {
  const standing = { expired: false, begun: true, lacksKey: false }
  assert.equal([votersNeeded(standing, 3), votersNeeded({ ...standing, begun: false }, 3)], [1, 0])
  assert.equal([mustStartAtOnce(standing, 1, 1, 0), mustStartAtOnce(standing, 1, 1, 2)], [false, true])
  assert.is(mustStartAtOnce({ ...standing, begun: false }, 0, 1, 2), false)
})

test.run()
