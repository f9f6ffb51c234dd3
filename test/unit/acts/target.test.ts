// What is called a backup at a target, and which one is the newest.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { heldIn, type Note, newestOf, timeOfName } from '../../../tasks/acts/target.ts'

const sum = (sizeBytes: number) => ({ sizeBytes, sha256: 'a' })
const note: Note = {
  format: 1,
  cluster: 'c',
  life: 'one',
  time: '2026-01-02T00:00:00.000Z',
  etcdVersion: '3.6.14',
  revision: 5,
  hashKV: 1,
  compactRevision: -1,
  sha256: 'b',
  keys: 2,
  sizeBytes: 20,
  recipients: ['age1x'],
  snapshot: sum(30),
  pack: sum(40),
}
const name = '2026-01-02T00-00-00Z'
const files = (snapshot: number | undefined, pack: number | undefined, at = name) =>
  Object.entries({ snapshot, pack }).flatMap(([part, sizeBytes]) =>
    sizeBytes === undefined ? [] : [{ name: `${at}.${part}.age`, sizeBytes }],
  )
const held = (entries: { name: string; sizeBytes: number }[], text?: string) =>
  heldIn(entries, new Map(text === undefined ? [] : [[`${name}.json`, text]]))

test('both files, as large as the note says, and the note: a backup', () => {
  assert.equal(held(files(30, 40), JSON.stringify(note)), { kept: [{ name, note }], wrong: [], strays: [] })
})

test('without its note it is none, however whole: it was cut off, or is under way', () => {
  assert.equal(held(files(30, 40)), { kept: [], wrong: [], strays: [`${name}.snapshot.age`, `${name}.pack.age`] })
  const half = [{ name: `${name}.snapshot.age.1a2b.partial`, sizeBytes: 3 }]
  assert.equal(held(half).strays, [`${name}.snapshot.age.1a2b.partial`])
})

test('with a file that is missing or shorter, or a note that says nothing, it is none; why is said', () => {
  const lacks = (part: string): string => `${name}.${part}.age is not there, or not as large as ${name}.json says`
  for (const [entries, text, why] of [
    [files(29, 40), JSON.stringify(note), lacks('snapshot')],
    [files(30, undefined), JSON.stringify(note), lacks('pack')],
    [files(30, 40), '{"format":', `${name}.json is damaged`],
    [files(30, 40), JSON.stringify({ ...note, format: 2 }), `${name}.json is damaged`],
    [files(30, 40), JSON.stringify({ ...note, revision: 'x' }), `${name}.json is damaged`],
  ] as const)
    assert.equal(held([...entries], text), { kept: [], wrong: [why], strays: [] })
})

test("somebody else's files are nobody's backup, and no stray of ours", () => {
  assert.equal(
    held([
      { name: 'README.age', sizeBytes: 1 },
      { name: 'x.json.age', sizeBytes: 1 },
    ]).strays,
    [],
  )
})

test('the newest is the furthest of the life that was backed up last', () => {
  const kept = (life: string, revision: number, day: number) => {
    const time = `2026-01-0${day}T00:00:00.000Z`
    return { name: `${life}/${revision}@${day}`, note: { ...note, life, revision, time } }
  }
  const newest = (...all: ReturnType<typeof kept>[]) => newestOf(all)?.name
  assert.is(newest(kept('a', 5, 1), kept('a', 9, 2)), 'a/9@2')
  assert.is(newest(kept('a', 900, 1), kept('b', 9, 2)), 'b/9@2')
  assert.is(newest(kept('a', 5, 3), kept('a', 9, 2)), 'a/9@2')
  assert.is(newest(), undefined)
  const two = [kept('mine', 5, 1), kept('mine', 7, 2), kept('others', 900, 9)]
  assert.is(newestOf(two, 'mine')?.name, 'mine/7@2')
  assert.is(newestOf(two, 'unheard')?.name, 'others/900@9')
})

test('a name says when', () => {
  assert.is(timeOfName(`${name}.json`), Date.parse('2026-01-02T00:00:00Z'))
  assert.is(timeOfName('x.json'), undefined)
})

test.run()
