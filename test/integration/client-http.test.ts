// Why ETCD_LISTEN_CLIENT_HTTP_URLS is refused: a real etcd that has it gives its keys to whoever asks, without TLS.
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../tasks/etcd/reach.ts'
import { ensureCertificates } from '../../tasks/pki/index.ts'
import { freeTestCluster, startMembers } from '../support/etcd.ts'
import { etcdOf } from '../support/versions.ts'
import { until } from '../support/wait.ts'

const newer = await etcdOf('3.6.14') // Debian 12's etcd does not know the variable

;(newer ? test : test.skip)('an http URL there reads and writes every key without a certificate', async () => {
  const cluster = await freeTestCluster({ masters: 1, etcd: { binaries: newer?.folder } })
  await ensureCertificates(cluster)
  const url = `http://127.0.0.1:${await freePort()}`
  const members = await startMembers(cluster, { master01: { 'listen-client-http-urls': url } })
  try {
    const ask = async (path: string, body: object): Promise<{ kvs?: object[] }> => {
      const answer = await fetch(`${url}/v3/kv/${path}`, { method: 'POST', body: JSON.stringify(body) })
      return (await answer.json()) as { kvs?: object[] }
    }
    const put = (): Promise<unknown> => ask('put', { key: btoa('secret'), value: btoa('open') })
    await until('it takes a key', () =>
      put().then(
        () => true,
        () => false,
      ),
    )
    assert.is((await ask('range', { key: btoa('secret') })).kvs?.length, 1)
  } finally {
    await members.stopAll()
  }
})

test.run()
