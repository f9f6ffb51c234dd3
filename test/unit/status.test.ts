// What status shows to a person.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type ClusterStatus, renderStatus } from '../../tasks/status.ts'

const well: ClusterStatus = {
  cluster: 'a-cluster-with-a-long-name',
  provider: 'local',
  members: [],
  quorum: true,
  alarms: [],
  certificates: [],
  warning: null,
  atWork: null,
}

test('a command in a warning stays one line, to be pasted; each warning has its own', () => {
  const finish = 'npx zx scripts/replace.ts --cluster a-cluster-with-a-long-name master01 master02 master03'
  const warning = `The replacement was begun. Finish it: ${finish}\nThe authority expires in 20 days.`
  const lines = renderStatus({ ...well, warning }, 30).split('\n')
  assert.ok(lines.some((line) => line.includes(finish)))
  assert.ok(lines.some((line) => line.includes('The authority expires') && !line.includes('replacement')))
})

test('what disks have left is shown where it is known, in red where etcd cannot go on', () => {
  const member = {
    ...{ id: 'a', name: 'm1', address: '127.0.0.1', state: 'leader' as const, version: '3.6.14' },
    note: null,
  }
  const shown = (freeBytes: number | null): string => {
    const one = { ...member, dbSizeBytes: 1024, raftIndex: 7, raftLag: 0, freeBytes }
    return renderStatus({ ...well, members: [one] }, 30)
  }
  assert.match(shown(5 * 2 ** 30), /FREE +RAFT INDEX(.|\n)*5\.0 GiB/)
  assert.not.match(shown(null), 'FREE')
})

test.run()
