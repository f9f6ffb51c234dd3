// Whose clock is off, by what the others say.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { day } from '../../../tasks/core/x509.ts'
import { judgeClocks, requireRightClock } from '../../../tasks/etcd/clocks.ts'
import { ensureCertificates } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'
import { temporaryFolder } from '../../support/folder.ts'

const minute = 60_000
const judge = (...ahead: number[]) =>
  judgeClocks(ahead.map((ms, index) => ({ host: `master0${index + 1}`, ahead: ms })))
const refusal = (...ahead: number[]): string | undefined => judge(...ahead).refusal?.message

test('where the others agree this machine is off, whichever way', () => {
  assert.is(
    refusal(400 * day, 400 * day, 400 * day),
    "This machine's clock is 400 days ahead of master01, master02 and master03: nothing was issued.",
  )
  assert.is(
    refusal(-400 * day, -400 * day),
    "This machine's clock is 400 days behind master01 and master02: nothing was issued.",
  )
  assert.match(judge(day, day).refusal?.more.hint ?? '', /^Set it right \(timedatectl, chrony\), then run the same/)
})

test('as far as certificates are backdated nobody minds', () => {
  assert.equal(judge(4.9 * minute, -4.9 * minute, 0), { warnings: [] })
  assert.match(refusal(5.1 * minute, 5.1 * minute) ?? '', 'is 5 minutes ahead of master01 and master02:')
  assert.match(refusal(-5.1 * minute, -5.1 * minute) ?? '', 'is 5 minutes behind master01 and master02:')
})

test('a host that is off beside others that agree with this machine is named, and stops nothing', () => {
  const { refusal, warnings } = judge(0, -2 * day, 100)
  assert.is(refusal, undefined)
  assert.equal(warnings, [
    "This machine's clock is 2 days behind master02, and right by the others: master02 may refuse new " +
      'certificates. Set its clock right (timedatectl, chrony).',
  ])
})

test('most of the others decide, though they do not agree among themselves', () => {
  assert.is(
    refusal(400 * day, -3 * day, 0),
    "This machine's clock is 400 days ahead of master01 and 3 days behind master02: nothing was issued.",
  )
})

test('of two clocks nobody knows which one is off', () => {
  const { refusal } = judge(day * 3)
  assert.is(refusal?.message, "This machine's clock is 3 days ahead of master01: nothing was issued.")
  assert.match(refusal?.more.hint ?? '', /^Set the one of the two that is wrong right/)
})

test('where nobody answers there is nothing to compare', async () => {
  assert.equal(judge(), { warnings: [] })
  await requireRightClock(testCluster())
})

test('over ssh hosts are asked where no member answers, so that no authority is made by a wrong clock', async () => {
  const cluster = testCluster({ provider: 'ssh' })
  const programs = temporaryFolder()
  mkdirSync(dirname(cluster.paths.sshConfig), { recursive: true })
  writeFileSync(cluster.paths.sshConfig, '')
  writeFileSync(join(programs, 'ssh'), `#!/bin/sh\necho $(($(date +%s) - 400 * 86400))\n`, { mode: 0o755 })
  const path = process.env.PATH
  process.env.PATH = `${programs}${delimiter}${path}`
  try {
    const failure = (await ensureCertificates(cluster).catch((error: unknown) => error)) as Error
    assert.is(
      failure.message,
      "This machine's clock is 400 days ahead of master01, master02 and master03: nothing was issued.",
    )
    assert.not.ok(existsSync(cluster.paths.certs))
    writeFileSync(join(programs, 'ssh'), '#!/bin/sh\nexit 255\n', { mode: 0o755 })
    assert.ok((await ensureCertificates(cluster)).authority.created, 'who cannot be asked stops nothing')
  } finally {
    process.env.PATH = path
  }
})

test.run()
