// Whether the tests find mistakes: each is planted in a copy of the project, one line, and the tests that hold its rule
// must fail. node --import ha-etcd/loader test/mutations/run.ts [part of the name of a file or of a test]
import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../../tasks/core/environment.ts'
import { table } from '../../tasks/core/terminal.ts'
import { temporaryFolder } from '../support/folder.ts'
import { mistakes } from './mistakes.ts'

const [part = ''] = process.argv.slice(2)
const copy = temporaryFolder()
for (const name of ['package.json', '.npmrc', 'tsconfig.json', 'biome.json', 'scripts', 'tasks', 'templates', 'test'])
  cpSync(join(projectFolder, name), join(copy, name), { recursive: true })
for (const name of ['node_modules', '.tools']) symlinkSync(join(projectFolder, name), join(copy, name))

const rows = [['MISTAKE', 'IN', 'FOUND BY']]
let missed = 0
for (const { file, line, wrong, tests } of mistakes.filter((one) =>
  [one.file, ...one.tests].some((name) => name.includes(part)),
)) {
  const path = join(copy, file)
  const right = readFileSync(path, 'utf8')
  if (right.split(line).length !== 2) throw new Error(`${file} must have this once: ${line}`)
  writeFileSync(
    path,
    right.replace(line, () => wrong),
  )
  const { stdout } = spawnSync(process.execPath, ['--import', 'ha-etcd/loader', 'test/run.ts', ...tests], {
    cwd: copy,
    encoding: 'utf8',
  })
  writeFileSync(path, right)
  const found = stdout.split('\n').filter((said) => said.startsWith('Failed: '))
  if (found.length === 0) missed++
  rows.push([wrong.trim().split('\n')[0] || '(a line left out)', file, found[0]?.split(': ')[2] ?? 'NOBODY'])
  console.log(rows.at(-1)?.join('  |  '))
}
rmSync(copy, { recursive: true, force: true })
console.log(`\n${table(rows)}\n\n${rows.length - 1 - missed} found, ${missed} not found`)
process.exitCode = missed > 0 ? 1 : 0
