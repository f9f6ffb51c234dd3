// What a fire drill refuses and plans; and on a cluster that loses acknowledged writes it fails. One that is killed in
// its middle: test/long/drill.test.ts.
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { saidBy, testHome } from '../support/verbs.ts'

const home = testHome()
const known = 'member, leader, freeze, cut, cut-leader, slow, slow-disk, full, data, certificate, clock, verb, all'
const page = join(home.path, 'report.html')

test.after(() => home.downAll())

test('what cannot be drilled is refused; a plan names what would be done, and what is left out', async () => {
  const { exitCode, stderr } = await home.verb('drill', '--only', 'meteor')
  assert.equal([exitCode, stderr.split('\n')[0]], [2, `Error: There is no fault meteor. Valid: ${known}.`])
  const unwritable = await home.verb('drill', '--report', join(home.path, 'nowhere/x.html'))
  assert.match(unwritable.stderr, 'there is no folder')
  assert.match((await home.verb('drill', '--cluster', 'nosuch', '--yes')).stderr, 'There is no cluster nosuch here')
  mkdirSync(join(home.path, 'certs/drill'), { recursive: true })
  assert.match((await home.verb('drill')).stderr, 'A cluster drill is here already')
  rmSync(join(home.path, 'certs/drill'), { recursive: true })
  const { stdout } = await home.verb('drill', '--plan')
  assert.match(stdout, /1\. a member dies[\s\S]*Left out:[\s\S]*a clock is off/)
  assert.match(stdout, "a member is cut off: the hosts share this machine's network")
  assert.match(stdout, "a clock is off: the hosts share this machine's clock")
  const { exitCode: nothing, stderr: why } = await home.verb('drill', '--only', 'cut,slow')
  assert.equal(
    [nothing, why.split('\n')[0]],
    [2, "Error: Nothing can be drilled here. A member is cut off: the hosts share this machine's network."],
  )
  assert.not(existsSync(join(home.path, '.cluster/drill')))
})

test('on disks that forget what was acknowledged the drill fails, and its first line says what was lost', async () => {
  assert.is((await home.verb('up')).exitCode, 0)
  const data = ['master01', 'master02', 'master03'].map((name) =>
    join(home.path, '.cluster/etcd-cluster-1/hosts', name, 'var/lib/etcd'),
  )
  for (const folder of data) cpSync(folder, `${folder}-before`, { recursive: true, preserveTimestamps: true })
  const run = home.start('drill', '--cluster', 'etcd-cluster-1', '--yes', '--only', 'all', '--report', page)
  await saidBy(run, 'killed master01, master02, master03')
  for (const folder of data) {
    renameSync(folder, `${folder}-after`)
    renameSync(`${folder}-before`, folder)
  }
  const { exitCode, stderr } = await run.done
  assert.is(exitCode, 1, stderr)
  const lost = /etcd-cluster-1 did not hold: ([1-9]\d* acknowledged writes? lost)/
  const [, clause = ''] = lost.exec(stderr) ?? []
  assert.match(stderr, lost)
  const text = readFileSync(page, 'utf8')
  const [first = ''] = text.slice(text.indexOf('<body>') + 7).split('\n')
  assert.match(first, `<h1 class="broken">etcd-cluster-1 did not hold: ${clause}`)
})

test.run()
