// Of the worst thirty stories (test/support/worst.ts) those that hosts of their own can tell: over ssh, under load.
// It takes half an hour, so only when asked for by a pattern of titles: STORIES=. npm run test:e2e -- stories
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listHosts, startHosts, type TestHosts } from '../support/hosts.ts'
import { folderOf } from '../support/ladder.ts'
import { tellAll } from '../support/telling.ts'
import { type Home, testHome } from '../support/verbs.ts'
import { worst } from '../support/worst.ts'

const titles = process.env.STORIES
let machines: TestHosts
let home: Home

test.before(async () => {
  if (!titles) return
  machines = await startHosts(process.env.TEST_IMAGE ?? '', 5)
  home = { ...testHome({ HA_ETCD_PROVIDER: 'ssh' }), machines }
})
test.after(() => machines?.remove())

/** Every host is on, and as if no etcd had ever been there. */
async function begin(version: string): Promise<void> {
  for (const { name } of machines.hosts) {
    await machines.boot(name)
    await machines.on(name, 'systemctl stop etcd-member || true; umount /var/lib/etcd 2>/dev/null || true')
  }
  await home.verb('down', '--yes', '--purge')
  for (const { name } of machines.hosts)
    await machines.on(name, 'rm -rf /var/lib/etcd /etc/ssl/etcd* /etc/systemd/system/etcd-member.service*')
  listHosts(home.path, machines, 3, { binaries: folderOf(version) })
  const { exitCode, stderr } = await home.verb('up', '--yes')
  assert.is(exitCode, 0, stderr)
}

const stories = worst.filter(({ where }) => where !== 'local')
if (titles) tellAll(() => home, stories, titles, begin)
else test.skip('the worst stories over ssh, where STORIES asks for them', () => {})

test.run()
