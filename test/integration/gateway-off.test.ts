// A member whose JSON gateway is off: what asks through it goes another way.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { testHome } from '../support/verbs.ts'

const home = testHome()

test('load writes and reads through etcdctl, and says that this is slow', async () => {
  const config = join(home.path, 'cluster.yaml')
  writeFileSync(config, 'masters: 1\netcd: { environment: { ETCD_ENABLE_GRPC_GATEWAY: "false" } }\n')
  const up = await home.verb('up', '--yes')
  assert.is(up.exitCode, 0, up.stderr)
  const { exitCode, stdout, stderr } = await home.verb('load', '--seconds', '3')
  assert.is(exitCode, 0, stderr)
  assert.is(stderr, '')
  assert.match(stdout, /through etcdctl, which is slow(.|\n)*writes acknowledged +[1-9]\d*/)
})

test.after(() => home.downAll())

test.run()
