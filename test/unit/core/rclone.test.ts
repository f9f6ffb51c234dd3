// A target as a person names it, and what rclone's words mean: each line here was printed by a real one.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { home } from '../../../tasks/core/environment.ts'
import { UsageError } from '../../../tasks/core/errors.ts'
import { failure, lastWords, progressIn, refuseUnwritable, targetNamed } from '../../../tasks/core/rclone.ts'
import { temporaryFolder } from '../../support/folder.ts'

const logged = (msg: string, level = 'error'): string => JSON.stringify({ level, msg, source: 'walk/walk.go:174' })
const early = (msg: string): string => `2026/11/27 19:40:39 ${msg}`

const said: [words: string, sentence: string, told: string][] = [
  [
    early('Failed to create file system for "s4:x": didn\'t find section in config file'),
    'rclone knows no remote of that name',
    'Failed to create file system for "s4:x": didn\'t find section in config file',
  ],
  [
    `${logged('error listing: SignatureDoesNotMatch: The request signature does not match.\n\tstatus code: 403, id: A')}
${early('Failed to lsjson with 2 errors: last error was: error in ListJSON: SignatureDoesNotMatch: It does not match.')}
\tstatus code: 403, request id: A`,
    'it does not let us in',
    'error in ListJSON: SignatureDoesNotMatch: It does not match.',
  ],
  [
    early('Failed to create file system for "n:x": NewFs: ssh: handshake failed: ssh: unable to authenticate'),
    'it does not let us in',
    'Failed to create file system for "n:x": NewFs: ssh: handshake failed: ssh: unable to authenticate',
  ],
  [
    logged('dial tcp 127.0.0.1:9462: connect: connection refused'),
    'it does not answer',
    'dial tcp 127.0.0.1:9462: connect: connection refused',
  ],
  [
    logged('preallocate: file too big for remaining disk space'),
    'it is full',
    'preallocate: file too big for remaining disk space',
  ],
  [
    logged(
      'RequestTimeTooSkewed: The difference between the request time and the current time is too large.\n\tcode: 403',
    ),
    "it does not accept this machine's clock",
    'RequestTimeTooSkewed: The difference between the request time and the current time is too large.',
  ],
  [
    logged('error in ListJSON: InvalidBucketName: The specified bucket is not valid.'),
    'that is not there',
    'error in ListJSON: InvalidBucketName: The specified bucket is not valid.',
  ],
  [logged('mkdir /mnt/x: permission denied'), 'this user may not write there', 'mkdir /mnt/x: permission denied'],
  [logged('mkdir /mnt/x: read-only file system'), 'it is read-only', 'mkdir /mnt/x: read-only file system'],
  [logged('something new'), 'rclone failed', 'something new'],
]

for (const [words, sentence, told] of said)
  test(`of these words: ${sentence}`, () => {
    const error = failure('nas:etcd', `${logged('Config file not found', 'warning')}\n${words}\n`)
    assert.is(error.message, `The target nas:etcd: ${sentence}.`)
    assert.is(error.more.output, told)
    assert.not.match(error.more.hint ?? '', 'TARGET')
    assert.is(error instanceof UsageError, sentence.includes('no remote of that name'))
  })

test('warnings and lines that go on are no complaint', () => {
  assert.is(lastWords(`${logged('no config', 'warning')}\n\tstatus code: 400\n`), '')
})

test('how far a copy is', () => {
  const line = '{"level":"warning","msg":"x","stats":{"bytes":1077248,"checks":0,"totalBytes":3000000,"transfers":0}}'
  assert.is(progressIn(line), '1.0 MiB of 2.9 MiB')
  assert.is(progressIn('{"stats":{"bytes":0,"totalBytes":0}}'), undefined)
  assert.is(progressIn(logged('x')), undefined)
})

test('a folder becomes an absolute path, and must be there; what rclone knows stays as it is', () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'nas'))
  writeFileSync(join(folder, 'file'), '')
  assert.is(targetNamed(`${join(folder, 'nas')}/`), join(folder, 'nas'))
  assert.is(targetNamed('test'), join(process.cwd(), 'test'))
  for (const remote of ['nas:', 'nas:etcd', 's3:bucket/a/b', ':sftp,host=h,key_file=/k:x'])
    assert.is(targetNamed(remote), remote)
  assert.is(targetNamed('nas:etcd/'), 'nas:etcd')
  for (const ours of ['.cluster', 'certs', 'certs/x'])
    assert.throws(() => targetNamed(join(home(), ours)), /one of ha-etcd's own folders/)
  assert.throws(() => targetNamed(join(folder, 'mnt')), /^The target \S+mnt is not there\.$/)
  assert.throws(() => targetNamed(join(folder, 'file')), /is no folder\.$/)
})

test('a folder that takes no files is refused before anything takes time; of others only a try shows it', () => {
  const folder = temporaryFolder()
  refuseUnwritable(folder, 'blue')
  refuseUnwritable('nas:etcd', 'blue')
  writeFileSync(join(folder, 'blue'), '', { mode: 0o600 })
  assert.throws(() => refuseUnwritable(folder, 'blue'), /^The target \S+: this user may not write there\.$/)
})

test('a secret in a connection string is refused, and not told back', () => {
  for (const target of [
    ':s3,secret_access_key=hidden:b',
    ':sftp,host=h,pass=hidden:x',
    'nas,token=hidden:x',
    ':s3,access_key_id=hidden:b',
  ])
    assert.throws(
      () => targetNamed(target),
      (error: Error) => error instanceof UsageError && !error.message.includes('hidden'),
    )
})

test.run()
