// Ansible: which one plays are run with, and getting one of our own, without root, where there is none.
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { projectFolder } from './environment.ts'
import { notFound, OperationError } from './errors.ts'
import { compareVersions, fetchedFolders, fetchTool, findProgram, versionOf } from './programs.ts'
import { run } from './run.ts'
import { ask, work } from './shell.ts'

export const oldestAnsible = '2.14.0'
/** What templates/python/requirements.txt knows Ansible for. */
const oldestPython = '3.9.0'

interface Ansible {
  /** The folder with ansible-playbook and its kin. */
  folder: string
  version: string
}

/** PATH's, where it is new enough; else ours; else PATH's, though too old; undefined where there is none. */
export async function findAnsible(): Promise<Ansible | undefined> {
  const onPath = findProgram('ansible-playbook')
  const theirs = onPath ? await ansibleIn(dirname(onPath)) : undefined
  if (theirs && compareVersions(theirs.version, oldestAnsible) >= 0) return theirs
  for (const folder of fetchedFolders('ansible')) {
    const ours = await ansibleIn(folder)
    if (ours) return ours
  }
  return theirs
}

/** The path of one of Ansible's programs. @throws OperationError */
export async function requireAnsible(
  name: 'ansible-playbook' | 'ansible-inventory' | 'ansible-config',
): Promise<string> {
  const found = await findAnsible()
  if (found) return join(found.folder, name)
  throw notFound('Ansible')
}

export async function ansiblePython(): Promise<string> {
  const program = await requireAnsible('ansible-playbook')
  const own = join(dirname(program), 'env/bin/python3')
  return existsSync(own) ? own : (shebangOf(program) ?? 'python3')
}

/** `--version` takes Ansible half a second; its own Python knows it at once. A Python that was replaced knows none. */
async function ansibleIn(folder: string): Promise<Ansible | undefined> {
  const [program, own] = [join(folder, 'ansible-playbook'), join(folder, 'env/bin/python3')]
  const python = existsSync(own) ? own : shebangOf(program)
  const asked = ['-c', 'import ansible.release; print(ansible.release.__version__)']
  const version =
    (python && (await versionOf(python, asked))) || (existsSync(own) ? undefined : await versionOf(program))
  return version ? { folder, version } : undefined
}

const shebangOf = (program: string): string | undefined =>
  /^#!\s*(\/\S+python\S*)\s*$/.exec(readFileSync(program, 'utf8').split('\n', 1)[0] ?? '')?.[1]

/** A Python that an environment of our own can be made with; undefined where there is none. */
export async function pythonForAnsible(): Promise<string | undefined> {
  const names = ['python3', ...[14, 13, 12, 11, 10, 9].map((minor) => `python3.${minor}`)]
  for (const name of names) {
    const program = findProgram(name)
    const version = program && (await versionOf(program))
    if (version && compareVersions(version, oldestPython) >= 0) return program
  }
  return undefined
}

const maker = join(projectFolder, 'templates/python/environment.py')

/** Why the package index cannot be reached; '' where it can. Asked once a run. */
export function indexSilence(python: string): Promise<string> {
  return run().once('index', async () => {
    const { exitCode, stderr } = await ask(python, [maker, '--probe'], { timeout: 40_000 })
    return exitCode === 0 ? '' : stderr.trim() || 'no answer'
  })
}

/** Makes .tools/ansible-<version> with packages of the index, checked by their hashes. Returns the version. */
export async function fetchAnsible(python: string, report: (line: string) => void): Promise<string> {
  for (const folder of fetchedFolders('ansible')) if (!(await ansibleIn(folder))) rmSync(folder, { recursive: true })
  const folder = await fetchTool('ansible', async (part) => {
    const onLine = (line: string): void => void (/^(Collecting|Installing)/.test(line) && report(line.slice(0, 80)))
    const { exitCode, stdout, stderr } = await work(python, [maker, part], { onLine })
    const version = /^ansible-core (\d+\.\d+\.\d+)/m.exec(stdout)?.[1]
    if (exitCode !== 0 || !version)
      throw new OperationError('Ansible could not be fetched from the package index. Nothing was changed.', {
        output: stderr,
        hint: 'Install ansible-core 2.14 or later, for example with: pipx install ansible-core',
      })
    return { from: part, version }
  })
  return folder.split('-').at(-1) ?? ''
}
