// Every verb and a few faults on each supported version of etcd, real ones; docs/versions.md is made from what
// happened.
// npm run test:versions -- 3.6.14 runs one of them: the others' columns stay as they were found before.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import { memberPids } from '../support/load.ts'
import { destroyHost, type Home, testHome } from '../support/verbs.ts'
import { etcdOf } from '../support/versions.ts'

/** In the order of the ladder. */
const versions = ['3.4.23', '3.5.33', '3.6.14', '3.7.1']
const folders: Record<string, string | undefined> = {}
for (const version of versions) folders[version] = (await etcdOf(version))?.folder

/** What is run on one version: a row of the table, and what fails, '' where nothing does. */
interface Row {
  name: string
  run: (home: Home, version: string) => Promise<string>
}

const use = (home: Home, version: string): void =>
  writeFileSync(join(home.path, 'cluster.yaml'), `etcd: { binaries: ${folders[version]} }\n`)

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
  verb('metrics'),
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

/** What was found of a version: the day, and what each row ended with. */
interface Column {
  day: string
  cells: Record<string, string>
}

async function column(version: string): Promise<Column> {
  const home = testHome()
  use(home, version)
  const cells: Record<string, string> = {}
  for (const row of rows) {
    const cell = await row.run(home, version).catch((error: Error) => error.message)
    console.log(`${version} ${row.name}: ${cell || 'done'}`)
    cells[row.name] = cell
  }
  await home.downAll()
  return { day: new Date().toISOString().slice(0, 10), cells }
}

const kept = join(projectFolder, 'docs/versions.json')
const columns: Record<string, Column> = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : {}
const asked = versions.filter((version) => process.argv.length < 3 || process.argv.includes(version))
for (const version of asked.filter((one) => folders[one] !== undefined)) {
  columns[version] = await column(version)
  writeFileSync(kept, `${JSON.stringify(columns, null, 2)}\n`)
  writeFileSync(join(projectFolder, 'docs/versions.md'), page())
}
const failed = failures().filter((line) => asked.some((version) => line.startsWith(`- ${version},`)))
console.log(failed.length === 0 ? `${rows.length} rows on ${asked.join(', ')}: none failed` : failed.join('\n'))
process.exitCode = failed.length === 0 && asked.every((version) => columns[version]) ? 0 : 1

function failures(): string[] {
  return Object.entries(columns).flatMap(([version, { cells }]) =>
    Object.entries(cells).flatMap(([name, cell]) =>
      cell === '' || cell === '-' ? [] : [`- ${version}, ${name}: ${cell}`],
    ),
  )
}

function page(): string {
  const there = versions.filter((version) => columns[version])
  const mark = (cell: string | undefined): string =>
    cell === '' ? '✔' : cell === undefined || cell === '-' ? '–' : '✖'
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`
  return `${[
    '# What was run on which etcd',
    '',
    `Made by \`npm run test:versions\`: three members on local hosts, Node ` +
      `${process.versions.node.split('.')[0]}. 3.4.23 is Debian 12's package, the`,
    'others were built from the official Go modules. – means that there is no such way, ✖ that it failed.',
    '',
    line(['', ...there]),
    line(['---', ...there.map(() => ':-:')]),
    line(['run on', ...there.map((version) => columns[version]?.day ?? '')]),
    ...rows.map(({ name }) => line([name, ...there.map((version) => mark(columns[version]?.cells[name]))])),
    ...(failures().length > 0 ? ['', 'What failed:', '', ...failures()] : []),
  ].join('\n')}\n`
}
