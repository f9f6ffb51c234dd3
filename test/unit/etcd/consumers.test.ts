// What is noted of a consumer, and what of that is true on another machine.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { inFile, movedElsewhere } from '../../../tasks/etcd/consumers.ts'

const places = [{ folder: '/etc/patroni' }, { host: 'master01', folder: '/etc/patroni', owner: 'postgres' }]

test('on another machine only the folders on hosts are still a consumer’s', () => {
  const moved = JSON.parse(movedElsewhere('clients/patroni.json', inFile({ kind: 'patroni', places })))
  assert.equal(moved, { kind: 'patroni', places: places.slice(1) })
})

test('a note that is damaged is taken as it is', () => {
  for (const text of ['{', '', '{"kind":"json"}', '{"kind":"json","places":[{}]}'])
    assert.is(movedElsewhere('clients/x.json', text), text)
})

test.run()
