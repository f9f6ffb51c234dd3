// Downloading a file: gone on with where it was cut off, through the person's proxy, limited by stalls and not by
// length.
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Dispatcher } from 'undici'
import { UsageError } from './errors.ts'
import { birthOf } from './processes.ts'
import { run, sleep } from './run.ts'

export interface DownloadOptions {
  /** Called with the bytes that are there, and how many there will be where the server says so. */
  onProgress?: (received: number, total: number | undefined) => void
  /** How long the server may say nothing, in milliseconds. */
  stallMs?: number
}

/** The file cannot be had from there, for the reason that the message gives as a clause. */
export class DownloadError extends Error {}

/** The connection broke: the same again may go on from there. */
class Cut extends DownloadError {}

const triesWithoutProgress = 3
const mostTries = 50
const mostRedirects = 5

/**
 * Downloads a file into the folder of `file`; what another run began is gone on with. Proxies: HTTPS_PROXY, HTTP_PROXY
 * and NO_PROXY, in capitals or not.
 * @returns the path of the whole file, which is the caller's to remove, and whether a part of it was there before: then
 * a wrong content may come from that
 * @throws DownloadError, after which what was received is kept for the next run
 */
export async function download(
  url: string,
  file: string,
  options: DownloadOptions = {},
): Promise<{ path: string; resumed: boolean }> {
  const path = await claimPart(file)
  const resumed = sizeOf(path) > 0
  const dispatcher = await throughProxy(options.stallMs ?? 30_000)
  try {
    await receiveAll(url, path, dispatcher, options)
    return { path, resumed }
  } catch (error) {
    renameIfThere(path, `${file}.part`)
    throw error
  } finally {
    await dispatcher.destroy()
  }
}

/** Goes on after each cut, as long as some tries bring more than the ones before. @throws DownloadError */
async function receiveAll(url: string, part: string, dispatcher: Dispatcher, options: DownloadOptions): Promise<void> {
  for (let tries = 1, vain = 0; ; tries++) {
    const before = sizeOf(part)
    try {
      return await receive(url, part, dispatcher, options)
    } catch (error) {
      run().throwIfStopped()
      vain = sizeOf(part) > before ? 0 : vain + 1
      if (!(error instanceof Cut) || vain >= triesWithoutProgress || tries >= mostTries) throw error
      await sleep(300 * (vain + 1))
    }
  }
}

/** A part belongs to one run at a time, whose pid it bears; the largest that nobody holds is taken over, others go. */
async function claimPart(file: string): Promise<string> {
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true })
  const mine = `${file}.part.${process.pid}`
  const parts = readdirSync(folder).filter((name) => name.startsWith(`${basename(file)}.part`))
  const held = await Promise.all(parts.map(isHeld))
  const free = parts.filter((_, index) => !held[index]).map((name) => join(folder, name))
  for (const path of free.sort((a, b) => sizeOf(b) - sizeOf(a))) {
    if (existsSync(mine)) rmSync(path, { force: true })
    else renameIfThere(path, mine)
  }
  return mine
}

async function isHeld(part: string): Promise<boolean> {
  const pid = Number(/\.part\.(\d+)$/.exec(part)?.[1] ?? 0)
  return pid > 0 && (await birthOf(pid)) !== undefined
}

/** Another run may take it in the same moment. */
function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

/** Loaded only where something is downloaded: that takes 0.1 s. @throws UsageError for a proxy that is no URL */
async function throughProxy(stallMs: number): Promise<Dispatcher> {
  const { EnvHttpProxyAgent } = await import('undici')
  const { emitWarning } = process
  process.emitWarning = () => {} // undici 6 says there that this class may change; package-lock.json holds it
  const limits = { headersTimeout: stallMs, bodyTimeout: stallMs, connect: { timeout: Math.min(stallMs, 10_000) } }
  try {
    return new EnvHttpProxyAgent(limits)
  } catch (error) {
    throw new UsageError(`HTTPS_PROXY or HTTP_PROXY cannot be used: ${(error as Error).message}.`, {
      hint: 'It must be a URL such as http://proxy.example:3128.',
    })
  } finally {
    process.emitWarning = emitWarning
  }
}

/** One connection's worth of the file, appended to the part. @throws Cut where it ended early, else DownloadError */
async function receive(url: string, part: string, dispatcher: Dispatcher, options: DownloadOptions): Promise<void> {
  const have = sizeOf(part)
  const { answer, host } = await follow(url, have, dispatcher)
  const { statusCode, headers, body } = answer
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+)/.exec(String(headers['content-range'] ?? ''))
  const total = Number(range?.[2] ?? headers['content-length'] ?? Number.NaN)
  const whole = statusCode === 416 && total === have
  const misfit = statusCode === 206 && Number(range?.[1]) !== have
  if (statusCode === 416 || misfit) {
    await body.dump().catch(() => undefined)
    if (whole) return
    rmSync(part, { force: true })
    throw new Cut(`${host} does not go on where it ended`)
  }
  const fd = openSync(part, 'a', 0o600)
  try {
    if (statusCode === 200) ftruncateSync(fd)
    let received = statusCode === 200 ? 0 : have
    for await (const chunk of body as AsyncIterable<Buffer>) {
      writeFileSync(fd, chunk)
      received += chunk.length
      options.onProgress?.(received, Number.isNaN(total) ? undefined : total)
    }
    if (received < total) throw new Cut(`${host} sent ${received} of ${total} bytes`)
  } catch (error) {
    if (error instanceof DownloadError || (error as NodeJS.ErrnoException).syscall === 'write') throw error
    throw new Cut(`${host} ${wordsFor(error, 'broke off')}`)
  } finally {
    closeSync(fd)
  }
}

/** Asks for what comes after `have` bytes, wherever redirects lead; never from https to http. */
async function follow(
  url: string,
  have: number,
  dispatcher: Dispatcher,
): Promise<{ answer: Dispatcher.ResponseData; host: string }> {
  const { request } = await import('undici')
  let at = new URL(url)
  for (let hops = 0; hops <= mostRedirects; hops++) {
    const { host } = at
    const headers = { 'user-agent': 'ha-etcd', ...(have > 0 && { range: `bytes=${have}-` }) }
    const answer = await request(at, { dispatcher, headers, signal: run().signal }).catch((error: unknown) => {
      throw failed(host, error)
    })
    const { statusCode, headers: answered } = answer
    if ([200, 206, 416].includes(statusCode)) return { answer, host }
    await answer.body.dump().catch(() => undefined)
    if (statusCode >= 500 || statusCode === 429) throw new Cut(`${host} answered ${statusCode}`)
    if (statusCode < 300 || statusCode >= 400 || !answered.location)
      throw new DownloadError(
        statusCode === 404 ? `${host} does not have ${basename(at.pathname)}` : `${host} answered ${statusCode}`,
      )
    const next = new URL(String(answered.location), at)
    if (at.protocol === 'https:' && next.protocol !== 'https:')
      throw new DownloadError(`${host} leads to ${next.host} without TLS`)
    at = next
  }
  throw new DownloadError(`${new URL(url).host} leads from one address to the next, more than ${mostRedirects} times`)
}

/** What kept a request from being answered. A connection that was there and broke is a Cut. */
function failed(host: string, error: unknown): DownloadError {
  run().throwIfStopped()
  const code = codeOf(error)
  const words = `${host} ${wordsFor(error, 'cannot be reached')}`
  return ['ECONNRESET', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT'].includes(code)
    ? new Cut(words)
    : new DownloadError(words)
}

const codeOf = (error: unknown): string => {
  const { code, cause } = error as { code?: string; cause?: { code?: string } }
  return code ?? cause?.code ?? ''
}

function wordsFor(error: unknown, otherwise: string): string {
  const code = codeOf(error)
  const message = (error as Error).message.split('\n')[0] ?? ''
  if (/CERT|SELF_SIGNED|ISSUER|VERIFY/.test(code)) return `has a certificate that is not trusted here (${code})`
  if (/TIMEOUT/.test(code)) return code === 'UND_ERR_CONNECT_TIMEOUT' ? 'cannot be reached (no answer)' : 'stalled'
  return `${otherwise} (${code.startsWith('UND_ERR') || !code ? message : code})`
}
