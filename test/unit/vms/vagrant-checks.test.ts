// What doctor says of Vagrant's hosts before anything is made: the box.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { VagrantSettings } from '../../../tasks/core/provider-choice.ts'
import { boxFinding } from '../../../tasks/vms/vagrant-checks.ts'

const settings = (provider: VagrantSettings['provider'], box?: string): VagrantSettings => ({ provider, box, memory: 1024, cpus: 1 })

test("on arm64 Flatcar's own boxes are refused, and Debian's named; a box of one's own is not", () => {
  for (const box of [undefined, 'flatcar-beta']) {
    const finding = boxFinding(settings('parallels', box), 'arm64')
    assert.is(finding?.detail, `The box ${box ?? 'flatcar-stable'} is for amd64 only: Flatcar has none for arm64.`)
    assert.match(finding?.remedy ?? '', 'bento/debian-12')
  }
  assert.is(boxFinding(settings('virtualbox', 'bento/debian-12'), 'arm64'), undefined)
  assert.is(boxFinding(settings('virtualbox', 'flatcar-mine'), 'arm64'), undefined)
  assert.is(boxFinding(settings('libvirt'), 'arm64'), undefined)
  assert.is(boxFinding(settings('virtualbox'), 'x64'), undefined)
})

test.run()
