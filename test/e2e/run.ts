// The end-to-end suite: a Docker engine in a network namespace of its own, and the tests of test/e2e inside it.
// Nothing of it touches the machine's own network or engine; all of it is gone at the end.
import { spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fetchAnsible, pythonForAnsible } from '../../tasks/core/ansible.ts'
import { projectFolder } from '../../tasks/core/environment.ts'
import { endGroup } from '../../tasks/core/processes.ts'
import { aptInstall, fetchedFolders, findProgram, hasApt, isRoot } from '../../tasks/core/programs.ts'
import { sleep } from '../../tasks/core/run.ts'
import { ask } from '../../tasks/core/shell.ts'
import { apiserverProgram } from '../support/apiserver.ts'
import { roomyFolder } from '../support/folder.ts'
import { libvirtPackages, makeBox } from '../support/libvirt.ts'
import { prepare } from '../support/prepare.ts'
import { etcdOf, ladder } from '../support/versions.ts'

/** Programs that the suite uses, and the Debian packages they come in. */
const programs = {
  dockerd: 'docker.io',
  docker: 'docker.io',
  vagrant: 'vagrant',
  ip: 'iproute2',
  iptables: 'iptables',
  nsenter: 'util-linux',
  mmdebstrap: 'mmdebstrap',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  'ignition-validate': 'ignition',
}

const impossible =
  process.platform !== 'linux' || !isRoot() || !hasApt()
    ? 'The end-to-end suite needs root on Debian or its kin: it makes a network namespace and ' +
      'runs a Docker engine there.'
    : undefined
if (impossible) {
  console.log(`${impossible}\n0 passed, 0 failed, 1 skipped`)
  process.exit(0)
}

const folder = mkdtempSync(join(roomyFolder(), 'ha-etcd-e2e-'))
const namespace = `ha-etcd-${process.pid}`
const inside = ['nsenter', `--net=/var/run/netns/${namespace}`]
let engine = 0
let tests = 0

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(signal === 'SIGINT' ? 130 : 143))

try {
  // Kept in .tools/ and on the system; inside the namespace none of it could be had.
  await installPrograms()
  await prepare()
  for (const version of ladder) await etcdOf(version)
  if (process.env.E2E_LONG) apiserverProgram() // leaves its modules in Go's cache
  const python = await pythonForAnsible()
  if (fetchedFolders('ansible').length === 0 && python) await fetchAnsible(python, () => {})
  await makeNamespace()
  await startEngine()
  await end(
    await runTests({
      TEST_IMAGE: await makeImage(),
      ...(process.env.E2E_LIBVIRT && { TEST_BOX: await makeLibvirtBox() }),
    }),
  )
} catch (error) {
  console.error(`Error: ${(error as Error).message}\n0 passed, 1 failed, 0 skipped`)
  await end(1)
}

async function installPrograms(): Promise<void> {
  const missing = Object.entries(programs).filter(([program]) => !findProgram(program))
  const packages = [...new Set(missing.map(([, name]) => name))]
  if (packages.length > 0) await aptInstall(packages, () => {})
}

/** Also outside the namespace, for the same reason. */
async function makeLibvirtBox(): Promise<string> {
  await aptInstall(libvirtPackages, () => {})
  const box = join(folder, 'box')
  mkdirSync(box)
  return makeBox(box)
}

async function makeNamespace(): Promise<void> {
  await must('ip', ['netns', 'add', namespace])
  await must('nsenter', [...inside.slice(1), 'ip', 'link', 'set', 'lo', 'up'])
  await must('nsenter', [...inside.slice(1), 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
}

/** `ip netns exec` would mount another /sys and hide the cgroups from dockerd; nsenter does not. */
async function startEngine(): Promise<void> {
  const log = openSync(join(folder, 'dockerd.log'), 'w')
  const groups = process.env.E2E_CGROUP2
    ? [
        'unshare',
        '--mount',
        'sh',
        '-c',
        'umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$0" "$@"',
      ]
    : []
  const options = [
    '--data-root',
    join(folder, 'data'),
    '--exec-root',
    join(folder, 'exec'),
    '--pidfile',
    join(folder, 'pid'),
    '--host',
    `unix://${folder}/docker.sock`,
  ]
  const child = spawn('nsenter', [...inside.slice(1), ...groups, 'dockerd', ...options], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  engine = child.pid ?? 0
  for (let waited = 0; waited < 60_000; waited += 250) {
    if ((await ask('docker', ['info'], { env: environment() })).exitCode === 0) return
    if (child.exitCode !== null) break
    await sleep(250)
  }
  throw new Error(
    'dockerd did not start. The last it ' +
      `said:\n${readFileSync(join(folder, 'dockerd.log'), 'utf8').split('\n').slice(-8).join('\n')}`,
  )
}

function environment(): Record<string, string> {
  return { DOCKER_HOST: `unix://${folder}/docker.sock` }
}

/** The hosts' image, made by the product's own doctor; outside the namespace, where no package could be had. */
async function makeImage(): Promise<string> {
  const home = join(folder, 'home')
  mkdirSync(home)
  mkdirSync(join(projectFolder, '.tools'), { recursive: true })
  symlinkSync(join(projectFolder, '.tools'), join(home, '.tools'))
  writeFileSync(join(home, 'cluster.yaml'), 'provider: vagrant\nvagrant: { provider: docker }\n')
  const { exitCode, stdout, stderr } = await ask(
    process.execPath,
    ['--import', 'ha-etcd/loader', 'node_modules/zx/build/cli.js', 'scripts/doctor.ts', '--yes'],
    {
      env: { ...environment(), HA_ETCD_HOME: home },
    },
  )
  if (exitCode !== 0) throw new Error(`doctor could not get what the hosts need.\n${stdout}${stderr}`)
  const images = await ask('docker', ['images', '--format', '{{.Repository}}:{{.Tag}}', 'ha-etcd-host'], {
    env: environment(),
  })
  return images.stdout.trim()
}

/** The tests; with --bench, the bench of the role instead. */
function runTests(made: Record<string, string>): Promise<number> {
  const [first, ...others] = process.argv.slice(2)
  const program =
    first === '--bench'
      ? ['test/bench/hosts.ts', ...others]
      : [
          'test/run.ts',
          '--kind',
          'e2e',
          '--timeout',
          process.env.E2E_LIBVIRT || process.env.E2E_FAR || process.env.E2E_LONG || process.env.STORIES
            ? '14400'
            : '2400',
          ...process.argv.slice(2),
        ]
  const child = spawn('nsenter', [...inside.slice(1), process.execPath, '--import', 'ha-etcd/loader', ...program], {
    env: { ...process.env, ...environment(), ...made },
    stdio: 'inherit',
    detached: true,
  })
  tests = child.pid ?? 0
  return new Promise((done) => child.once('exit', (code) => done(code ?? 1)))
}

/** Ends what was started, by pid, and removes what was made. */
async function end(code: number): Promise<never> {
  if (tests) await endGroup(tests)
  if (engine) {
    const { stdout } = await ask('docker', ['ps', '-aq'], { env: environment() })
    const containers = stdout.split('\n').filter(Boolean)
    if (containers.length > 0) await ask('docker', ['rm', '-f', ...containers], { env: environment(), timeout: 60_000 })
    process.kill(-engine, 'SIGTERM')
    for (let waited = 0; waited < 20_000 && existsSync(join(folder, 'pid')); waited += 100) await sleep(100)
    await endGroup(engine)
  }
  await ask('ip', ['netns', 'delete', namespace])
  rmSync(folder, { recursive: true, force: true })
  process.exit(code)
}

async function must(program: string, args: string[]): Promise<void> {
  const { exitCode, stderr } = await ask(program, args)
  if (exitCode !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr.trim()}`)
}
