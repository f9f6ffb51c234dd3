// certs/<cluster>/ is lost while its members run: no new authority by itself, and two ways out.
import { existsSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { memberPids, underLoad } from '../support/load.ts'
import { done, snapshotOf, testHome } from '../support/verbs.ts'

const home = testHome()
const certs = join(home.path, 'certs/etcd-cluster-1')
const copy = join(home.path, 'a-copy')
const record = join(home.path, '.cluster/etcd-cluster-1/cluster.json')

test.before(async () => void (await done(home.verb('up', '--yes', '--json'))))

test('up makes no new authority beside members that trust the lost one, and says the ways out', async () => {
  const [pids, recorded] = [memberPids(home), readFileSync(record, 'utf8')]
  renameSync(certs, copy)
  for (const words of [['up', '--yes'], ['up', '--plan'], ['pki'], ['rotate-certs', '--yes']] as [
    string,
    ...string[],
  ][]) {
    const { exitCode, stderr } = await home.verb(...words)
    assert.is(exitCode, 1, words.join(' '))
    assert.match(stderr, /pki\.ts --from-hosts(.|\n)*rotate-ca\.ts/, words.join(' '))
  }
  assert.equal([existsSync(certs) && readdirSync(certs), memberPids(home)], [false, pids])
  assert.is(readFileSync(record, 'utf8'), recorded)
})

test('the folder put back is all that is needed', async () => {
  renameSync(copy, certs)
  assert.equal((await done(home.verb('up', '--json'))).changes, [])
})

test('without a copy: the hosts give back all but the key, and a new authority comes in under load', async () => {
  const before = snapshotOf(certs)
  const pids = memberPids(home)
  await underLoad(home, async () => {
    renameSync(certs, copy)
    const { plan } = await done(home.verb('pki', '--from-hosts', '--plan', '--json'))
    assert.match(JSON.stringify(plan), /take ca\.crt back from the hosts/)
    assert.not.ok(existsSync(certs))
    const { takenBack, issued } = await done(home.verb('pki', '--from-hosts', '--json'))
    assert.equal([(takenBack as string[]).length, issued], [15, []])
    assert.equal(memberPids(home), pids)
    for (const name of Object.keys(before).filter((path) => path !== 'ca.key' && statSync(join(copy, path)).isFile())) {
      assert.equal(readFileSync(join(certs, name)), readFileSync(join(copy, name)), name)
      assert.is(statSync(join(certs, name)).mode, statSync(join(copy, name)).mode, name)
    }
    await done(home.verb('rotate-ca', '--yes', '--json'))
  })
  assert.not.equal(readFileSync(join(certs, 'ca.crt')), readFileSync(join(copy, 'ca.crt')))
  assert.equal((await done(home.verb('up', '--json'))).changes, [])
  assert.not.ok(existsSync(join(home.path, '.cluster/etcd-cluster-1/fetched')))
})

test.after(() => home.downAll())

test.run()
