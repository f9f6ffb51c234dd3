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

test.run()
