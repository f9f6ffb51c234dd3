// npm run bench: the promised ratios, each side measured in turn in the same run. Prints medians and exits 1
// where a ratio is missed. Usage: npm run bench [-- ROUNDS]
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Cluster, resolveCluster } from '../../tasks/core/cluster.ts'
import { defaults, loadSettings } from '../../tasks/core/config.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { table } from '../../tasks/core/terminal.ts'
import { findEtcd } from '../../tasks/etcd/binaries.ts'
import { ensureCertificates } from '../../tasks/pki/index.ts'
import { type Goal, judge, median } from './goals.ts'

const rounds = Number(process.argv[2] ?? 7)
const home = mkdtempSync(join(tmpdir(), 'ha-etcd-bench-'))
mkdirSync(join(projectFolder, '.tools'), { recursive: true })
symlinkSync(join(projectFolder, '.tools'), join(home, '.tools'))

/** What a person's shell has: npm hands node-options to everything below it, npx itself too. */
const { NODE_OPTIONS: _, ...shell } = process.env
const environment = { ...shell, HA_ETCD_HOME: home, CI: 'true' }

/** Seconds of one command, or the end of the bench when it fails. */
function seconds(command: string, args: string[]): number {
  const started = process.hrtime.bigint()
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: projectFolder,
    encoding: 'utf8',
    env: environment,
  })
  if (status !== 0) {
    console.error(`${command} ${args.join(' ')} failed with ${status}:\n${stdout}${stderr}`)
    for (const name of ['bench3', 'bench7'])
      spawnSync('npx', ['zx', join(projectFolder, 'scripts/down.ts'), '--cluster', name, '--yes', '--purge'], {
        cwd: projectFolder,
        env: environment,
      })
    process.exit(1)
  }
  return Number(process.hrtime.bigint() - started) / 1e9
}

const verb = (name: string, ...flags: string[]): number => seconds('npx', ['zx', `scripts/${name}.ts`, ...flags])

/** Where a first `up` begins its steps, by the lines that it prints, and what each of them is. */
const steps: [begins: RegExp, what: string][] = [
  [/^/, 'npx, node and zx start; our modules are read'],
  [/\[STARTED\] doctor/, 'doctor'],
  [/\[STARTED\] pki and vms/, 'pki and vms: certificates, folders'],
  [/\[STARTED\] Run the Ansible role/, 'ansible-playbook starts'],
  [/\[OUTPUT\] /, 'the role compares the hosts with what they must hold'],
  [/\[OUTPUT\] Converge/, 'the role decides what to do'],
  [/\[OUTPUT\] Put the host's files in place/, 'the role writes files, starts etcd, and waits until it commits'],
  [/\[OUTPUT\] Restart one member/, 'the role ends'],
  [/\[STARTED\] verify/, 'verify'],
  [/^The cluster is up/, 'the end'],
]

/** Seconds that each step of a first `up` takes. */
function secondsByStep(): Promise<number[]> {
  const begun: number[] = []
  const child = spawn('npx', ['zx', join(projectFolder, 'scripts/up.ts'), '--cluster', 'bench3', '--yes'], {
    cwd: projectFolder,
    env: environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  begun.push(performance.now())
  child.stdout.on('data', (data: Buffer) => {
    for (const line of data.toString().split('\n'))
      if (steps[begun.length]?.[0].test(line)) begun.push(performance.now())
  })
  return new Promise((done) =>
    child.once('close', () =>
      done([...begun.slice(1), performance.now()].map((end, index) => (end - (begun[index] ?? end)) / 1000)),
    ),
  )
}

/** The certificates of a three-host cluster: an authority, three servers, three peers and a client. */
async function certificatesMs(cluster: Cluster): Promise<number> {
  const certs = mkdtempSync(join(home, 'pki-'))
  const started = process.hrtime.bigint()
  await ensureCertificates({ ...cluster, paths: { ...cluster.paths, certs: join(certs, 'certs') } })
  return Number(process.hrtime.bigint() - started) / 1e6
}

verb('doctor', '--yes')
const cluster = await resolveCluster(loadSettings({}))
const etcd = await findEtcd(cluster)
if (!etcd) throw new Error('doctor got no etcd')
const samples = {
  floor: [] as number[],
  up3: [] as number[],
  again: [] as number[],
  up7: [] as number[],
  help: [] as number[],
  bare: [] as number[],
  certificates: [] as number[],
}
const byStep: number[][] = []
await certificatesMs(cluster)
for (let round = 1; round <= rounds; round++) {
  process.stderr.write(`round ${round} of ${rounds}\n`)
  samples.floor.push(seconds('sh', [join(dirname(import.meta.filename), 'floor.sh'), etcd.folder]))
  samples.up3.push(verb('up', '--cluster', 'bench3', '--yes'))
  samples.again.push(verb('up', '--cluster', 'bench3', '--yes'))
  verb('down', '--cluster', 'bench3', '--yes', '--purge')
  byStep.push(await secondsByStep())
  verb('down', '--cluster', 'bench3', '--yes', '--purge')
  samples.up7.push(verb('up', '--cluster', 'bench7', '--masters', '7', '--yes'))
  verb('down', '--cluster', 'bench7', '--yes', '--purge')
  samples.bare.push(seconds('npx', ['zx', '--version']))
  samples.help.push(verb('up', '--help'))
  samples.certificates.push(await certificatesMs(cluster))
}
rmSync(home, { recursive: true, force: true })

const m = Object.fromEntries(Object.entries(samples).map(([name, values]) => [name, median(values)])) as Record<
  keyof typeof samples,
  number
>
const goals: Goal[] = [
  { what: `${2 + 2 * defaults.masters} P-256 certificates in process`, value: m.certificates, unit: ' ms', most: 30 },
  {
    what: `up (${m.up3.toFixed(2)} s) against the floor (${m.floor.toFixed(2)} s)`,
    value: m.up3 / m.floor,
    unit: ' x',
    most: 2.5,
  },
  {
    what: `up again (${m.again.toFixed(2)} s, ${(m.again / m.up3).toFixed(2)} of a first one) against the floor`,
    value: m.again / m.floor,
    unit: ' x',
    most: 1.8,
  },
  { what: `7 masters (${m.up7.toFixed(2)} s) against 3`, value: m.up7 / m.up3, unit: ' x', most: 1.7 },
  {
    what: `--help (${m.help.toFixed(2)} s) beyond a bare npx zx (${m.bare.toFixed(2)} s)`,
    value: m.help - m.bare,
    unit: ' s',
    most: 0.6,
  },
]
const code = judge(goals, rounds)
const spent = (step: number): string => `${median(byStep.map((run) => run[step] ?? Number.NaN)).toFixed(2)} s`
console.log(`\nWhere a first up spends its time\n${table(steps.map(([, what], step) => [what, spent(step)]))}`)
process.exit(code)
