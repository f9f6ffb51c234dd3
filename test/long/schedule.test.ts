// cron itself calls us: a backup is made by the clock, another person's lines stay, and nothing is left at the end.
// Only where root may start a cron of the test's own: none must run, nor systemd, whose timer root would get.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { testHome } from '../support/verbs.ts'
import { until } from '../support/wait.ts'

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0
const runsCron = readdirSync('/proc').some((pid) => {
  try {
    return /^cron\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('/').at(-1) ?? '')
  } catch {
    return false
  }
})
const mayTry = process.getuid?.() === 0 && has('cron') && !runsCron && !existsSync('/run/systemd/system')
const it = mayTry ? test : test.skip

const home = testHome()
const state = join(home.path, '.cluster/etcd-cluster-1')
const read = (): string => spawnSync('crontab', ['-l'], { encoding: 'utf8' }).stdout
const write = (text: string): void =>
  void execFileSync('crontab', text === '' ? ['-r'] : ['-'], { input: text, stdio: ['pipe', 'ignore', 'ignore'] })

it('cron makes the backup; another line stays as it is; down takes ours away', async () => {
  const before = read()
  const others = `${before}17 4 1 1 * /usr/bin/true # of somebody else\n`
  write(others)
  const cron = spawn('cron', ['-f'], { stdio: 'ignore', env: { PATH: '/usr/sbin:/usr/bin:/bin' } })
  try {
    const up = await home.verb('up', '--masters', '1', '--yes')
    assert.is(up.exitCode, 0, up.stderr)
    const { exitCode, stderr } = await home.verb('schedule', 'backup', '--every', '1d', '--', '--keep', '3')
    assert.is(exitCode, 0, stderr)
    assert.ok(read().startsWith(others))
    write(read().replace('*/5 * * * *', '* * * * *')) // nobody wants to wait five minutes
    const notes = join(state, 'schedule/runs.json')
    const hasEnded = (): boolean => existsSync(notes) && /"ended"/.test(readFileSync(notes, 'utf8'))
    await until('cron has had the backup made', hasEnded, 150_000)
    const { runs } = JSON.parse(readFileSync(notes, 'utf8')) as { runs: { backup: { exitCode: number } } }
    assert.is(runs.backup.exitCode, 0, JSON.stringify(runs))
    assert.is(readdirSync(join(state, 'backups')).length, 1)
    const ticked = readFileSync(notes, 'utf8')
    await until('cron calls again', () => readFileSync(notes, 'utf8') !== ticked, 150_000)
    assert.is(readdirSync(join(state, 'backups')).length, 1)
    assert.is((await home.verb('down', '--purge', '--yes')).exitCode, 0)
    assert.is(read(), others)
  } finally {
    cron.kill('SIGTERM')
    write(before)
  }
})

test.after(() => home.downAll())
test.run()
