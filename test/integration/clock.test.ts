// A machine whose clock is far off issues nothing: it asks the members' clocks, which are right, before.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findProgram } from '../../tasks/core/programs.ts'
import { memberPids } from '../support/load.ts'
import { snapshotOf, testHome } from '../support/verbs.ts'

const home = testHome()
const certs = join(home.path, 'certs/etcd-cluster-1')
const faketime = findProgram('faketime')
if (!faketime) console.log('faketime is missing: a wrong clock of this machine is not tested.')
const withFaketime = faketime ? test : test.skip

/** What every member serves, as `certs` sees it with the right clock. */
async function served(): Promise<unknown> {
  const { stdout } = await home.verb('certs', '--json')
  return (JSON.parse(stdout) as { certificates: object[] }).certificates
}

test.before(async () => {
  if (!faketime) return
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
})

for (const [offset, words] of [
  ['+400d', 'ahead of'],
  ['-400d', 'behind'],
] as const) {
  const off = `400 days ${words} master01, master02 and master03`
  const sentence = `Error: This machine's clock is ${off}: nothing was issued.\n`
  const refused = async (script: string, ...flags: string[]): Promise<void> => {
    const before = [snapshotOf(certs), await served(), memberPids(home)]
    const { exitCode, stderr } = await home.at(offset, script, ...flags)
    assert.equal([snapshotOf(certs), await served(), memberPids(home)], before)
    assert.match(stderr, sentence)
    assert.match(stderr, 'Set it right (timedatectl, chrony), then run the same command again.')
    assert.is(exitCode, 1)
  }

  withFaketime(`${offset}: rotate-certs --all changes no file, and every member serves what it served`, () =>
    refused('rotate-certs', '--all', '--yes'),
  )

  withFaketime(`${offset}: its plan says the same`, () => refused('rotate-certs', '--all', '--plan'))

  withFaketime(
    `${offset}: up issues nothing, though a certificate is due; members are asked without the client's, too`,
    async () => {
      const path = join(certs, 'etcd-client.crt')
      const content = readFileSync(path)
      rmSync(path)
      try {
        await refused('up', '--yes')
      } finally {
        writeFileSync(path, content)
      }
    },
  )
}

withFaketime('+400d: rotate-ca makes no authority', async () => {
  const before = snapshotOf(certs)
  const { exitCode, stderr } = await home.at('+400d', 'rotate-ca', '--yes')
  assert.match(stderr, "Error: This machine's clock is 400 days ahead of master01, master02 and master03")
  assert.is(exitCode, 1)
  assert.equal(snapshotOf(certs), before)
})

withFaketime('with the right clock the same goes through', async () => {
  const { exitCode, stderr } = await home.verb('rotate-certs', '--all', '--yes')
  assert.is(exitCode, 0, stderr)
})

test.after(() => home.downAll())
test.run()
