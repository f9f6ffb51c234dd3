// What clients must do is said before they lose the cluster, and names those of them that `connect` knows.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Host } from '../../../tasks/core/cluster.ts'
import {
  addressesOf,
  aroundExchange,
  aroundRestore,
  aroundRotateCa,
  beforeMove,
  refusingClients,
} from '../../../tasks/operations/clients.ts'
import { ensureCertificates, leaveAtOnce } from '../../../tasks/pki/index.ts'
import { testCluster } from '../../support/cluster.ts'

const cluster = testCluster()
const consumers = join(cluster.paths.certs, 'clients')
mkdirSync(consumers, { recursive: true })
for (const kind of ['kubernetes', 'patroni', 'prometheus'])
  writeFileSync(join(consumers, `${kind}.json`), JSON.stringify({ kind, places: [] }))

test('whoever reads the authority only at its start, or keeps a copy of the data, is named', () => {
  for (const words of [aroundRotateCa.trust(cluster), aroundRotateCa.question(cluster, 'rotate-ca')]) {
    assert.match(words, /of those connected, kubernetes: restart each kube-apiserver/)
    assert.not.match(words, /connected.*(patroni|prometheus)/)
  }
  assert.match(aroundRestore.before(cluster), /of those connected, kubernetes: stop each kube-apiserver before/)
})

test('where every member is exchanged, whoever has a list of addresses is named before', () => {
  const words = aroundExchange(cluster, addressesOf(['d', 'e', 'f']), ['a', 'b', 'c'])
  assert.match(words, 'the addresses of d, e and f, beside those that it has: one that knows only a, b and c loses')
  assert.match(words, /of those connected, kubernetes: give each kube-apiserver the new --etcd-servers.*patroni/)
  assert.not.match(words, 'prometheus')
})

test('where every member moves, so is whoever has their addresses; where one stays, nobody is', () => {
  const moved = cluster.hosts.map((host, index) => ({ ...host, address: `10.9.0.${index}` }))
  const old = cluster.hosts.map(({ address }) => address)
  const words = beforeMove(cluster, moved) ?? ''
  assert.match(
    words,
    'give every client 10.9.0.0, 10.9.0.1 and 10.9.0.2, beside those that it has: one that knows only',
  )
  assert.match(words, `only ${old[0]}, ${old[1]} and ${old[2]} loses the cluster`)
  assert.is(beforeMove(cluster, [...cluster.hosts.slice(0, 1), ...moved.slice(1)]), undefined)
})

test('once recover or restore has made a new authority, clients are told to trust it before they start', async () => {
  const recovered = testCluster()
  await ensureCertificates(recovered)
  assert.match(aroundRestore.after(recovered), /^Now start the clients/)
  await leaveAtOnce(recovered)
  assert.match(
    aroundRestore.after(recovered),
    /^A new authority issues now: give every client .*ca\.crt.*rotate-ca\.ts --cluster test-cluster\nNow start/,
  )
})

test('who refuses the new certificates is named once, with how often at all members', () => {
  const [one, other] = cluster.hosts as [Host, Host]
  assert.equal(refusingClients([]), [])
  const [words = ''] = refusingClients([
    { host: one, address: '10.0.0.8', times: 1 },
    { host: one, address: '10.0.0.7', times: 2 },
    { host: other, address: '10.0.0.7', times: 3 },
  ])
  assert.match(
    words,
    /authority that issues now: 10\.0\.0\.7 \(5 times\) and 10\.0\.0\.8 \(1 time\)\. Give them ca\.crt/,
  )
})

test.run()
