// Every verb and a few faults on each supported version of etcd, real ones; docs/versions.md is made from what happened.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import { memberPids } from '../support/load.ts'
import { destroyHost, type Home, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

/** In the order of the ladder. */
const versions = ['3.4.23', '3.5.33', '3.6.14', '3.7.1']

/** What is run on one version: a row of the table, and what fails, '' where nothing does. */
interface Row {
  name: string
  run: (home: Home, version: string) => Promise<string>
}

const use = (home: Home, version: string): void =>
  writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${etcdOf(version)?.folder} }\n`)

async function ends(home: Home, script: string, ...words: string[]): Promise<string> {
  const { exitCode, stderr } = await home.verb(script, ...words)
  return exitCode === 0 ? '' : `${script} ${words.join(' ')}: ${exitCode}, ${stderr.split('\n')[0]}`
}

const verb = (script: string, ...words: string[]): Row => ({
  name: `\`${[script, ...words].join(' ')}\``,
  run: (home) => ends(home, script, ...words),
})

/** Kills members and takes their hosts away. */
function lose(home: Home, ...hosts: string[]): void {
  const pids = memberPids(home)
  for (const name of hosts) process.kill(pids[name] ?? 0, 'SIGKILL')
  for (const name of hosts) destroyHost(home, name)
}

const next = (version: string, by: number): string | undefined => versions[versions.indexOf(version) + by]

/** To another version; '-' where none is beside it. */
const move = (script: 'upgrade' | 'downgrade', by: number): Row => ({
  name: `\`${script}\``,
  run: async (home, version) => {
    const to = next(version, by)
    if (!to || (by < 0 && version < '3.6')) return '-'
    use(home, to)
    return ends(home, script, '--etcd-version', to)
  },
})

const rows: Row[] = [
  verb('up', '--yes'),
  verb('up'),
  verb('doctor'),
  verb('pki'),
  verb('vms'),
  verb('etcd-role'),
  verb('verify'),
  verb('status'),
  verb('env'),
  verb('certs'),
  verb('load', '--seconds', '3'),
  verb('rotate-certs', '--all'),
  verb('rotate-ca', '--yes'),
  verb('backup'),
  verb('defrag', '--disarm'),
  verb('restart'),
  verb('scale', '--masters', '5'),
  verb('scale', '--masters', '3'),
  {
    name: 'a member killed: `up`',
    run: async (home) => {
      process.kill(memberPids(home).master01 ?? 0, 'SIGKILL')
      return ends(home, 'up', '--yes')
    },
  },
  {
    name: 'a host lost: `replace`',
    run: async (home) => {
      lose(home, 'master02')
      return ends(home, 'replace', 'master02')
    },
  },
  {
    name: '`restore` of its backup',
    run: async (home) => {
      const made = await home.verb('backup', '--json')
      return made.exitCode === 0
        ? ends(home, 'restore', JSON.parse(made.stdout).folder, '--yes')
        : `backup: ${made.stderr}`
    },
  },
  {
    name: 'two of three hosts lost: `recover`',
    run: async (home) => {
      lose(home, 'master02', 'master03')
      return ends(home, 'recover', '--yes')
    },
  },
  move('downgrade', -1),
  {
    name: '`upgrade` back after it',
    run: async (home, version) => {
      if (!next(version, -1) || version < '3.6') return '-'
      use(home, version)
      return ends(home, 'upgrade', '--etcd-version', version)
    },
  },
  move('upgrade', 1),
  verb('down', '--yes', '--purge'),
  {
    name: '`smoke`',
    run: (home, version) => {
      use(home, version)
      return ends(home, 'smoke')
    },
  },
]

/** A version's column: what each row ended with; a date for the head. */
async function column(version: string): Promise<string[]> {
  const home = testHome()
  use(home, version)
  const cells: string[] = []
  for (const row of rows) {
    const cell = await row.run(home, version).catch((error: Error) => error.message)
    console.log(`${version} ${row.name}: ${cell || 'done'}`)
    cells.push(cell)
  }
  await home.downAll()
  return cells
}

const asked = versions.filter((version) => process.argv.length < 3 || process.argv.includes(version))
const there = asked.filter((version) => etcdOf(version) !== undefined)
const columns = new Map<string, string[]>()
for (const version of there) columns.set(version, await column(version))
const failures = [...columns].flatMap(([version, cells]) =>
  cells.flatMap((cell, index) => (cell === '' || cell === '-' ? [] : [`- ${version}, ${rows[index]?.name}: ${cell}`])),
)
if (there.length === versions.length) writeFileSync(join(projectFolder, 'docs/versions.md'), page())
console.log(failures.length === 0 ? `${rows.length * there.length} cells, none failed` : failures.join('\n'))
process.exitCode = failures.length === 0 && there.length === asked.length ? 0 : 1

function page(): string {
  const mark = (cell: string | undefined): string => (cell === '' ? '✔' : cell === '-' ? '–' : '✖')
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`
  const { version } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as { version: string }
  return `${[
    '# What was run on which etcd',
    '',
    `Made by \`npm run test:versions\` on ${new Date().toISOString().slice(0, 10)}, ha-etcd ${version}, Node ${process.versions.node}: three members on local hosts.`,
    "3.4.23 is Debian 12's package, the others were built from the official Go modules. – means that there is no such way.",
    '',
    line(['', ...there]),
    line(['---', ...there.map(() => ':-:')]),
    ...rows.map((row, index) => line([row.name, ...there.map((one) => mark(columns.get(one)?.[index]))])),
    ...(failures.length > 0 ? ['', 'What failed:', '', ...failures] : []),
  ].join('\n')}\n`
}
