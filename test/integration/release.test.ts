// The release from a site with an authority of its own: whole and of the right sum, or not at all, whatever the site
// does.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../support/folder.ts'
import { type Archive, archiveOf, type Outcome, releaseSite, serve, startFetcher } from '../support/release-site.ts'
import { testHome } from '../support/verbs.ts'

const version = '3.6.98'
const site = await releaseSite()
const archive = await archiveOf(version)
const pinned = { [version]: { amd64: archive.sum } }
const trust = { NODE_EXTRA_CA_CERTS: site.authority }
const fetcher = startFetcher(trust)
const host = site.base.slice('https://'.length)
const sums = (one: Archive): Buffer => Buffer.from(`${one.sum}  ${one.path.split('/').at(-1)}\n`)

test.before.each(() => {
  site.answers.clear()
  site.asked.length = 0
})
test.after(() => {
  fetcher.close()
  site.close()
})

type Options = Parameters<typeof fetcher.fetch>[0]['options']

const asked = (home: string, options: Options = {}, env: Record<string, string> = {}) => ({
  version,
  options: { mirror: site.base, pinned, ...options },
  env: { ...env, HA_ETCD_HOME: home },
})

/** Fetches from the site, whose authority is trusted and whose sum is pinned unless `options` say otherwise. */
const fetched = (...what: Parameters<typeof asked>): Promise<Outcome> => fetcher.fetch(asked(...what))

const whole = (home: string): boolean => existsSync(join(home, `.tools/etcd-release-linux-amd64-${version}/etcdutl`))

/** What is in .tools besides the folder of downloads and its parts. */
const counted = (home: string): string[] => readdirSync(join(home, '.tools')).filter((name) => name !== 'downloads')
const parts = (home: string): string[] => readdirSync(join(home, '.tools/downloads'))

test('a release of the pinned sum is used; who vouches for it is told, and how far it is', async () => {
  const home = temporaryFolder()
  site.answers.set(archive.path, serve(archive.content))
  const { told, progress } = await fetched(home)
  assert.is(told, `the official release from ${host}, SHA-256 as pinned here`)
  assert.match(progress.at(-1) ?? '', /^etcd-v3\.6\.98-linux-amd64\.tar\.gz: \d+\.\d of \d+\.\d MB$/)
  assert.ok(whole(home))
  assert.equal(parts(home), [])
  const { mode } = statSync(join(home, '.tools'))
  assert.is(mode & 0o777, 0o777 & ~process.umask(), 'programs are for every user, though the download made the folder')
})

test('one of another sum is refused, whatever other ways there are, and nothing of it stays', async () => {
  const home = temporaryFolder()
  site.answers.set(archive.path, serve((await archiveOf(version, 'changed')).content))
  const { refused, hint } = await fetched(home)
  assert.match(
    refused ?? '',
    /^What came from https:\S+ is not the release: its SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}\.$/,
  )
  assert.match(hint ?? '', 'Do not use it')
  assert.equal([...counted(home), ...parts(home)], [])
})

test('a connection that is cut in the middle is taken up again where it ended', async () => {
  const home = temporaryFolder()
  const half = Math.ceil(archive.content.length / 2)
  site.answers.set(archive.path, (request, response) =>
    serve(archive.content, request.headers.range ? undefined : half)(request, response),
  )
  await fetched(home)
  assert.ok(whole(home))
  assert.equal(site.asked.length, 2)
  assert.match(site.asked[1] ?? '', / bytes=[1-9]\d+-$/)
})

test('a run that was killed in the middle is gone on with by the next, and so is one that gave up', async () => {
  for (const killed of [true, false]) {
    const home = temporaryFolder()
    site.asked.length = 0
    site.answers.set(archive.path, (request, response) =>
      request.headers.range ? response.writeHead(503).end() : stalledAfter(5000)(request, response),
    )
    if (killed) await startFetcher(trust).fetchKilled(asked(home, { stallMs: 60_000 }))
    else assert.is((await fetched(home, { stallMs: 1500 })).closed, `${host} answered 503`)
    assert.is(parts(home).length, 1)
    assert.equal(counted(home), [])
    site.answers.set(archive.path, serve(archive.content))
    await fetched(home)
    assert.ok(whole(home))
    assert.match(site.asked.at(-1) ?? '', / bytes=[1-9]\d+-$/)
    assert.equal(parts(home), [])
  }
})

/** Sends the first bytes, and then nothing. */
const stalledAfter =
  (count: number) =>
  (_: unknown, response: Parameters<ReturnType<typeof serve>>[1]): void => {
    response.writeHead(200, { 'content-length': archive.content.length }).write(archive.content.subarray(0, count))
  }

test('a part that another content has spoilt is thrown away, and the release fetched from its start', async () => {
  const home = temporaryFolder()
  mkdirSync(join(home, '.tools/downloads'), { recursive: true })
  writeFileSync(join(home, '.tools/downloads', `${archive.path.split('/').at(-1)}.part`), 'x'.repeat(1000))
  site.answers.set(archive.path, serve(archive.content))
  await fetched(home)
  assert.ok(whole(home))
  assert.equal(
    site.asked.map((one) => one.split(' ')[1]),
    ['bytes=1000-', undefined],
  )
})

test('a redirect is followed, but not to where there is no TLS, and not for ever', async () => {
  const home = temporaryFolder()
  const redirect = (to: string): void =>
    void site.answers.set(archive.path, (_, response) => response.writeHead(302, { location: to }).end())
  redirect(`http://${host}/elsewhere`)
  assert.is((await fetched(home)).closed, `${host} leads to ${host} without TLS`)
  redirect(`/${archive.path}`)
  assert.match(
    (await fetched(home)).closed ?? '',
    /^127\.0\.0\.1:\d+ leads from one address to the next, more than 5 times$/,
  )
  redirect('/elsewhere')
  site.answers.set('elsewhere', serve(archive.content))
  assert.match((await fetched(home)).told ?? '', 'SHA-256 as pinned here')
})

test('a release that is not there, and an authority that is not trusted, each have a reason of their own', async () => {
  const home = temporaryFolder()
  assert.is((await fetched(home)).closed, `${host} does not have etcd-v3.6.98-linux-amd64.tar.gz`)
  const distrusting = startFetcher()
  const { closed } = await distrusting.fetch(asked(home)).finally(distrusting.close)
  assert.match(closed ?? '', /^127\.0\.0\.1:\d+ has a certificate that is not trusted here \(\w+\)$/)
  const nobody = await fetched(home, { mirror: 'https://127.0.0.1:1' })
  assert.is(nobody.closed, '127.0.0.1:1 cannot be reached (ECONNREFUSED)')
  assert.equal(counted(home), [])
})

test('a slow site may take as long as it likes; one that says nothing any more may not', async () => {
  const home = temporaryFolder()
  const stallMs = 2000
  const started = Date.now()
  site.answers.set(archive.path, (_, response) => {
    response.writeHead(200, { 'content-length': archive.content.length })
    const piece = Math.ceil(archive.content.length / 8)
    for (let index = 0; index < 8; index++)
      setTimeout(() => response.write(archive.content.subarray(index * piece, (index + 1) * piece)), index * 600)
  })
  await fetched(home, { stallMs })
  assert.ok(whole(home))
  assert.ok(Date.now() - started > 2 * stallMs)
  site.answers.set(archive.path, () => {}) // never answers at all
  assert.is((await fetched(temporaryFolder(), { stallMs })).closed, `${host} stalled`)
})

test('HTTPS_PROXY is honoured, and NO_PROXY; a proxy that is no URL is said to be that', async () => {
  site.answers.set(archive.path, serve(archive.content))
  const through: string[] = []
  const proxy = createServer()
  proxy.on('connect', (request, socket) => {
    through.push(request.url ?? '')
    const [name, port] = (request.url ?? '').split(':')
    const upstream = connect(Number(port), name, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    for (const end of [upstream, socket]) end.on('error', () => {})
  })
  await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done))
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  try {
    for (const env of [{ HTTPS_PROXY: url }, { https_proxy: url }, { HTTPS_PROXY: url, NO_PROXY: '127.0.0.1' }]) {
      const home = temporaryFolder()
      await fetched(home, {}, env)
      assert.ok(whole(home))
    }
    assert.equal(through, [host, host])
  } finally {
    proxy.close()
  }
  const { refused } = await fetched(temporaryFolder(), {}, { HTTPS_PROXY: 'nonsense' })
  assert.match(refused ?? '', /^HTTPS_PROXY or HTTP_PROXY cannot be used: /)
})

test('a version that is not pinned goes by SHA256SUMS of the same place; both are told, its sum recorded', async () => {
  const home = temporaryFolder()
  const record = join(home, '.tools/etcd-sums.json')
  site.answers.set(archive.path, serve(archive.content))
  assert.is((await fetched(home, { pinned: {} })).closed, `${host} does not have SHA256SUMS`)
  site.answers.set(`v${version}/SHA256SUMS`, serve(Buffer.from('nothing of use\n')))
  assert.match((await fetched(home, { pinned: {} })).closed ?? '', /does not list etcd-v3\.6\.98-linux-amd64\.tar\.gz$/)
  assert.not.ok(existsSync(record))
  site.answers.set(`v${version}/SHA256SUMS`, serve(sums(archive)))
  const { told } = await fetched(home, { pinned: {} })
  assert.is(
    told,
    `the release from ${host}; its SHA-256 is not pinned here: only the connection to ${host} vouches ` +
      `for it; ${archive.sum} was recorded`,
  )
  assert.equal(JSON.parse(readFileSync(record, 'utf8')), { [version]: { amd64: archive.sum } })
  const plain = await fetched(temporaryFolder(), { mirror: 'http://127.0.0.1:1', pinned: {} })
  assert.is(plain.closed, 'etcd 3.6.98 is not pinned here, and 127.0.0.1:1 has no TLS to vouch for it')
})

test('a version that is not pinned and was changed since it was first used is refused', async () => {
  const home = temporaryFolder()
  const publish = (one: Archive): void => {
    site.answers.set(one.path, serve(one.content))
    site.answers.set(`v${version}/SHA256SUMS`, serve(sums(one)))
  }
  publish(archive)
  await fetched(home, { pinned: {} })
  const changed = await archiveOf(version, 'changed')
  publish(changed)
  const { refused, hint } = await fetched(home, { pinned: {} })
  assert.is(
    refused,
    `The release of etcd ${version} was changed: ${host} says that its SHA-256 is ${changed.sum}, ` +
      `but it was ${archive.sum}.`,
  )
  assert.match(hint ?? '', 'etcd-sums.json')
  const record = join(home, '.tools/etcd-sums.json')
  assert.match(readFileSync(record, 'utf8'), archive.sum)
  for (const damaged of ['', '[1]', '{"3.6.98":{"amd64":7}}']) {
    writeFileSync(record, damaged)
    assert.is((await fetched(home, { pinned: {} })).refused, `${record} cannot be understood.`)
  }
})

test('doctor says in a line which way it took and why; with etcd.source it takes that one or none', async () => {
  const tools = temporaryFolder()
  // Node reads NODE_EXTRA_CA_CERTS as it starts.
  const own = testHome({ ...trust, HA_ETCD_MIRROR: site.base, HA_ETCD_HOME: tools })
  writeFileSync(join(tools, 'cluster.yaml'), `etcd: { version: ${version}, source: release }\n`)
  const none = await own.start('doctor', '--yes').done
  assert.is(none.exitCode, 1)
  assert.match(none.stderr, `etcd ${version} for linux/`)
  assert.match(none.stderr, `release: ${host} does not have SHA256SUMS`)
  if (process.arch !== 'x64') return
  site.answers.set(archive.path, serve(archive.content))
  site.answers.set(`v${version}/SHA256SUMS`, serve(sums(archive)))
  const got = await own.start('doctor', '--yes').done
  assert.is(got.exitCode, 0, got.stderr)
  assert.not.match(got.stderr, /warning/i)
  assert.match(got.stdout, `etcd ${version}: the release from ${host}; its SHA-256 is not pinned here`)
  assert.match(
    (await own.verb('doctor', '--yes')).stdout,
    `etcd ${version} in ${tools}/.tools/etcd-release-linux-amd64`,
  )
})

test.run()
