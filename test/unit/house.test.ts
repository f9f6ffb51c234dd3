// The house's rules. What must not be imported or read is refused by the linter, what may be is not; no line is long.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

const project = resolve(dirname(fileURLToPath(import.meta.url)), '../..')
const phases = ['doctor', 'pki', 'vms', 'etcd-role', 'verify']
const test = suite('house')

/** Where a file stands, what it says, and the rule that refuses it; '' where it is permitted. */
const cases: [path: string, content: string, rule: string][] = [
  ...phases.map((phase): [string, string, string] => [
    'tasks/core/x.ts',
    `import '../${phase}/index.ts'`,
    'noRestrictedImports',
  ]),
  ['tasks/core/x.ts', "import '../etcd/index.ts'", 'noRestrictedImports'],
  ['tasks/core/x.ts', "import '../phases.ts'", 'noRestrictedImports'],
  ['tasks/core/x.ts', "import '../../scripts/up.ts'", 'noRestrictedImports'],
  ['tasks/core/x.ts', "import './index.ts'", ''],
  ['tasks/core/x.ts', 'export const path = process.env.PATH', ''],
  ['tasks/core/x.ts', 'export const words = process.argv', ''],
  ...phases.map((phase): [string, string, string] => [
    'tasks/etcd/x.ts',
    `import '../${phase}/index.ts'`,
    'noRestrictedImports',
  ]),
  ['tasks/etcd/x.ts', "import '../phases.ts'", 'noRestrictedImports'],
  ['tasks/etcd/x.ts', "import '../../scripts/up.ts'", 'noRestrictedImports'],
  ['tasks/etcd/x.ts', "import '../core/index.ts'", ''],
  ['tasks/etcd/x.ts', "import './index.ts'", ''],
  ...phases.flatMap((from) => [
    ...phases
      .filter((to) => to !== from)
      .map((to): [string, string, string] => [
        `tasks/${from}/x.ts`,
        `import '../${to}/index.ts'`,
        'noRestrictedImports',
      ]),
    [`tasks/${from}/x.ts`, "import '../phases.ts'", 'noRestrictedImports'] as [string, string, string],
    [`tasks/${from}/x.ts`, "import '../../scripts/up.ts'", 'noRestrictedImports'] as [string, string, string],
    [`tasks/${from}/x.ts`, "import '../etcd/index.ts'", ''] as [string, string, string],
    [`tasks/${from}/x.ts`, "import '../core/index.ts'", ''] as [string, string, string],
    [`tasks/${from}/x.ts`, "import './index.ts'", ''] as [string, string, string],
  ]),
  ['tasks/doctor/checks/x.ts', "import '../../pki/index.ts'", 'noRestrictedImports'],
  ['tasks/doctor/checks/x.ts', "import '../../core/index.ts'", ''],
  ['tasks/doctor/checks/x.ts', "import '../index.ts'", ''],
  // Monitoring is no phase, and keeps a phase's rule.
  ['tasks/monitoring/x.ts', "import '../verify/index.ts'", 'noRestrictedImports'],
  ['tasks/monitoring/x.ts', "import '../core/index.ts'", ''],
  ['tasks/x.ts', "import '../scripts/up.ts'", 'noRestrictedImports'],
  ['tasks/x.ts', "import './pki/index.ts'", ''],
  // Operations stand above the phases, and only scripts use them.
  ...phases.map((phase): [string, string, string] => ['tasks/operations/x.ts', `import '../${phase}/index.ts'`, '']),
  ...['core', 'etcd'].map((folder): [string, string, string] => [
    'tasks/operations/x.ts',
    `import '../${folder}/index.ts'`,
    '',
  ]),
  ['tasks/operations/x.ts', "import './index.ts'", ''],
  ...["'../vms/index.ts'", "'../scripts.ts'", "'../load.ts'"].map((path): [string, string, string] => [
    'tasks/drill/x.ts',
    `import ${path}`,
    '',
  ]),
  ['tasks/drill/x.ts', "import '../vms/local.ts'", 'noRestrictedImports'],
  ['tasks/consumers/x.ts', "import '../monitoring/index.ts'", ''],
  ['tasks/consumers/x.ts', "import '../pki/index.ts'", 'noRestrictedImports'],
  ['tasks/drill/x.ts', "import '../operations/x.ts'", 'noRestrictedImports'],
  ['tasks/operations/x.ts', "import '../pki/authority.ts'", 'noRestrictedImports'],
  ['tasks/operations/x.ts', "import '../phases.ts'", 'noRestrictedImports'],
  ['tasks/operations/x.ts', "import '../../scripts/up.ts'", 'noRestrictedImports'],
  ...['x.ts', 'core/x.ts', 'etcd/x.ts', ...phases.map((phase) => `${phase}/x.ts`)].map(
    (path): [string, string, string] => [
      `tasks/${path}`,
      `import '${path.includes('/') ? '..' : '.'}/operations/index.ts'`,
      'noRestrictedImports',
    ],
  ),
  // Plans are pure, and nothing below operations knows of them but what observes and acts.
  ['tasks/plans/x.ts', "import './index.ts'", ''],
  ['tasks/plans/x.ts', "import { quorum } from '../etcd/membership.ts'\nexport const two = quorum(2)", ''],
  ['tasks/plans/x.ts', "import type { Finding } from '../etcd/findings.ts'\nexport type One = Finding", ''],
  ['tasks/plans/x.ts', "import { rows } from '../etcd/findings.ts'\nexport const all = rows", 'noRestrictedImports'],
  ...['core/run.ts', 'etcd/etcdctl.ts', 'observe/look.ts', 'acts/members.ts', 'operations/x.ts', 'pki/index.ts'].map(
    (path): [string, string, string] => ['tasks/plans/x.ts', `import '../${path}'`, 'noRestrictedImports'],
  ),
  ...['observe', 'acts'].flatMap((folder): [string, string, string][] => [
    [`tasks/${folder}/x.ts`, "import type { Act } from '../plans/types.ts'\nexport type One = Act", ''],
    [`tasks/${folder}/x.ts`, "import '../vms/index.ts'", ''],
    [`tasks/${folder}/x.ts`, "import '../vms/local.ts'", 'noRestrictedImports'],
    [`tasks/${folder}/x.ts`, "import '../operations/x.ts'", 'noRestrictedImports'],
    [`tasks/${folder}/x.ts`, "import '../verbs/x.ts'", 'noRestrictedImports'],
  ]),
  ['tasks/observe/x.ts', "import '../acts/x.ts'", 'noRestrictedImports'],
  ['scripts/x.ts', "import '../tasks/verbs/index.ts'", ''],
  ['scripts/x.ts', "import '../tasks/core/script.ts'", ''],
  ['scripts/x.ts', "import '../tasks/operations/index.ts'", 'noRestrictedImports'],
  ['scripts/x.ts', "import '../tasks/phases.ts'", 'noRestrictedImports'],
  ...['core', 'etcd', 'operations', 'pki'].map((folder): [string, string, string] => [
    'tasks/verbs/x.ts',
    `import '../${folder}/index.ts'`,
    '',
  ]),
  ['tasks/verbs/x.ts', "import '../phases.ts'", ''],
  ['tasks/verbs/x.ts', "import './index.ts'", 'noRestrictedImports'],
  ['tasks/x.ts', "import './verbs/index.ts'", 'noRestrictedImports'],
  ['tasks/operations/x.ts', "import '../verbs/x.ts'", 'noRestrictedImports'],
  ['scripts/x.ts', "import './up.ts'", 'noRestrictedImports'],
  ['scripts/x.ts', "import '../test/run.ts'", 'noRestrictedImports'],
  // Every way to import counts.
  [
    'tasks/pki/x.ts',
    "import type { here } from '../vms/index.ts'\nexport type Here = typeof here",
    'noRestrictedImports',
  ],
  ['tasks/pki/x.ts', "export * from '../vms/index.ts'", 'noRestrictedImports'],
  ['tasks/pki/x.ts', "export const vms = await import('../vms/index.ts')", 'noRestrictedImports'],
  ...[
    'tasks/etcd/x.ts',
    'tasks/pki/x.ts',
    'tasks/operations/x.ts',
    'tasks/verbs/x.ts',
    'tasks/doctor/checks/x.ts',
    'tasks/x.ts',
    'scripts/x.ts',
  ].flatMap((path): [string, string, string][] => [
    [path, 'export const path = process.env.PATH', 'noProcessEnv'],
    [path, 'export const words = process.argv', 'noJsRestrictedProperties'],
    [path, 'export const time = Date.now()', 'noJsRestrictedProperties'],
    [path, "import { argv } from 'zx'\nexport const words = argv", 'noRestrictedImports'],
    [path, "import { argv } from 'node:process'\nexport const words = argv", 'noRestrictedImports'],
    [path, "import { $ } from 'zx'\nexport const shell = $", ''],
  ]),
  ['tasks/pki/x.ts', 'const later = async () => {}\nexport const now = () => {\n  later()\n}', 'noFloatingPromises'],
  ['tasks/pki/x.ts', "import 'fs'", 'useNodejsImportProtocol'],
  ['tasks/pki/x.ts', "import './index'", 'useImportExtensions'],
  ['tasks/pki/x.ts', "import 'left-pad'", 'noUndeclaredDependencies'],
]

let root: string
let refusals: Map<string, string[]>
const fileOf = (index: number, path: string): string => path.replace(/x\.ts$/, `case${index}.ts`)

// One run of the linter over a tree of the project's shape, with the project's own configuration.
test.before(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'house-')))
  for (const name of ['biome.json', 'package.json', '.gitignore']) copyFileSync(join(project, name), join(root, name))
  symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'))
  for (const path of [
    ...['core', 'etcd', 'operations', 'verbs', ...phases].map((folder) => `tasks/${folder}/index.ts`),
    'tasks/phases.ts',
    'tasks/core/script.ts',
    'tasks/pki/authority.ts',
    'scripts/up.ts',
    'test/run.ts',
  ])
    write(path, 'export const here = 1')
  for (const [index, [path, content]] of cases.entries()) write(fileOf(index, path), content)
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(project, 'node_modules/@biomejs/biome/bin/biome'),
      'lint',
      '--reporter=github',
      '--max-diagnostics=none',
      '.',
    ],
    {
      cwd: root,
      encoding: 'utf8',
    },
  )
  const found = [...stdout.matchAll(/title=lint\/\w+\/(\w+),file=([^,]+),/g)]
  assert.ok(found.length > 0, stdout + stderr)
  refusals = new Map()
  for (const [, rule = '', path = ''] of found) {
    const file = relative(root, path)
    refusals.set(file, [...(refusals.get(file) ?? []), rule])
  }
})
test.after(() => rmSync(root, { recursive: true, force: true }))

for (const [index, [path, content, rule]] of cases.entries()) {
  test(`${path}: ${content.split('\n')[0]} is ${rule ? `refused by ${rule}` : 'permitted'}`, () => {
    assert.equal(refusals.get(fileOf(index, path)) ?? [], rule ? [rule] : [])
  })
}

test('no line of code is longer than 120 columns', () => {
  const long = ['scripts', 'tasks', 'test', 'templates'].flatMap((folder) =>
    (readdirSync(join(project, folder), { recursive: true }) as string[])
      .filter((name) => /\.(ts|mjs|py)$/.test(name))
      .flatMap((name) =>
        readFileSync(join(project, folder, name), 'utf8')
          .split('\n')
          .flatMap((line, index) => (line.length > 120 ? [`${folder}/${name}:${index + 1}`] : [])),
      ),
  )
  assert.equal(long, [])
})

test('no template of the role uses a filter of sets: with newer Ansible the order of its result changes', () => {
  const role = join(project, 'templates/ansible')
  const found = (readdirSync(role, { recursive: true }) as string[])
    .filter((name) => /\.(yml|j2)$/.test(name))
    .filter((name) =>
      /\| *(union|intersect|difference|symmetric_difference)\b/.test(readFileSync(join(role, name), 'utf8')),
    )
  assert.equal(found, [])
})

function write(path: string, content: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), `${content}\n`)
}

test.run()
