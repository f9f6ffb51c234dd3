// The only reader of the environment: what it may say, and where the project keeps its things.
import { existsSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UsageError } from './errors.ts'
import { run } from './run.ts'
import { suggest } from './suggest.ts'

// Node gives a program a socket for its input. A bash that stands below no other shell takes that for rshd's, and reads
// the person's ~/.bashrc first (bash(1), "Invocation"): slow, and what that prints would be taken for the program's own
// words.
if (!(Number(process.env.SHLVL) > 0)) process.env.SHLVL = '1'

/** Every variable of ours, with what it means; `--help` and the docs show this table. */
export const environmentVariables = {
  HA_ETCD_CLUSTER: 'as --cluster',
  HA_ETCD_PROVIDER: 'as --provider',
  HA_ETCD_MASTERS: 'as --masters (MASTER_COUNT means the same)',
  HA_ETCD_CONFIG: 'as --config',
  HA_ETCD_MIRROR: 'as etcd.mirror: where a mirror of the official release is',
  HA_ETCD_HOME: 'where certs/, .cluster/ and .tools/ are (the project)',
  HA_ETCD_CA_PASSPHRASE: "the CA key's passphrase; a new key is encrypted by it",
} as const

export const vagrantsOwnChoice = (): string | undefined => run().env.VAGRANT_DEFAULT_PROVIDER || undefined

export const vagrantHome = (): string => run().env.VAGRANT_HOME || join(homedir(), '.vagrant.d')

/** The checkout itself: templates and scripts are found from here. */
export const projectFolder = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** Where certs/, .cluster/ and .tools/ are. */
export function home(): string {
  const named = resolve(run().env.HA_ETCD_HOME || projectFolder)
  return existsSync(named) ? realpathSync(named) : named // by a link, too, it is the same cluster
}

/** The passphrase of the CA's key, if there is one. Never logged. */
export const caPassphrase = (): string | undefined => run().env.HA_ETCD_CA_PASSPHRASE || undefined

/** The environment of programs that we start, with `more`. None needs the passphrase, and others could see it there. */
export function programEnvironment(more: Record<string, string | undefined> = {}): NodeJS.ProcessEnv {
  const { HA_ETCD_CA_PASSPHRASE: _, ...environment } = run().env
  return { ...environment, ...more }
}

/** What a program that a timer starts needs of a person's environment, besides our own home folder. */
const meantForTimers = ['HOME', 'VAGRANT_HOME', 'RCLONE_CONFIG', 'NODE_EXTRA_CA_CERTS', 'NO_PROXY', 'no_proxy']
const proxies = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']

/** The variables with which a timer is to start us: nothing that is secret, so no proxy with a password either. */
export function environmentOfTimers(): [name: string, value: string][] {
  const { env } = run()
  const given = [...meantForTimers, ...proxies.filter((name) => !env[name]?.includes('@'))]
  const there = given.flatMap((name): [string, string][] => (env[name] ? [[name, env[name]]] : []))
  // npx puts folders of its own there
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder && !folder.includes('/node_modules/'))
  return [['PATH', [...new Set(folders)].join(delimiter)], ...there, ['HA_ETCD_HOME', home()]]
}

/** The words that start one of our scripts in the project's folder: as npx does, without its half second. */
export const startOf = (script: string): [program: string, ...words: string[]] => [
  process.execPath,
  ...['--import', 'ha-etcd/loader', 'node_modules/zx/build/cli.js'],
  join(projectFolder, 'scripts', `${script}.ts`),
]

export const startedByNpm = (): boolean => !!run().env.npm_command

/** A person's own variables of this prefix, each undefined: what a program is not to hear. */
export const unheard = (prefix: string): Record<string, undefined> =>
  Object.fromEntries(Object.keys(run().env).flatMap((name) => (name.startsWith(prefix) ? [[name, undefined]] : [])))

export const isNpm = (words: string[]): boolean =>
  /^(npm|npx)\b|\b(npm|npx)(-cli\.js)?\b/.test(words.slice(0, 2).join(' '))

/** Whether a command is the shell in which npm started the script that this process belongs to. */
export function isShellOfNpm(words: string[], script = run().env.npm_lifecycle_script): boolean {
  const [shell, flag, ...rest] = words
  return !!script && !!shell && flag === '-c' && rest.join(' ').startsWith(script)
}

/** True where nobody can answer a prompt and a CI system has said so. */
export const isContinuousIntegration = (): boolean => !run().attended && !!run().env.CI && run().env.CI !== 'false'

/** The settings that the environment gives, as text. Unknown HA_ETCD_ names are refused. */
export function settingsFromEnvironment(
  env: NodeJS.ProcessEnv = run().env,
): Partial<Record<'cluster' | 'provider' | 'masters' | 'config' | 'boxVersion' | 'mirror', string>> {
  const known = Object.keys(environmentVariables)
  for (const name of Object.keys(env)) {
    if (name.startsWith('HA_ETCD_') && !known.includes(name))
      throw new UsageError(`Unknown environment variable ${name}.${suggest(name, known)}`)
  }
  const given = {
    cluster: env.HA_ETCD_CLUSTER,
    provider: env.HA_ETCD_PROVIDER,
    masters: env.HA_ETCD_MASTERS || env.MASTER_COUNT,
    config: env.HA_ETCD_CONFIG,
    boxVersion: env.BOX_VERSION,
    mirror: env.HA_ETCD_MIRROR,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== ''))
}
