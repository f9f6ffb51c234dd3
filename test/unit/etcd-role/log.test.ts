// How far a member got, by its write-ahead log. The real module, in Python, on logs as etcd writes them.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../../support/folder.ts'
import { python } from '../../support/python.ts'

const program = `
from ansible.module_utils.etcd_log import progress
print(*progress(sys.argv[1]))`

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

function progress(...files: Buffer[]): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'member/wal'), { recursive: true })
  for (const [index, content] of files.entries())
    writeFileSync(join(folder, `member/wal/000000000000000${index}-0000000000000000.wal`), content)
  return python(program, folder)
}

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

test.run()
