// Files are there whole or not at all, and an unchanged file is not touched.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { readFileIfThere, writeFileAtomic, writeFileIfChanged } from '../../../tasks/core/files.ts'

const test = suite<{ folder: string }>('files')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'files-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const modeOf = (path: string): number => statSync(path).mode & 0o777

test('a file is written with its mode, and the missing folders above it are private', ({ folder }) => {
  const path = join(folder, 'a/b/key')
  writeFileAtomic(path, 'secret', 0o600)
  assert.is(readFileSync(path, 'utf8'), 'secret')
  assert.is(modeOf(path), 0o600)
  assert.is(modeOf(join(folder, 'a/b')), 0o700)
  assert.equal(readdirSync(join(folder, 'a/b')), ['key'])
})

test('bytes are written as they are', ({ folder }) => {
  writeFileAtomic(join(folder, 'bytes'), new Uint8Array([0, 255, 10]), 0o644)
  assert.equal([...readFileSync(join(folder, 'bytes'))], [0, 255, 10])
})

test('replacing a file gives it the new mode even when the old one was wider', ({ folder }) => {
  const path = join(folder, 'key')
  writeFileSync(path, 'old', { mode: 0o644 })
  writeFileAtomic(path, 'new', 0o600)
  assert.is(modeOf(path), 0o600)
})

test('a failed write leaves the old file and no temporary one', ({ folder }) => {
  mkdirSync(join(folder, 'taken/by-a-folder'), { recursive: true })
  assert.throws(() => writeFileAtomic(join(folder, 'taken'), 'text', 0o600))
  assert.equal(readdirSync(folder), ['taken'])
})

test('an unchanged file is not touched', ({ folder }) => {
  const path = join(folder, 'same')
  assert.is(writeFileIfChanged(path, 'text', 0o600), true)
  const before = statSync(path)
  assert.is(writeFileIfChanged(path, 'text', 0o600), false)
  assert.is(statSync(path).ino, before.ino)
  assert.is(statSync(path).mtimeMs, before.mtimeMs)
})

test('a file whose content or mode differs is written again', ({ folder }) => {
  const path = join(folder, 'same')
  writeFileIfChanged(path, 'text', 0o600)
  assert.is(writeFileIfChanged(path, 'other', 0o600), true)
  chmodSync(path, 0o644)
  assert.is(writeFileIfChanged(path, 'other', 0o600), true)
  assert.is(modeOf(path), 0o600)
})

test('a missing file reads as undefined; any other failure is thrown', ({ folder }) => {
  assert.is(readFileIfThere(join(folder, 'none')), undefined)
  const named = ({ code, path }: NodeJS.ErrnoException): boolean => code === 'EISDIR' && path === folder
  assert.throws(() => readFileIfThere(folder), named)
})

test.run()
