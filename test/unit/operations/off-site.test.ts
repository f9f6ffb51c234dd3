// What a folder that is a target must still have, where backups were brought there.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isGone } from '../../../tasks/operations/off-site.ts'

const away = { target: '/mnt/nas', name: '2026-11-28T05-50-28Z', time: '2026-11-28T05:50:28.564Z' }
const none = { kept: [], wrong: [], strays: [] }

test('a target that was brought a backup and has nothing is not the same any more', () => {
  assert.is(isGone(away, '/mnt/nas', none), true)
  assert.is(isGone(away, '/mnt/nas', { ...none, strays: [`${away.name}.pack.age`] }), false)
  assert.is(isGone(away, '/mnt/nas', { ...none, wrong: [`${away.name}.json is damaged`] }), false)
})

test('of another target that says nothing', () => {
  assert.is(isGone(away, '/mnt/usb', none), false)
})

test.run()
