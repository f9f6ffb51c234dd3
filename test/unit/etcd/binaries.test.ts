// Fetching etcd: what was not pinned is never used. No network here: the download is stood in for.
import { readdirSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { home } from '../../../tasks/core/environment.ts'
import { OperationError } from '../../../tasks/core/errors.ts'
import { fetchEtcd } from '../../../tasks/etcd/binaries.ts'
import { testCluster } from '../../support/cluster.ts'

const real = globalThis.fetch
test.after.each(() => {
  globalThis.fetch = real
})

const failure = (cluster: ReturnType<typeof testCluster>): Promise<OperationError> =>
  fetchEtcd(cluster).then(
    () => assert.unreachable('it was used'),
    (error: unknown) => (error instanceof OperationError ? error : assert.unreachable(String(error))),
  ) as Promise<OperationError>

test('an archive whose SHA-256 is not the pinned one is refused, and nothing of it stays', async () => {
  let asked = ''
  globalThis.fetch = async (url) => {
    asked = String(url)
    return new Response('something else')
  }
  const { message, more } = await failure(testCluster({ etcd: { version: '3.6.14' } }))
  assert.match(asked, /^https:\/\/github\.com\/etcd-io\/etcd\/releases\/download\/v3\.6\.14\/etcd-v3\.6\.14-linux-(amd64|arm64)\.tar\.gz$/)
  assert.match(message, /is not the release: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}\.$/)
  assert.match(more.hint ?? '', 'Do not use it')
  assert.not.match(readdirSync(home, { recursive: false }).join(), 'etcd-3.6.14')
})

test("a version that is not pinned, and not the distribution's, is refused by name rather than replaced by another", async () => {
  globalThis.fetch = async () => assert.unreachable('an unpinned release must not be downloaded') as never
  const { message } = await failure(testCluster({ etcd: { version: '3.5.1' } }))
  assert.match(message, '3.5.1')
})

test.run()
