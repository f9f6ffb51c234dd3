// A fire drill on a cluster of its own: killed in its middle, the next one heals what it left, and goes to its end.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { killedAt, testHome } from '../support/verbs.ts'

const home = testHome()
const page = join(home.path, 'report.html')

test('killed while a disk is lost, the next drill heals that, holds, and leaves nothing but its report', async () => {
  await killedAt(home, 'deleted its data', 'drill', '--only', 'data')
  const left = JSON.parse(readFileSync(join(home.path, '.cluster/drill/drill.json'), 'utf8'))
  assert.is(left.heal[0], 'replace')
  const { exitCode, stdout, stderr } = await home.verb(
    'drill',
    '--only',
    'slow-disk,certificate',
    '--report',
    page,
    '--json',
  )
  assert.is(exitCode, 0, stderr)
  const report = JSON.parse(stdout)
  assert.equal(report.broken, [])
  const slow = report.leftOut.length === 0 ? [['a disk is slow', 0, 0, 'itself']] : []
  assert.equal(
    report.results.map(({ name, lost, failed, healedBy }: Row) => [name, lost, failed, healedBy]),
    [...slow, ['a certificate expires', 0, 0, 'up']],
  )
  console.log(`measured: ${JSON.stringify(report.results)}, left out: ${report.leftOut.join()}`)
  assert.match(readFileSync(page, 'utf8'), 'drill held:')
  assert.not(existsSync(join(home.path, '.cluster/drill')))
  assert.not(existsSync(join(home.path, 'certs/drill')))
})

interface Row {
  name: string
  lost: number
  failed: number
  healedBy: string
}

test.after(() => home.downAll())

test.run()
