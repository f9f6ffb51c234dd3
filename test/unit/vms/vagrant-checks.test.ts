// What doctor says of Vagrant's hosts before anything is made: the box, and whether Vagrant knows this VirtualBox.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { VagrantSettings } from '../../../tasks/core/provider-choice.ts'
import { boxFinding, virtualboxFinding } from '../../../tasks/vms/vagrant-checks.ts'

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

test('a VirtualBox that this Vagrant does not know yet is refused, and the Vagrant that does is named', () => {
  const needs = (virtualbox: string, vagrant: string): string | undefined => /needs Vagrant (\S+)/.exec(virtualboxFinding(virtualbox, vagrant)?.detail ?? '')?.[1]
  assert.equal([needs('6.1.50', '2.2.5'), needs('7.0.10', '2.2.19'), needs('7.0.10', '2.3.4')], [undefined, '2.3.2', undefined])
  assert.equal([needs('7.1.2', '2.3.4'), needs('7.1.2', '2.4.2'), needs('7.2.0', '2.4.8'), needs('7.2.0', '2.4.9')], ['2.4.2', undefined, '2.4.9', undefined])
  assert.is(virtualboxFinding(undefined, '2.3.4'), undefined)
  assert.is(virtualboxFinding('7.2.0', undefined), undefined)
})

test.run()
