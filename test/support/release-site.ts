// A site that has releases of etcd, over TLS by an authority of its own, and behaves as a test wants.
import { fork, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { issueLeaf, keyToPem, makeAuthority, makeKeyPair } from '../../tasks/core/x509.ts'
import type { ReleaseOptions } from '../../tasks/etcd/release.ts'
import { temporaryFolder } from './folder.ts'

export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface Site {
  base: string
  /** The file of its authority's certificate, for NODE_EXTRA_CA_CERTS. */
  authority: string
  /** What is answered at a path below `base`; paths with none are answered with 404. */
  answers: Map<string, Answer>
  /** The path and range of every request so far. */
  asked: string[]
  close: () => void
}

export async function releaseSite(): Promise<Site> {
  const folder = temporaryFolder()
  const authority = await makeAuthority(
    await makeKeyPair('ecdsa-p256'),
    { commonName: 'made up', organization: 't' },
    2,
  )
  const { publicKey, privateKey } = await makeKeyPair('ecdsa-p256')
  const profile = {
    commonName: 'site',
    organization: 't',
    sans: ['127.0.0.1'],
    usages: ['serverAuth' as const],
    ends: 1,
  }
  const certificate = await issueLeaf(authority, publicKey, profile)
  writeFileSync(join(folder, 'ca.crt'), authority.certificate.toString())
  const answers = new Map<string, Answer>()
  const asked: string[] = []
  const server = createServer({ key: keyToPem(privateKey), cert: certificate }, (request, response) => {
    const path = request.url?.slice(1) ?? ''
    asked.push([path.split('/').at(-1), request.headers.range].filter(Boolean).join(' '))
    const answer = answers.get(path)
    if (answer) answer(request, response)
    else response.writeHead(404).end('no')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const close = (): void => {
    server.closeAllConnections()
    server.close()
  }
  const { port } = server.address() as AddressInfo
  return { base: `https://127.0.0.1:${port}`, authority: join(folder, 'ca.crt'), answers, asked, close }
}

/**
 * Answers with the content, from where a range begins. `limit`: how many bytes it sends before it breaks the
 * connection.
 */
export function serve(content: Buffer, limit = Number.POSITIVE_INFINITY): Answer {
  return (request, response) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    if (from >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
      return
    }
    const range = { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` }
    const rest = content.subarray(from)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': rest.length, ...(from > 0 && range) })
    if (rest.length <= limit) response.end(rest)
    else response.write(rest.subarray(0, limit), () => setTimeout(() => response.destroy(), 50))
  }
}

export interface Archive {
  path: string
  content: Buffer
  sum: string
}

/** A release whose programs say that version, and no more; `salt` makes another archive of it. */
export async function archiveOf(version: string, salt = ''): Promise<Archive> {
  const folder = temporaryFolder()
  const name = `etcd-v${version}-linux-amd64`
  mkdirSync(join(folder, name))
  for (const program of ['etcd', 'etcdctl', 'etcdutl'])
    writeFileSync(join(folder, name, program), `#!/bin/sh\necho ${program} Version: ${version} ${salt}\n`, {
      mode: 0o755,
    })
  writeFileSync(join(folder, name, 'README.md'), randomBytes(100_000).toString('hex'))
  const tar = spawn('tar', ['-cf', 'a.tar', name], { cwd: folder })
  await new Promise((done) => tar.once('exit', done))
  const gzip = spawn('gzip', ['-1', 'a.tar'], { cwd: folder })
  await new Promise((done) => gzip.once('exit', done))
  const content = readFileSync(join(folder, 'a.tar.gz'))
  return { path: `v${version}/${name}.tar.gz`, content, sum: createHash('sha256').update(content).digest('hex') }
}

export interface Outcome {
  folder?: string
  told?: string
  /** Why this way is not open. */
  closed?: string
  /** Why what came is not used, whatever other ways there are. */
  refused?: string
  hint?: string | undefined
  progress: string[]
}

/** What a fetcher is told: with which variables of the environment it fetches which release. */
export interface Asked {
  version: string
  options: ReleaseOptions
  env: Record<string, string>
}

export interface Fetcher {
  fetch: (asked: Asked) => Promise<Outcome>
  /** Fetches, and is ended (-9) as soon as it has received something. */
  fetchKilled: (asked: Asked) => Promise<void>
  close: () => void
}

/** Fetches releases in a process of its own: it trusts the authorities of NODE_EXTRA_CA_CERTS as it starts. */
export function startFetcher(env: Record<string, string> = {}): Fetcher {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  const child = fork(new URL('./release-fetcher.ts', import.meta.url), {
    execArgv: ['--import', 'ha-etcd/loader'],
    env: { ...inherited, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let stderr = ''
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  child.stderr?.on('data', (words: Buffer) => (stderr += words))
  return {
    fetch: async (asked) => {
      const answer = new Promise<Outcome>((done) => child.once('message', (outcome) => done(outcome as Outcome)))
      child.send(asked)
      return Promise.race([answer, ended.then(() => Promise.reject(new Error(`it has ended: ${stderr}`)))])
    },
    fetchKilled: async (asked) => {
      child.stderr?.on('data', () => stderr.includes('begun') && child.kill('SIGKILL'))
      child.send(asked)
      await ended
    },
    close: () => void child.kill(),
  }
}
