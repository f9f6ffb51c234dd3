// What counts as room on a disk.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { leftIn, roomIn } from '../../../tasks/etcd/disk.ts'

test('a disk without free inodes has no room; a file system without a fixed number of them has', () => {
  const room = (files: number, ffree: number): number => roomIn({ bavail: 3, bsize: 4096, files, ffree })
  assert.equal([room(100, 32), room(100, 31), room(0, 0)], [12288, 0, 12288])
  assert.equal([leftIn(12288), leftIn(0)], ['12.0 KiB', '0 B or no inodes'])
})

test.run()
