// A place that rclone knows (https://rclone.org): a bucket, a server, a folder. How the program is called, and the only
// file that reads its words. What lets us in is in rclone's own configuration: it is never seen here.
import { existsSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Check } from './check.ts'
import { home } from './environment.ts'
import { OperationError, UsageError } from './errors.ts'
import { nearestThere, whyNotWritable } from './files.ts'
import { unmountedAt } from './mounts.ts'
import { aptInstall, aptUnpack, fetchTool, findProgram, hasApt, isRoot } from './programs.ts'
import { run } from './run.ts'
import { type Result, shellQuoted, work } from './shell.ts'
import { bytes } from './terminal.ts'

const remedy = 'Install rclone 1.50 or later: your distribution has it, or https://rclone.org/install.'

/** That rclone is here; got with apt-get where it is missing. */
export const rcloneCheck: Check = {
  title: 'Check rclone',
  look: async () => findProgram('rclone', 'rclone') ?? { detail: 'rclone was not found.', remedy },
  mend: {
    question: () =>
      Promise.resolve(isRoot() ? 'rclone is missing. Install the package rclone with apt-get?' : undefined),
    impossible: () => (hasApt() ? undefined : remedy),
    run: async (report) => {
      if (isRoot()) await aptInstall(['rclone'], report)
      else
        await fetchTool('rclone', async (part) => {
          const version = await aptUnpack(['rclone'], part)
          return { from: `${part}/usr/bin`, version }
        })
      return `rclone ${isRoot() ? 'installed' : 'unpacked'} with apt-get`
    },
  },
}

/** Secrets in a connection string could be read by every user of this machine, in the list of processes. */
const secretOption = /[,:](?!\w*_file=)\w*(pass|secret|token|key)\w*=/i

/**
 * A target as rclone takes it: a folder of this machine becomes an absolute path.
 * @throws UsageError for a folder that is not there, which may be one that is not mounted, and for secrets
 */
export function targetNamed(given: string): string {
  const text = given.replace(/\/+$/, '') || '/'
  if (secretOption.test(text))
    throw new UsageError('The target has a secret in it, which others on this machine could read.', {
      hint: 'Give it to rclone instead: rclone config, or RCLONE_CONFIG_NAME_… in the environment.',
    })
  const isRemote = text.includes(':') && !/^[./]/.test(text)
  if (isRemote) return text
  const folder = resolve(text)
  const ours = ['.cluster', 'certs'].map((name) => join(home(), name))
  if (ours.some((one) => `${realpathOf(folder)}/`.startsWith(`${one}/`)))
    throw new UsageError(`The target ${folder} is one of ha-etcd's own folders: it would burn with this machine.`, {
      hint: 'Name a folder on another disk, or what rclone knows: NAME:PATH.',
    })
  const place = unmountedAt(folder)
  if (place)
    throw new UsageError(`Nothing is mounted at ${place}, though /etc/fstab names it: ${folder} is on another disk.`, {
      hint: `Mount it: mount ${shellQuoted(place)}`,
    })
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return folder
  const why = existsSync(folder) ? 'is no folder' : 'is not there'
  throw new UsageError(`The target ${folder} ${why}.`, {
    hint: existsSync(dirname(folder))
      ? 'Make it, or mount it. What rclone knows by a name is written NAME:PATH.'
      : 'Name a folder that is there, or what rclone knows: NAME:PATH.',
  })
}

/**
 * Asked before anything takes time. Of what is no folder of this machine only a try shows it.
 * @throws UsageError where no files can be put into that folder of the target
 */
export function refuseUnwritable(target: string, folder: string): void {
  const why = isFolder(target) && whyNotWritable(nearestThere(join(target, folder)))
  if (!why) return
  const [, sentence = why, hint = ''] = why === 'EROFS' ? readOnly : mayNotWrite
  throw new UsageError(`The target ${target}: ${sentence}.`, { hint })
}

/** One of this machine, as targetNamed gives it. */
export const isFolder = (target: string): boolean => target.startsWith('/')

const realpathOf = (path: string): string => (existsSync(path) ? realpathSync(path) : path)

export interface Entry {
  name: string
  sizeBytes: number
}

/** What lies in a folder of the target: files, or with `folders` these; none where there is no such folder. */
export async function list(target: string, folder = '', folders = false): Promise<Entry[]> {
  const kind = folders ? '--dirs-only' : '--files-only'
  const args = ['lsjson', kind, '--no-modtime', placeOf(target, folder)]
  const { stdout, exitCode } = await rclone(target, args, { nothing: true })
  if (exitCode !== 0) return []
  return (JSON.parse(stdout) as { Name: string; Size: number }[]).map(({ Name, Size }) => ({
    name: Name,
    sizeBytes: Size,
  }))
}

/** Copies the files of that ending from a folder of the target into one of this machine. */
export const getAll = (target: string, folder: string, ending: string, to: string): Promise<Result> =>
  rclone(target, ['copy', '--max-depth', '1', '--include', `*${ending}`, placeOf(target, folder), to], {
    nothing: true,
  })

/** `path`: of a file, at the target. Whole or not at all; `say` gets how far it is. */
export const get = (target: string, path: string, to: string, say: Say): Promise<Result> =>
  rclone(target, ['copyto', placeOf(target, path), to], { say })

/** As `get`. rclone compares what has arrived: its size, and a checksum where the target has one. */
export const put = (target: string, from: string, path: string, say: Say): Promise<Result> =>
  rclone(target, ['copyto', '--ignore-times', from, placeOf(target, path)], { say })

export const remove = (target: string, path: string): Promise<Result> =>
  rclone(target, ['deletefile', placeOf(target, path)])

type Say = (progress: string) => void

const placeOf = (target: string, path: string): string =>
  path === '' ? target : `${target}${/[:/]$/.test(target) ? '' : '/'}${path}`

/** A target that does not answer is left after these; a copy that goes on may take as long as it needs. */
const limits = ['--contimeout', '15s', '--timeout', '60s', '--retries', '2', '--low-level-retries', '3']
const words = ['--use-json-log', '--ask-password=false']
/** Its log goes where we read line by line. */
const toUs = ['-c', 'exec "$0" "$@" 2>&3']

/** Exit codes of rclone (https://rclone.org/docs/#exit-code): a folder, or a file, is not there. */
const notThere = [3, 4]

/** @param nothing true where what is not there is no failure @throws OperationError in our words */
async function rclone(
  target: string,
  args: string[],
  { say, nothing = false }: { say?: Say; nothing?: boolean } = {},
): Promise<Result> {
  const program = findProgram('rclone', 'rclone')
  if (!program) throw new OperationError('rclone was not found.', { hint: remedy })
  const progress = say ? ['--stats', '1s', '--stats-log-level', 'NOTICE'] : []
  let log = ''
  const onEvent = (line: string): void => {
    log += `${line}\n`
    const done = say && progressIn(line)
    if (done) say(done)
  }
  const result = await work('sh', [...toUs, program, ...limits, ...words, ...progress, ...args], { onEvent })
  run().note(log)
  if (result.exitCode === 0 || (nothing && notThere.includes(result.exitCode))) return result
  throw failure(target, log)
}

/** How far a copy is, where that line of the log says so. */
export function progressIn(line: string): string | undefined {
  const [, done, all] = /"stats":\{"bytes":(\d+),.*"totalBytes":(\d+)/.exec(line) ?? []
  return Number(all) > 0 ? `${bytes(Number(done))} of ${bytes(Number(all))}` : undefined
}

/** What rclone complained of: the last line of its log, in JSON, or that it printed before it had read its flags. */
export function lastWords(stderr: string): string {
  const complaints = stderr.split('\n').flatMap((line) => {
    const [, early] = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d (?:\w+ *: )?(.+)/.exec(line) ?? []
    if (early) return early
    try {
      const { level, msg } = JSON.parse(line) as { level: string; msg: string }
      return ['error', 'critical', 'fatal'].includes(level) ? (msg.split('\n')[0] ?? '') : []
    } catch {
      return [] // a line that goes on from the one before
    }
  })
  return complaints.at(-1)?.replace(/^Failed to \w+(?: with \d+ errors)?: (?:last error was: )?/, '') ?? ''
}

type Meaning = [pattern: RegExp, sentence: string, hint: string, isUsage?: true]

const readOnly: Meaning = [
  /read-only file system/i,
  'it is read-only',
  'Mount it so that it can be written, or name another target.',
]
const mayNotWrite: Meaning = [
  /permission denied/i,
  'this user may not write there',
  'Give this user the right to, or name another target.',
]

/** What rclone's words mean: of the backends that it has, each says so in its own. */
const meanings: Meaning[] = [
  [
    /didn't find section in config file/,
    'rclone knows no remote of that name',
    'See those it knows: rclone listremotes. Make one: rclone config.',
    true,
  ],
  [
    /RequestTimeTooSkewed|time too skewed|RequestExpired|certificate has expired or is not yet valid/i,
    "it does not accept this machine's clock",
    'Set the clock right: this machine and the target differ too much.',
  ],
  [
    /SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|unable to authenticate|\b40[13]\b|Forbidden|Unauthorized/i,
    'it does not let us in',
    'See what rclone has of the user and the password there: rclone config. Then run the same command again.',
  ],
  readOnly,
  mayNotWrite,
  [
    /no space left|remaining disk space|quota|insufficient ?storage|\b507\b|StorageFull|EntityTooLarge/i,
    'it is full',
    'Make room there: the new one must fit beside the old ones, which go afterwards. Then run it again.',
  ],
  [
    /connection refused|no such host|no route to host|network is unreachable|i\/o timeout|deadline exceeded/i,
    'it does not answer',
    'See that it is up, and reached from here. Then run the same command again.',
  ],
  [
    /NoSuchBucket|bucket .*(not|n't) exist|directory not found|object not found|InvalidBucketName/i,
    'that is not there',
    'See what is there: rclone lsf TARGET.',
  ],
]

/** @returns what to throw when rclone failed with these words at that target */
export function failure(target: string, stderr: string): OperationError {
  const [, sentence, hint, isUsage] = meanings.find(([pattern]) => pattern.test(stderr)) ?? [
    undefined,
    'rclone failed',
    `See what it says: rclone lsf ${target}`,
  ]
  const Kind = isUsage ? UsageError : OperationError
  return new Kind(`The target ${target}: ${sentence}.`, {
    hint: hint.replace('TARGET', target),
    output: lastWords(stderr),
  })
}
