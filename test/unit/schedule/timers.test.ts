// What calls us: what of a machine is taken, units and lines that hold any path, and a crontab that is left as it is.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { environmentOfTimers } from '../../../tasks/core/environment.ts'
import { inRun, Run } from '../../../tasks/core/run.ts'
import {
  cronLine,
  crontabWith,
  kindFor,
  type Tick,
  tickScript,
  timerKinds,
  units,
} from '../../../tasks/schedule/timers.ts'
import { temporaryFolder } from '../../support/folder.ts'

const tick: Tick = {
  name: 'ha-etcd-blue-0a1b2c3d',
  cluster: 'blue',
  script: '/srv/home/.cluster/blue/schedule/tick.sh',
}
const line = cronLine(tick)

test('root takes systemd, a user theirs where it outlives a login, else cron; else nothing', () => {
  const kinds = [true, false].flatMap((systemd) =>
    [true, false].flatMap((root) =>
      [true, false].flatMap((lingers) =>
        [true, false].map((crontab) => kindFor({ systemd, root, lingers, crontab }) ?? '-'),
      ),
    ),
  )
  assert.is(kinds.join(' '), 'system system system system user user cron - cron - cron - cron - cron -')
  assert.is(timerKinds.length, 3)
})

const others: [what: string, crontab: string][] = [
  ['an empty one', ''],
  ['one with lines of others', '# mine\nMAILTO=me\n0 1 * * * /usr/bin/backup\n'],
  ['one whose last line has no end', '0 1 * * * /usr/bin/backup'],
  ['one of another cluster and another home', `${cronLine({ ...tick, name: 'ha-etcd-blue-ffffffff' })}\n`],
  ['one with our name in a comment, and in a longer name', `# about # ${tick.name}\n0 1 * * * x # ${tick.name}0\n`],
]

for (const [what, crontab] of others)
  test(`of a crontab (${what}) all lines stay; ours comes once, and goes again`, () => {
    const withOurs = crontabWith(crontab, tick, line)
    const whole = crontab === '' || crontab.endsWith('\n') ? crontab : `${crontab}\n`
    assert.is(withOurs, `${whole}${line}\n`)
    assert.is(crontabWith(withOurs, tick, line), withOurs)
    assert.is(crontabWith(withOurs, tick, undefined), whole)
    assert.is(crontabWith(crontab, tick, undefined), crontab)
  })

test('an older line of ours is replaced, and a second one removed', () => {
  const older = line.replace('*/5', '*/7')
  assert.is(crontabWith(`a\n${older}\nb\n${line}\n`, tick, line), `a\nb\n${line}\n`)
})

const odd = `/tmp/it's 50% "of" $HOME \\ done/tick.sh`

test('a line of cron holds any path: sh reads it as it is, once cron has read the %', () => {
  const folder = temporaryFolder()
  const script = join(folder, `it's 50% "of" $HOME \\ done`, 'tick.sh')
  mkdirSync(join(script, '..'))
  writeFileSync(script, 'echo called')
  const command = cronLine({ ...tick, script })
    .split(' ')
    .slice(5)
    .join(' ')
  assert.not.match(command.replaceAll('\\%', ''), '%')
  const run = (text: string): string => execFileSync('/bin/sh', ['-c', text], { encoding: 'utf8' })
  assert.is(run(command.replaceAll('\\%', '%')), 'called\n')
  assert.is(
    run(
      cronLine({ ...tick, script: '/nowhere/tick.sh' })
        .split(' ')
        .slice(5)
        .join(' '),
    ),
    '',
  )
})

test('a unit holds any path; a keeper that it starts outlives it; a script that is gone is no failure', () => {
  const service = units({ ...tick, script: odd })[`${tick.name}.service`] ?? ''
  assert.match(service, 'ExecStart=/bin/sh "/tmp/it\'s 50%% \\"of\\" $$HOME \\\\ done/tick.sh"\n')
  assert.match(service, 'KillMode=process\n')
  assert.match(service, 'ConditionPathExists=/tmp/it\'s 50%% "of" $HOME \\ done/tick.sh\n')
  assert.match(units(tick)[`${tick.name}.timer`] ?? '', 'OnCalendar=*:0/5\n')
})

test('systemd finds no fault with the units', () => {
  const folder = temporaryFolder()
  const all = Object.entries(units({ ...tick, script: odd }))
  for (const [name, text] of all) writeFileSync(join(folder, name), text)
  const verify = (): string =>
    execFileSync('systemd-analyze', ['verify', ...all.map(([name]) => join(folder, name))], { encoding: 'utf8' })
  try {
    assert.is(verify(), '')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
})

test('the script has the PATH of the person without what npx put there, and no secret', () => {
  const env = {
    ...{ PATH: '/opt/node/bin:/x/node_modules/.bin:/usr/bin:/usr/bin', HOME: '/home/o p', SECRET: 's3cret' },
    ...{ HA_ETCD_HOME: '/srv', HA_ETCD_CA_PASSPHRASE: 's3cret', HTTPS_PROXY: 'http://me:s3cret@proxy' },
    ...{ https_proxy: 'http://proxy:3128', HA_ETCD_CLUSTER: 'red' },
  }
  const environment = inRun(new Run({ env }), environmentOfTimers)
  const script = tickScript('blue', '/opt/ha etcd', ['/opt/node/bin/node', 'x.ts'], environment)
  assert.not.match(script, /s3cret|red/)
  assert.match(script, 'PATH=/opt/node/bin:/usr/bin \\\n')
  assert.match(script, "HOME='/home/o p' \\\n")
  assert.match(script, "if ! cd '/opt/ha etcd' || [ ! -x /opt/node/bin/node ]; then\n")
  assert.match(script, 'schedule.ts --cluster blue --repair')
  assert.match(script, 'fi\nexec /opt/node/bin/node x.ts --run --cluster blue\n')
  assert.match(script, 'https_proxy=http://proxy:3128')
})

test.run()
