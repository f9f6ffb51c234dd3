// Every Node that is supported with every ansible-core: up, up again, down; and a table. Programs come from npm and
// PyPI.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import { table } from '../../tasks/core/terminal.ts'

const nodes = ['20', '22', '24', '26']
/** The last is the newest that the newest Python of this machine can have; 2.14 to 2.18 know none newer than 3.11. */
const ansibles = ['2.14.*', '2.16.*', '2.18.*', '']

const cache = join(projectFolder, 'node_modules/.cache/matrix')
const home = mkdtempSync(join(tmpdir(), 'ha-etcd-matrix-'))
mkdirSync(join(projectFolder, '.tools'), { recursive: true })
symlinkSync(join(projectFolder, '.tools'), join(home, '.tools'))
process.once('exit', () => rmSync(home, { recursive: true, force: true }))

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, {
    cwd: tmpdir(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: withoutLoader(),
  })

/** What `npm run` hands down would reach each npm below it. */
function withoutLoader(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS$|npm_)/.test(name)))
}

/** The folder of a Node with its program, from the package that npm's `node` takes for this platform. */
function nodeIn(major: string): string {
  const [folder, name] = [join(cache, `node-${major}`), `node-${process.platform}-${process.arch}`]
  if (!existsSync(join(folder, `node_modules/${name}/bin/node`))) {
    mkdirSync(folder, { recursive: true })
    run('npm', 'install', '--silent', '--no-fund', '--no-audit', '--prefix', folder, `${name}@${major}`)
  }
  return join(folder, `node_modules/${name}/bin`)
}

/** The folder of an Ansible's programs, in an environment of its own. */
function ansibleIn(version: string, python: string): string {
  const folder = join(cache, `ansible-${version || 'newest'}`)
  if (!existsSync(join(folder, 'bin/ansible-playbook'))) {
    rmSync(folder, { recursive: true, force: true })
    run(python, '-m', 'venv', folder)
    run(join(folder, 'bin/python3'), '-m', 'pip', 'install', '--quiet', `ansible-core${version && `==${version}`}`)
  }
  return join(folder, 'bin')
}

/** One verb; its exit code, and its own last word. */
function verb(path: string, name: string, ...flags: string[]): { ok: boolean; said: string } {
  const env = { ...withoutLoader(), PATH: path, HA_ETCD_HOME: home, HA_ETCD_PROVIDER: 'local' }
  const { status, stdout, stderr } = spawnSync('npx', ['zx', `scripts/${name}.ts`, '--yes', ...flags], {
    cwd: projectFolder,
    env,
    encoding: 'utf8',
  })
  return { ok: status === 0, said: status === 0 ? stdout : `${stdout.slice(-2000)}${stderr}` }
}

function tried(path: string): string {
  const first = verb(path, 'up')
  const again = first.ok ? verb(path, 'up') : first
  const down = verb(path, 'down', '--purge')
  if (first.ok && again.ok && down.ok && again.said.includes('nothing had to be changed')) return 'up, up, down'
  console.log([first, again, down].find(({ ok }) => !ok)?.said ?? again.said)
  return 'FAILED'
}

/** The first of these Pythons that runs here. */
function firstPython(names: string[]): string {
  const python = names.find((name) => spawnSync(name, ['-c', 'import ensurepip']).status === 0)
  if (!python) throw new Error(`None of ${names.join(', ')} is here, with venv and ensurepip.`)
  return python
}

const older = firstPython(['python3.11', 'python3.10', 'python3'])
const newest = firstPython(['python3.14', 'python3.13', 'python3.12', 'python3'])
const rows: string[][] = []
for (const version of ansibles) {
  const python = version ? older : newest
  const ansible = ansibleIn(version, python)
  const is = run(join(ansible, 'ansible-playbook'), '--version').match(/core ([\d.]+)/)?.[1] ?? '?'
  for (const major of nodes) {
    const node = nodeIn(major)
    const path = [node, ansible, process.env.PATH].join(delimiter)
    const row = [run(join(node, 'node'), '--version').trim(), is, run(python, '--version').trim(), tried(path)]
    console.log(row.join('  '))
    rows.push(row)
  }
}
console.log(`\n${table([['NODE', 'ANSIBLE-CORE', 'ON', 'TRIED'], ...rows])}\n`)
const failed = rows.filter((row) => row.includes('FAILED')).length
console.log(`${rows.length - failed} passed, ${failed} failed, 0 skipped`)
process.exitCode = failed > 0 ? 1 : 0
