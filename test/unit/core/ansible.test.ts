// Which Ansible is taken, and where the program that makes one of our own looks for packages.
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { temporaryFolder } from '../../support/folder.ts'

const home = temporaryFolder()
process.env.HA_ETCD_HOME = home
const { projectFolder } = await import('../../../tasks/core/environment.ts')
const { findAnsible } = await import('../../../tasks/core/ansible.ts')

const test = suite('ansible')
const maker = join(projectFolder, 'templates/python/environment.py')

function standIn(folder: string, version: string): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'ansible-playbook'), `#!/bin/sh\necho "core ${version}"\n`, { mode: 0o755 })
  return folder
}

/** Which version is taken where PATH has this one. */
async function taken(version?: string): Promise<string | undefined> {
  const before = process.env.PATH
  process.env.PATH = `${version ? standIn(temporaryFolder(), version) : temporaryFolder()}:${shellFolder}`
  const found = await findAnsible()
  process.env.PATH = before
  return found?.version
}

/** A shell to start it with, and nothing else. */
const shellFolder = temporaryFolder()
for (const name of ['sh', 'bash'])
  writeFileSync(join(shellFolder, name), `#!/bin/sh\nexec /bin/${name} "$@"\n`, { mode: 0o755 })

test("PATH's Ansible is taken where it is new enough, else ours, else none is better than the old one", async () => {
  assert.is(await taken(), undefined)
  assert.is(await taken('2.9.6'), '2.9.6')
  standIn(join(home, '.tools/ansible-2.19.14'), '2.19.14')
  assert.is(await taken('2.14.18'), '2.14.18')
  assert.is(await taken('2.9.6'), '2.19.14')
  assert.is(await taken(), '2.19.14')
})

/** Runs environment.py, as a program or (with code) as a module. */
function make(env: Record<string, string>, ...args: string[]): Promise<{ code: number | null; said: string }> {
  const child = spawn('python3', args, { env: { PATH: process.env.PATH, HOME: home, ...env } })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data))
  return new Promise((done) => child.once('close', (code) => done({ code, said: said.trim() })))
}

test('the index is the one that pip is told of, and one that does not answer is named in a sentence', async () => {
  const asked: string[] = []
  const server = createServer((request, answer) => {
    asked.push(`${request.headers.authorization ?? ''} ${request.url}`.trim())
    answer.statusCode = request.url?.startsWith('/simple/') ? 200 : 404
    answer.end('<a href="/files/pip-25.3-py3-none-any.whl#sha256=0">pip</a>')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const at = `127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    assert.equal(await make({ PIP_INDEX_URL: `http://me:it%40@${at}/simple/` }, maker, '--probe'), {
      code: 0,
      said: '',
    })
    mkdirSync(join(home, '.config/pip'), { recursive: true })
    writeFileSync(join(home, '.config/pip/pip.conf'), `[global]\nindex-url = http://${at}/simple\n`)
    assert.equal(await make({}, maker, '--probe'), { code: 0, said: '' })
    assert.equal(asked, ['Basic bWU6aXRA /simple/ansible-core/', '/simple/ansible-core/'])
    const lost = await make({ PIP_INDEX_URL: `http://${at}/elsewhere` }, maker, '--probe')
    assert.equal(lost, { code: 1, said: 'HTTP Error 404: Not Found' })
    const down = await make({ PIP_INDEX_URL: 'http://127.0.0.1:9/simple' }, maker, '--probe')
    assert.equal(down, { code: 1, said: 'Connection refused' })
  } finally {
    server.close()
  }
})

test('a pip of the index that is not the pinned one is not used, and nothing of it stays', async () => {
  const server = createServer((request, answer) =>
    answer.end(request.url?.endsWith('/pip/') ? '<a href="../../f/pip-25.3-py3-none-any.whl">pip</a>' : 'another'),
  )
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const folder = temporaryFolder()
  const code = `import sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1]); import environment
environment.fetched_pip(sys.argv[2])`
  const index = `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`
  const { code: exit, said } = await make({ PIP_INDEX_URL: index }, '-c', code, join(maker, '..'), folder)
  server.close()
  assert.is(exit, 1)
  assert.match(said, 'of the index has another SHA-256 than the pinned one: it was not used')
  assert.equal(readdirSync(folder), [])
})

test.run()
