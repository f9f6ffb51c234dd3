// The scripts that limit what a member writes: tried on folders that stand for the kernel's groups.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Limits, limitOfProcess, limitOfService } from '../../../tasks/drill/slow-disk.ts'
import { temporaryFolder } from '../../support/folder.ts'

const limits = (more: Partial<Limits> = {}): Limits => ({
  disk: '254:0',
  version: '2',
  mount: temporaryFolder(),
  home: '/a group',
  ...more,
})

function tried({ mount, home, ...more }: Limits): (file: string) => string {
  mkdirSync(join(mount, home), { recursive: true })
  const { script, undo } = limitOfProcess({ mount, home, ...more }, 4711)
  execFileSync('sh', ['-c', script])
  execFileSync('sh', ['-c', `${undo}; true`])
  return (file) => readFileSync(join(mount, file), 'utf8')
}

test('a process goes into a group with a limit, and back into its own', () => {
  const one = tried(limits({ version: '1' }))
  assert.is(one('ha-etcd-drill-4711/blkio.throttle.write_bps_device'), '254:0 32768\n')
  assert.is(one('a group/cgroup.procs'), '4711\n')
})

test('taken back twice, and where nothing was done, it does no harm', () => {
  const { undo } = limitOfProcess(limits({ version: '1' }), 4711)
  assert.is(execFileSync('sh', ['-c', undo]).toString(), '')
})

test('a service is limited by systemd, and the script fails where the kernel did not hear of it', () => {
  const [folder, group] = [temporaryFolder(), '/system.slice/x.service']
  const at = limits({ mount: join(folder, 'groups') })
  mkdirSync(join(at.mount, group), { recursive: true })
  writeFileSync(
    join(folder, 'systemctl'),
    `#!/bin/sh\ncase $1 in show) echo ${group};; *) echo "$@" >> ${folder}/told;; esac\n`,
    { mode: 0o755 },
  )
  const { script, undo } = limitOfService(at, 'x', '/var/lib/etcd')
  const run = (text: string): unknown =>
    execFileSync('sh', ['-c', text], { env: { PATH: `${folder}:${process.env.PATH}` }, stdio: 'ignore' })
  assert.throws(() => run(script))
  writeFileSync(join(at.mount, group, 'io.max'), '254:0 rbps=max wbps=32768 riops=max wiops=max\n')
  run(script)
  run(undo)
  const told = readFileSync(join(folder, 'told'), 'utf8').trim().split('\n')
  assert.is(told.at(-2), 'set-property --runtime x IOWriteBandwidthMax=/var/lib/etcd 32768')
  assert.is(told.at(-1), 'set-property --runtime x IOWriteBandwidthMax=')
})

test.run()
