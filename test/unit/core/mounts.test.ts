// A disk that is not mounted, by the two tables that a machine has.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { unmounted } from '../../../tasks/core/mounts.ts'

const table = `# <file system> <mount point> <type> <options>
UUID=1 / ext4 defaults 0 1
UUID=2 none swap sw 0 0
nas:/x  /mnt/nas/  nfs  defaults 0 0
#nas:/y /mnt/old nfs defaults 0 0
UUID=3 /media/back\\040up ext4 noauto 0 0
`
const root = '/dev/vda / ext4 rw 0 0\n'

test('a folder at or below a place of /etc/fstab where nothing is mounted', () => {
  assert.is(unmounted('/mnt/nas', table, root), '/mnt/nas')
  assert.is(unmounted('/mnt/nas/etcd', table, root), '/mnt/nas')
  assert.is(unmounted('/media/back up/etcd', table, root), '/media/back up')
})

test('one that is mounted, or that is none of those', () => {
  assert.is(unmounted('/mnt/nas/etcd', table, `${root}nas:/x /mnt/nas nfs4 rw 0 0\n`), undefined)
  assert.is(unmounted('/mnt/nas/usb/etcd', table, `${root}/dev/sdb /mnt/nas/usb ext4 rw 0 0\n`), undefined)
  for (const folder of ['/mnt', '/mnt/nas2', '/mnt/old', '/srv/etcd'])
    assert.is(unmounted(folder, table, root), undefined, folder)
})

test('where nobody knows what is mounted, nothing is said', () => {
  assert.is(unmounted('/mnt/nas', table, ''), undefined)
})

test.run()
