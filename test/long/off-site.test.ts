// Backups at real servers: a wrong password, an upload and a restore that are killed (-9) at each step.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generateIdentity, identityToRecipient } from 'age-encryption'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../support/folder.ts'
import { startTargets } from '../support/targets.ts'
import { killedAt, killedAtEachStep, type Outcome, testHome } from '../support/verbs.ts'

const targets = await startTargets()
// rclone 1.60 speaks to no S3 server where the environment names an authority for it
const settings = { RCLONE_CONFIG: targets.configuration, AWS_CA_BUNDLE: '' }
const home = testHome(settings)
const key = join(temporaryFolder(), 'key.txt')
const identity = await generateIdentity()
const recipient = await identityToRecipient(identity)

const done = (outcome: Outcome): Outcome => {
  assert.is(outcome.exitCode, 0, outcome.stderr)
  return outcome
}
const namesAt = async (target: string): Promise<string[]> => {
  const { stdout } = done(await home.verb('backup', '--list', '--to', target, '--json'))
  return (JSON.parse(stdout).backups as { name: string }[]).map(({ name }) => name)
}
const awayTo = (target: string): string[] => ['--to', target, '--recipient', recipient]
test.before(async () => {
  writeFileSync(key, `${identity}\n`)
  writeFileSync(join(home.path, 'cluster.yaml'), 'masters: 1\n')
  done(await home.verb('up'))
  done(await home.verb('load', '--seconds', '2'))
})
test.after(async () => {
  targets.stop()
  await home.downAll()
})

for (const name of targets.names) {
  const target = `${name}:etcd-backups/lab`

  test(`${name}: a wrong password is said before anything is made`, async () => {
    const before = (JSON.parse((await home.verb('backup', '--list', '--json')).stdout).backups as unknown[]).length
    const { exitCode, stderr } = await home.verb('backup', ...awayTo(`${name}bad:etcd-backups/lab`))
    assert.is(exitCode, 1)
    assert.match(stderr, `The target ${name}bad:etcd-backups/lab: it does not let us in.`)
    const { backups } = JSON.parse((await home.verb('backup', '--list', '--json')).stdout) as { backups: unknown[] }
    assert.is(backups.length, before)
  })

  test(`${name}: what is killed on its way is no backup; the next one is, and tidies up`, async () => {
    const { steps, last } = await killedAtEachStep(home, 'backup', awayTo(target))
    done(last)
    assert.ok(
      steps.some((step) => step.startsWith('Seal it')),
      steps.join(', '),
    )
    const known = await namesAt(target)
    await killedAt(home, '[OUTPUT] bring it away', 'backup', ...awayTo(target))
    assert.ok((await namesAt(target)).length <= known.length + 1)
    done(await home.verb('backup', ...awayTo(target)))
    for (const backup of await namesAt(target))
      done(await home.verb('restore', backup, '--from', target, '--identity', key, '--plan'))
  })

  test(`${name}: a restore where nothing is known is killed at each step; the same command ends it`, async () => {
    await home.verb('down', '--yes', '--purge')
    const from = ['--from', target, '--identity', key, '--yes']
    const other = testHome(settings)
    const { steps, last } = await killedAtEachStep(other, 'restore', from)
    done(last)
    for (const step of ['Fetch the snapshot', 'Put its certificates', 'Stop every member', 'verify'])
      assert.ok(
        steps.some((one) => one.startsWith(step)),
        `${step} is not among ${steps.join(', ')}`,
      )
    done(await other.verb('verify'))
    await other.downAll()
    done(await home.verb('restore', ...from))
  })
}

test.run()
