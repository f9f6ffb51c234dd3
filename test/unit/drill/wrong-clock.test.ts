// A clock that a drill sets: right again by the time that has passed, once, and only on the start that it was set on.
// The scripts run with a stand-in for date, and without the right to set a clock.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { aheadSeconds, clockAhead, hasOwnClock } from '../../../tasks/drill/wrong-clock.ts'
import { temporaryFolder } from '../../support/folder.ts'

const linux = existsSync('/proc/uptime')
const boot = linux ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() : ''
const proof = (title: string, prove: () => void): void => (linux ? test(title, prove) : test.skip(title, prove))

/** What the script has date do, where date says that it is this second; a hundred seconds after the look. */
function setsBy(script: 'script' | 'undo', now: number, since = boot): string {
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'date'), `#!/bin/sh\ncase $1 in -s) echo "$2" >&2;; *) echo ${now};; esac\n`, {
    mode: 0o755,
  })
  chmodSync(folder, 0o755)
  const { stderr } = spawnSync('sh', ['-c', clockAhead(`1000000.25 ${uptime - 100} ${since}\n`)[script]], {
    env: { PATH: `${folder}:${process.env.PATH}` },
    ...(process.getuid?.() === 0 && { uid: 65534, gid: 65534 }), // whatever happens, no clock is set
    encoding: 'utf8',
  })
  return stderr
}

proof('the clock goes ahead', () => assert.is(setsBy('script', 0), `+${aheadSeconds} seconds\n`))

proof('it is set to what it would show by now', () => {
  assert.match(setsBy('undo', 1000100 + aheadSeconds), /^@10001\d\d\.\d\d\n$/)
})

proof('a clock that was put right meanwhile is left alone', () => {
  assert.is(setsBy('undo', 1000101), '')
  assert.is(setsBy('undo', 1000050), '')
})

proof('a host that has rebooted since is left alone', () => {
  assert.is(setsBy('undo', 1000100 + aheadSeconds, 'another'), '')
  assert.is(setsBy('script', 0, 'another'), '')
})

proof('this machine has no clock that a drill may set, and so no container on it has', () => {
  assert.is(spawnSync('sh', ['-c', hasOwnClock()]).status, 1)
})

test.run()
