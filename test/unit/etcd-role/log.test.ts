// How far a member got, by its write-ahead log. The real module, in Python, on logs as etcd writes them.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../../support/folder.ts'
import { python } from '../../support/python.ts'

const program = `
from ansible.module_utils.etcd_log import progress
found = progress(sys.argv[1])
print(found["commit"], found["last"])`

/** Numbers of protobuf, seven bits a byte. */
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]

/** A record: its length and padding in eight bytes, its type, checksum and content, and the padding. */
function record(type: number, content: number[]): Buffer {
  const body = Buffer.from([
    8,
    ...varint(type),
    16,
    ...varint(4_000_000_000),
    26,
    ...varint(content.length),
    ...content,
  ])
  const padding = (8 - (body.length % 8)) % 8
  const head = Buffer.alloc(8)
  head.writeUInt32LE(body.length)
  if (padding > 0) head[7] = 0x80 | padding
  return Buffer.concat([head, body, Buffer.alloc(padding)])
}

const entry = (index: number): Buffer => record(2, [8, 0, 16, 2, 24, ...varint(index), 34, 3, 1, 2, 3])
const state = (commit: number): Buffer => record(3, [8, 2, 16, ...varint(2 ** 45), 24, ...varint(commit)])
const metadata = record(1, [8, 1])

function logOf(...files: Buffer[]): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'member/wal'), { recursive: true })
  for (const [index, content] of files.entries())
    writeFileSync(join(folder, `member/wal/000000000000000${index}-0000000000000000.wal`), content)
  return folder
}

const progress = (...files: Buffer[]): string => python(program, logOf(...files))

test('the last state and the last entry count, up to the zeros that the file was made with', () => {
  assert.is(
    progress(Buffer.concat([metadata, state(3), entry(4), entry(300), state(299), Buffer.alloc(1000)])),
    '299 300',
  )
})

test('an entry that another leader overruled is not the last one', () => {
  assert.is(progress(Buffer.concat([metadata, state(3), entry(4), entry(5), entry(4), Buffer.alloc(64)])), '3 4')
})

test('a log that was torn in the middle of a record counts up to there', () => {
  const whole = Buffer.concat([metadata, state(3), entry(4), state(4)])
  for (const cut of [10, 20]) assert.is(progress(whole.subarray(0, -cut)), '3 4', `${cut} bytes short`)
})

test('the newest file counts; where it says nothing yet, the one before', () => {
  assert.is(
    progress(Buffer.concat([metadata, state(3), entry(4)]), Buffer.concat([metadata, state(9), entry(10)])),
    '9 10',
  )
  assert.is(progress(Buffer.concat([metadata, state(3), entry(4)]), Buffer.alloc(64)), '3 4')
  assert.is(progress(), '0 0')
})

/** A field of protobuf that holds bytes. */
const bytes = (number: number, content: number[]): number[] => [number * 8 + 2, ...varint(content.length), ...content]
const text = (words: string): number[] => [...Buffer.from(words)]
/** A request to the v2 store, as 3.5 writes it, and an entry that holds it. */
const request = (method: string, path: string): number[] => [8, 7, ...bytes(2, text(method)), ...bytes(3, text(path))]
const entryOf = (index: number, data: number[]): Buffer =>
  record(2, [8, 0, 16, 2, 24, ...varint(index), ...bytes(4, data)])
const snapshotNote = (index: number): Buffer => record(5, [8, ...varint(index), 16, 2])
const put = [8, 7, ...bytes(4, [...bytes(1, text('PUT')), ...bytes(2, text('/0/version'))])] // of the v3 store
const ofCluster = request('PUT', '/0/members/8e9e05c52164694d/attributes')

/** A member's data; `snapshots`: each one's v2 store by its raft index. */
function dataOf(log: Buffer, snapshots: Record<number, object> = {}): string {
  const folder = temporaryFolder()
  for (const name of ['wal', 'snap']) mkdirSync(join(folder, 'member', name), { recursive: true })
  writeFileSync(join(folder, 'member/wal/0000000000000000-0000000000000000.wal'), log)
  for (const [index, children] of Object.entries(snapshots)) {
    const store = JSON.stringify({ Root: { Path: '/', Children: children } })
    const name = `0000000000000002-${Number(index).toString(16).padStart(16, '0')}.snap`
    writeFileSync(join(folder, 'member/snap', name), Buffer.from([8, 1, ...bytes(2, bytes(1, text(store)))]))
  }
  return folder
}

/** What stands in the way of 3.6 and 3.7. */
function oldRequests(log: Buffer, snapshots: Record<number, object> = {}): [string, string] {
  const found = JSON.parse(
    python(
      'import json\nfrom ansible.module_utils.etcd_log import ' +
        'old_requests\nprint(json.dumps(old_requests(sys.argv[1])))',
      dataOf(log, snapshots),
    ),
  )
  return [found.before_3_6, found.before_3_7]
}

test("requests of 3.5 about the cluster itself stand in the way of 3.7 only, a person's own of 3.6 too", () => {
  assert.equal(oldRequests(Buffer.concat([metadata, entryOf(1, put), entryOf(2, [])])), ['', ''])
  const [before36, before37] = oldRequests(Buffer.concat([metadata, entryOf(1, ofCluster), entryOf(2, put)]))
  assert.is(before36, '')
  assert.match(before37, 'requests of etcd 3.5')
  for (const mine of [
    request('PUT', '/1/greeting'),
    request('DELETE', '/0/version'),
    [8, 7, ...bytes(2, request('PUT', '/1/x'))],
  ])
    assert.match(oldRequests(Buffer.concat([metadata, entryOf(1, mine)]))[0], 'requests to the v2 store')
})

test('a snapshot that the log knows of covers what came before it, and nothing else does', () => {
  const log = [metadata, entryOf(1, ofCluster), entryOf(2, put), snapshotNote(2), entryOf(3, put)]
  const empty = { '0': { Children: { version: {} } }, '1': { Children: {} } }
  assert.equal(oldRequests(Buffer.concat(log), { 2: empty }), ['', ''])
  assert.is.not(oldRequests(Buffer.concat(log))[1], '', 'its file is gone')
  assert.is.not(oldRequests(Buffer.concat(log), { 3: empty })[1], '', 'the log does not know it')
  assert.is.not(oldRequests(Buffer.concat([...log, entryOf(4, ofCluster)]), { 2: empty })[1], '', 'one came after it')
})

test("keys in a snapshot's v2 store stand in the way, the empty folders of its former users do not", () => {
  const log = Buffer.concat([metadata, snapshotNote(2)])
  assert.match(oldRequests(log, { 2: { '1': { Children: { greeting: { Value: 'hello' } } } } })[0], 'holds keys')
  const users = (children: object): object => ({
    '2': { Children: { enabled: {}, roles: {}, users: { Children: children } } },
  })
  assert.is(oldRequests(log, { 2: users({}) })[0], '')
  assert.match(oldRequests(log, { 2: users({ root: {} }) })[0], 'holds keys')
})

/** Changes of membership: what is done (0 adds, 1 removes), and to which member. */
const changeOf = (index: number, what: number, member: bigint): Buffer => {
  const change = [8, 9, 16, what, 24, ...bigVarint(member), 34, 1, 0]
  return record(2, [8, 1, 16, 2, 24, ...varint(index), ...bytes(4, change)])
}
const bigVarint = (value: bigint): number[] =>
  value < 128n ? [Number(value)] : [Number(value & 127n) + 128, ...bigVarint(value >> 7n)]

/** The member, and whose removals its log tells of. */
function membership(...records: Buffer[]): [string, string[]] {
  const program =
    'import json\nfrom ansible.module_utils.etcd_log import progress\n' + 'print(json.dumps(progress(sys.argv[1])))'
  const { member, removed } = JSON.parse(python(program, logOf(Buffer.concat(records))))
  return [member, removed]
}

test('a log says whose it is, and which removals of members are committed', () => {
  const own = 0x8e9e05c52164694dn
  const mine = record(1, [8, ...bigVarint(own), 16, 3])
  assert.equal(membership(mine, changeOf(3, 0, 7n), changeOf(4, 1, own), state(4)), [
    '8e9e05c52164694d',
    [own.toString(16)],
  ])
  assert.equal(membership(mine, changeOf(4, 1, own), state(3)), ['8e9e05c52164694d', []], 'not committed')
  assert.equal(membership(mine, changeOf(4, 1, 7n), entry(4), state(4))[1], [], 'another leader overruled it')
  assert.equal(membership(mine, changeOf(4, 1, 7n), changeOf(5, 1, 8n), state(5))[1], ['7', '8'])
})

test('what a start would bring is judged by its minor version, and by the one that runs already', () => {
  const quiet = dataOf(Buffer.concat([metadata, entryOf(1, ofCluster), entryOf(2, put)]))
  const mine = dataOf(Buffer.concat([metadata, entryOf(1, request('PUT', '/1/greeting'))]))
  const unreadable = (folder: string, version: string, running = ''): string =>
    python(
      'from ansible.module_utils.etcd_log import unreadable\nprint(" ".join(unreadable(*sys.argv[1:]).values()))',
      folder,
      version,
      running,
    )
  assert.match(unreadable(quiet, '3.7.1', '3.6.14'), /requests of etcd 3\.5.*Run this role with etcd 3\.6/)
  assert.match(unreadable(quiet, '3.7.1'), 'requests of etcd 3.5')
  for (const [version, running] of [
    ['3.7.3', '3.7.1'],
    ['3.6.14', '3.5.33'],
    ['3.5.33', '3.4.23'],
    ['', '3.6.14'],
  ] as const)
    assert.is(unreadable(quiet, version, running), '', `${version} after ${running}`)
  assert.match(unreadable(mine, '3.6.14', '3.5.33'), /requests to the v2 store.*restore a snapshot/)
})

test.run()
