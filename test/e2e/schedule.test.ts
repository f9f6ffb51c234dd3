// A systemd timer does it: of root, and of a user who lingers. The machine is a host that took the cluster over from
// here with unpack, so that what is scheduled came along, and its timer did not.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateIdentity, identityToRecipient } from 'age-encryption'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../tasks/core/environment.ts'
import { inRun, Run } from '../../tasks/core/run.ts'
import { requireEtcd } from '../../tasks/etcd/binaries.ts'
import { testCluster } from '../support/cluster.ts'
import { temporaryFolder } from '../support/folder.ts'
import { listHosts, startHosts, type TestHosts } from '../support/hosts.ts'
import { long } from '../support/long.ts'
import { testHome } from '../support/verbs.ts'
import { until } from '../support/wait.ts'

const home = testHome({ HA_ETCD_PROVIDER: 'ssh' })
const folder = temporaryFolder()
const pack = join(folder, 'cluster.age')
const other = 'master02'
let machines: TestHosts

/** Runs a verb on the machine that took the cluster over. */
const there = (user: string, words: string, more = ''): Promise<string> => {
  const start = 'node --import ha-etcd/loader node_modules/zx/build/cli.js scripts'
  const line = `cd /opt/ha-etcd && HA_ETCD_HOME=/srv/${user} ${more} ${start}/${words}`
  return machines.on(other, `su ${user} -s /bin/sh -c '${line}' 2>&1`)
}

test.before(async () => {
  const image = process.env.TEST_IMAGE
  if (!image) throw new Error('TEST_IMAGE names no image.')
  machines = await startHosts(image, 2)
  listHosts(home.path, machines, 1)
  const up = await home.verb('up', '--yes')
  assert.is(up.exitCode, 0, up.stderr)
  const { folder: etcd } = await inRun(new Run({ env: home.environment() }), () => requireEtcd(testCluster()))
  const identity = await generateIdentity()
  writeFileSync(join(folder, 'key'), `${identity}\n`)
  const packed = await home.verb('pack', pack, '--recipient', await identityToRecipient(identity))
  assert.is(packed.exitCode, 0, packed.stderr)
  const archive = join(folder, 'project.tar')
  const parts = ['scripts', 'tasks', 'templates', 'package.json', 'node_modules']
  execFileSync('tar', ['-chf', archive, '-C', projectFolder, ...parts])
  await machines.copy(other, archive, '/root/project.tar')
  await machines.copy(other, process.execPath, '/usr/local/bin/node')
  await machines.copy(other, etcd, '/root/etcd')
  await machines.on(
    other,
    'mkdir /opt/ha-etcd && tar -xf /root/project.tar -C /opt/ha-etcd; cp /root/etcd/etcd* /usr/local/bin',
  )
  for (const name of ['cluster.age', 'key']) await machines.copy(other, join(folder, name), `/srv/${name}`)
})
test.after(() => machines?.remove())

/** The host has no pam_systemd, which tells a user's systemd where its sockets are to be. */
async function startSystemdOf(user: string): Promise<void> {
  const dropIn = '/etc/systemd/system/user@.service.d'
  await machines.on(
    other,
    `mkdir ${dropIn}; printf "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\n" > ${dropIn}/xdg.conf
    systemctl daemon-reload; loginctl enable-linger ${user}; systemctl restart user@$(id -u ${user})`,
  )
}

for (const [user, ctl, units] of [
  ['root', 'systemctl', '/etc/systemd/system'],
  ['vagrant', 'systemctl --user', '/home/vagrant/.config/systemd/user'],
] as const) {
  const as = (line: string): Promise<string> =>
    machines.on(other, `su ${user} -s /bin/sh -c 'export XDG_RUNTIME_DIR=/run/user/$(id -u); ${line}'`)

  const proven = user === 'root' ? test : long
  proven(`a timer of ${user}'s makes the backup, and goes again`, async () => {
    if (user !== 'root') await startSystemdOf(user)
    await machines.on(other, `mkdir /srv/${user}; chown ${user}: /srv/${user}; chmod a+r /srv/key /srv/cluster.age`)
    await there(user, 'unpack.ts /srv/cluster.age --identity /srv/key')
    await there(user, 'schedule.ts backup --every 1d -- --keep 3')
    const timer = (await machines.on(other, `ls ${units} | grep "ha-etcd.*timer$"`)).trim()
    // nobody wants to wait five minutes
    await machines.on(
      other,
      `mkdir ${units}/${timer}.d
      printf "[Timer]\\nOnCalendar=*:*:0/5\\nAccuracySec=1s\\n" > ${units}/${timer}.d/fast.conf`,
    )
    await as(`${ctl} daemon-reload && ${ctl} restart ${timer}`)
    const notes = `/srv/${user}/.cluster/etcd-cluster-1/schedule/runs.json`
    const read = (): Promise<string> => machines.on(other, `cat ${notes} 2>/dev/null || true`)
    await until('the timer has had the backup made', async () => /"ended"/.test(await read()))
    const { runs, ticked } = JSON.parse(await read())
    assert.is(runs.backup.exitCode, 0, JSON.stringify(runs))
    await until('the timer calls again', async () => JSON.parse(await read()).ticked !== ticked)
    const store = `/srv/${user}/.cluster/etcd-cluster-1/backups`
    assert.is((await machines.on(other, `ls ${store} | wc -l`)).trim(), '1')
    assert.not.match(await there(user, 'status.ts'), 'schedule')
    await there(user, 'schedule.ts --remove')
    assert.is(await machines.on(other, `ls ${units} | grep "ha-etcd.*\\(timer\\|service\\)$" || true`), '')
    assert.not.match(await as(`${ctl} list-timers --all`), 'ha-etcd')
  })
}

test.run()
