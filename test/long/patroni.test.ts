// A real Patroni with PostgreSQL lives on a cluster by what `connect` gave it, and never loses its primary.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { memberPids } from '../support/load.ts'
import { noPatroni, type Patroni, startPatroni } from '../support/patroni.ts'
import { destroyHost, done, testHome } from '../support/verbs.ts'
import { until } from '../support/wait.ts'

const home = testHome()
const folder = mkdtempSync(join(tmpdir(), 'ha-etcd-patroni-'))
const given = join(folder, 'etcd')
let patroni: Patroni | undefined
const does = async (line: string): Promise<void> =>
  void (await done(home.verb(...(line.split(' ') as [string]), '--yes', '--json')))

test.after(async () => {
  await patroni?.stop()
  await home.downAll()
  rmSync(folder, { recursive: true, force: true })
})

/** Writes a row each second beside the work: the primary must take every one, and stay the primary it was. */
async function beside(what: string, work: () => Promise<unknown>): Promise<void> {
  const node = patroni as Patroni
  const before = node.rows()
  let [written, ended] = [0, false]
  const writing = (async () => {
    for (; !ended; await new Promise((wake) => setTimeout(wake, 1000))) {
      node.write()
      assert.equal(await node.node().then((one) => [one?.role, one?.timeline]), ['master', 1], what)
      written++
    }
  })()
  await work().finally(() => void (ended = true))
  await writing
  assert.is(node.rows(), before + written, what)
  console.log(`measured: ${what}: ${written} rows written, the primary stayed`)
}

const real = noPatroni() ? test.skip : test
real('Patroni keeps its primary through each verb, and the death of the leader', async () => {
  chmodSync(folder, 0o755)
  await does('up')
  await does(`connect patroni --output ${given} --owner postgres`)
  patroni = startPatroni(folder, join(given, 'patroni-etcd3.yaml'), 'one', 15432)
  await until('there is a primary', async () => (await patroni?.node())?.role === 'master', 120_000)
  patroni.write()
  await beside('restart', () => does('restart'))
  await beside('rotate-certs --all', () => does('rotate-certs --all'))
  await beside('rotate-ca', () => does('rotate-ca'))
  await beside('a lost disk, and replace', async () => {
    destroyHost(home, 'master02')
    await does('replace master02')
  })
  await beside('a leader that is killed', async () => {
    const { members } = JSON.parse((await home.verb('status', '--json')).stdout) as { members: Member[] }
    const leader = members.find(({ state }) => state === 'leader')?.name ?? ''
    process.kill(memberPids(home)[leader] ?? Number.NaN, 'SIGKILL')
    await new Promise((wake) => setTimeout(wake, 15_000))
    await does('up')
  })
  await beside('two members more', () => does('scale --masters 5'))
  await beside('they go again', () => does('scale --masters 3'))
})

interface Member {
  name: string
  state: string
}

test.run()
