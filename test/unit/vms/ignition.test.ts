// Ignition from our Butane file: the same meaning, small enough for VirtualBox, and accepted by Ignition's own
// validator.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { projectFolder } from '../../../tasks/core/environment.ts'
import { findProgram } from '../../../tasks/core/programs.ts'
import { ignitionFrom } from '../../../tasks/vms/ignition.ts'
import { temporaryFolder } from '../../support/folder.ts'

const ours = ignitionFrom(readFileSync(join(projectFolder, 'templates/vagrant/flatcar/flatcar.bu'), 'utf8'))

/** What VirtualBox's guest property holds, and with it config.ign; in bytes (flatcar.org, "Vagrant"). */
const ignitionLimit = 1024

test('a Flatcar host gets Python and never reboots by itself', () => {
  assert.equal(JSON.parse(ours), {
    ignition: { version: '3.3.0' },
    storage: {
      files: [{ path: '/etc/flatcar/enabled-sysext.conf', mode: 0o644, contents: { source: 'data:,python%0A' } }],
    },
    systemd: {
      units: [
        { name: 'locksmithd.service', mask: true },
        { name: 'update-engine.service', mask: true },
      ],
    },
  })
})

test('it is small enough for VirtualBox', () =>
  assert.ok(Buffer.byteLength(ours) < ignitionLimit, `${Buffer.byteLength(ours)} bytes`))

const withValidator = findProgram('ignition-validate') ? test : test.skip
withValidator("Ignition's own validator has nothing to say", () => {
  const file = join(temporaryFolder(), 'config.ign')
  writeFileSync(file, ours)
  assert.is(execFileSync('ignition-validate', [file], { encoding: 'utf8', stdio: 'pipe' }).trim(), '')
})

test('what is not translated is refused by name, not left out', () => {
  assert.throws(
    () => ignitionFrom('variant: flatcar\nversion: 1.0.0\npasswd: { users: [] }'),
    /The Butane key passwd is not translated here/,
  )
  assert.throws(
    () => ignitionFrom('variant: flatcar\nversion: 1.0.0\nsystemd: { units: [{ name: a, dropins: [] }] }'),
    /systemd\.units\.0\.dropins/,
  )
  assert.throws(() => ignitionFrom('variant: fcos\nversion: 1.5.0'), /Butane fcos 1\.5\.0 is not translated here/)
})

test.run()
